"""Preconditioned tangent kernels ``Γ = U'M⁻¹U`` of a layer, for M⁻¹ = A⁻¹ ⊗ B⁻¹.

A side is one factor: ``pair(x)`` gives two tensors whose product over the last axis is
``x A⁻¹ x'``, in whatever coordinates that is cheapest.
"""

from __future__ import annotations

from typing import Any, Protocol

import tensorflow as tf

from dgn_tf.precise import matmul


class Side(Protocol):
    """One factor of a separable M⁻¹, applied to the last axis of ``(m, size)`` rows."""

    def pair(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """``(left, right)`` with ``left right' = x A⁻¹ x'``."""


class IdentitySide:
    """A⁻¹ = I."""

    def pair(self, x: tf.Tensor) -> tuple:
        return x, x


class DiagonalSide:
    """A⁻¹ = diag(d), d ``(size,)``."""

    def __init__(self, d: tf.Tensor):
        self.d = d

    def pair(self, x: tf.Tensor) -> tuple:
        return x * self.d, x


class MatrixSide:
    """A⁻¹ ``(size, size)`` itself, symmetric."""

    def __init__(self, inverse: Any):
        self.inverse = inverse

    def pair(self, x: tf.Tensor) -> tuple:
        return matmul(x, self.inverse), x


class EigenSide:
    """A⁻¹ = Q diag(d) Q' + d_rest (I - Q Q'), Q ``(size, k)`` orthonormal.

    d_rest is None where k = size.
    """

    def __init__(self, Q: tf.Tensor, d: tf.Tensor, d_rest: Any = None):
        self.Q, self.d, self.d_rest = Q, d, d_rest

    def pair(self, x: tf.Tensor) -> tuple:
        rotated = matmul(x, self.Q)
        if self.d_rest is None:
            return rotated * self.d, rotated
        coordinates = tf.concat([rotated * (self.d - self.d_rest), x * self.d_rest], axis=-1)
        return coordinates, tf.concat([rotated, x], axis=-1)

    def gram(self, x: tf.Tensor, rotated: tf.Tensor) -> tf.Tensor:
        """``x A⁻¹ x'`` of ``(m, size)`` x and ``(m, k)`` x Q: no tensor is as wide as both."""
        if self.d_rest is None:
            return gram((rotated * self.d, rotated))
        inside = gram((rotated * (self.d - self.d_rest), rotated))
        return inside + self.d_rest * gram((x, x))


def separable_kernel(cap: Any, inputs: Side, outputs: Side) -> tf.Tensor:
    """Γ of one player, ``(n, n)``.

    Exact for one position (Dense), and for several while the per-sample tangents fit in memory;
    above that Σ_p a_p g_p' is replaced by (Σ_p a_p)(Σ_p g_p)'.

    Args:
        cap: the player's capture.
        inputs: the side of the I rows.
        outputs: the side of the O columns.
    """
    if cap.positions == 1 or not cap.tangents_fit:
        rows, columns = dense_pairs(cap, inputs, outputs)
        return product_kernel(gram(rows), gram(columns), cap.columns)
    tangents = cap.tangents()
    left, right = _along_rows(inputs, tangents)
    first, second = outputs.pair(left)[0], outputs.pair(right)[1]
    n = tf.shape(tangents)[0]
    return matmul(tf.reshape(first, (n, -1)), tf.reshape(second, (n, -1)), transpose_b=True)


def dense_pairs(cap: Any, inputs: Side, outputs: Side) -> tuple:
    """The pairs of ``(B, I)`` inputs and ``(B R, O)`` cotangents, summed over positions."""
    a, g = rows_of(cap)
    return inputs.pair(a), outputs.pair(g)


def rows_of(cap: Any) -> tuple:
    """``(B, I)`` inputs and ``(B R, O)`` cotangents, summed over positions."""
    a, g = cap.a, cap.g
    if cap.positions == 1:
        a, g = tf.squeeze(a, 1), tf.squeeze(g, 1)
    else:
        a, g = tf.reduce_sum(a, axis=1), tf.reduce_sum(g, axis=1)
    return a, tf.reshape(g, (-1, cap.outputs))


def gram(pair: Any) -> tf.Tensor:
    """``left right'``: x A⁻¹ x' from a side's pair."""
    return matmul(pair[0], pair[1], transpose_b=True)


def product_kernel(of_inputs: Any, of_outputs: Any, columns: int) -> tf.Tensor:
    """``(a A⁻¹ a') ∘ (g B⁻¹ g')`` from its factors, a repeated over the R columns: ``(n, n)``."""
    if columns == 1:
        return of_inputs * of_outputs
    B = tf.shape(of_inputs)[0]
    blocks = tf.reshape(of_outputs, (B, columns, B, columns)) * of_inputs[:, None, :, None]
    return tf.reshape(blocks, (B * columns, B * columns))


def _along_rows(side: Side, tangents: tf.Tensor) -> tf.Tensor:
    """A side applied to axis 1 of ``(n, I, O)``."""
    if isinstance(side, IdentitySide):
        return tangents, tangents
    if isinstance(side, DiagonalSide):
        return tangents * side.d[:, None], tangents
    if isinstance(side, MatrixSide):
        return matmul(side.inverse, tangents), tangents
    flipped = side.pair(tf.linalg.matrix_transpose(tangents))
    return tuple(tf.linalg.matrix_transpose(part) for part in flipped)
