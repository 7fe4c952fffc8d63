"""Preconditioned tangent kernels ``Γ = U'M⁻¹U`` of a layer, for M⁻¹ = A⁻¹ ⊗ B⁻¹.

A side is one factor: ``pair(x)`` gives two tensors whose product over an axis is ``x A⁻¹ x'``, in
whatever coordinates that is cheapest.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dgn_tf.precise import matmul


class MatrixSide:
    """A⁻¹ ``(size, size)`` itself, symmetric."""

    def __init__(self, inverse: Any):
        self.inverse = inverse

    def pair(self, x: tf.Tensor, axis: int = -1) -> tuple:
        """``(x A⁻¹, x)`` over the last axis of x, or over its axis -2."""
        return matmul(x, self.inverse) if axis == -1 else matmul(self.inverse, x), x


class DiagonalSide:
    """A⁻¹ = Q diag(d) Q' + d_rest (I - Q Q'), Q ``(size, k)`` orthonormal.

    Q is None for the identity, d for ones, and d_rest where k = size.
    """

    def __init__(self, d: Any = None, Q: Any = None, d_rest: Any = None):
        self.d, self.Q, self.d_rest = d, Q, d_rest

    def pair(self, x: tf.Tensor, axis: int = -1) -> tuple:
        """``(left, right)`` with ``left right' = x A⁻¹ x'`` over the last axis of x or axis -2."""
        if self.d is None:
            return x, x
        if self.Q is None:
            return x * _along(self.d, axis), x
        rotated = matmul(x, self.Q) if axis == -1 else matmul(self.Q, x, transpose_a=True)
        if self.d_rest is None:
            return rotated * _along(self.d, axis), rotated
        inside = rotated * _along(self.d - self.d_rest, axis)
        return tf.concat([inside, x * self.d_rest], axis), tf.concat([rotated, x], axis)

    def gram(self, x: tf.Tensor, rotated: tf.Tensor) -> tf.Tensor:
        """``x A⁻¹ x'`` of ``(m, size)`` x and ``(m, k)`` x Q: no tensor is as wide as both."""
        if self.d_rest is None:
            return gram((rotated * self.d, rotated))
        inside = gram((rotated * (self.d - self.d_rest), rotated))
        return inside + self.d_rest * gram((x, x))


Side = MatrixSide | DiagonalSide


def _along(d: tf.Tensor, axis: int) -> tf.Tensor:
    return d if axis == -1 else d[:, None]


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
    left, right = inputs.pair(tangents, -2)
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
