"""Preconditioned tangent kernels ``Γ = U'M⁻¹U`` of a layer, for M⁻¹ = A⁻¹ ⊗ B⁻¹.

A side is one factor: ``pair(x)`` gives two tensors whose product over the last axis is
``x A⁻¹ x'``, in whatever coordinates that is cheapest.
"""

from typing import Any

import tensorflow as tf

from dgn_tf.precise import matmul


class MatrixSide:
    """A⁻¹ ``(size, size)`` itself, symmetric."""

    def __init__(self, inverse: Any):
        self.inverse = inverse

    def pair(self, x: tf.Tensor) -> tuple:
        """``(x A⁻¹, x)``."""
        return _times(x, self.inverse), x


class DiagonalSide:
    """A⁻¹ = Q diag(d) Q' + d_rest (I - Q Q'), Q ``(size, k)`` orthonormal.

    Q is None for the identity, and d_rest where k = size.
    """

    def __init__(self, d: tf.Tensor, Q: Any = None, d_rest: Any = None):
        self.d, self.Q, self.d_rest = d, Q, d_rest

    @property
    def weights(self) -> tf.Tensor:
        """Of the coordinates of `rotated`: those of A⁻¹."""
        if self.d_rest is None or self.Q is None:
            return self.d
        return tf.concat([self.d - self.d_rest, tf.fill((self.Q.shape[0],), self.d_rest)], 0)

    def rotated(self, x: tf.Tensor) -> tf.Tensor:
        """x over its last axis in the basis, and, where Q is cut, x itself beside it."""
        if self.Q is None:
            return x
        rotated = _times(x, self.Q)
        return rotated if self.d_rest is None else tf.concat([rotated, x], -1)

    def pair(self, x: tf.Tensor) -> tuple:
        """``(left, right)`` with ``left right' = x A⁻¹ x'``."""
        rotated = self.rotated(x)
        return rotated * self.weights, rotated

    def gram(self, x: tf.Tensor, rotated: tf.Tensor) -> tf.Tensor:
        """``x A⁻¹ x'`` of ``(m, size)`` x and ``(m, k)`` x Q: no tensor is as wide as both."""
        if self.d_rest is None:
            return gram((rotated * self.d, rotated))
        inside = gram((rotated * (self.d - self.d_rest), rotated))
        return inside + self.d_rest * gram((x, x))


def _times(x: tf.Tensor, matrix: Any) -> tf.Tensor:
    """A matrix from the right, in one product for all of ``(n, I, O)`` x."""
    if len(x.shape) == 2:
        return matmul(x, matrix)
    flat = matmul(tf.reshape(x, (-1, x.shape[-1])), matrix)
    return tf.reshape(flat, (-1, x.shape[1], matrix.shape[1]))


def separable_kernel(cap: Any, inputs: Any, outputs: Any) -> tf.Tensor:
    """Γ of one player, ``(n, n)``.

    Exact for one position (Dense), and for several while the per-sample tangents fit in memory;
    above that Σ_p a_p g_p' is replaced by (Σ_p a_p)(Σ_p g_p)'.

    Args:
        cap: the player's capture.
        inputs, outputs: the sides of the I rows and of the O columns, both of one kind.
    """
    if cap.positions == 1 or not cap.tangents_fit:
        rows, columns = dense_pairs(cap, inputs, outputs)
        return product_kernel(gram(rows), gram(columns), cap.columns)
    tangents = cap.tangents()
    turned = tf.linalg.matrix_transpose
    if isinstance(inputs, MatrixSide):
        left, right = inputs.pair(turned(outputs.pair(tangents)[0]))[0], turned(tangents)
    else:
        right = inputs.rotated(turned(outputs.rotated(tangents)))
        left = right * (outputs.weights[:, None] * inputs.weights)
    n = tf.shape(tangents)[0]
    return matmul(tf.reshape(left, (n, -1)), tf.reshape(right, (n, -1)), transpose_b=True)


def dense_pairs(cap: Any, inputs: Any, outputs: Any) -> tuple:
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
