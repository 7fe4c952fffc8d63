"""Preconditioned tangent kernels ``Γ = U'M⁻¹U`` of a layer, for M⁻¹ = A⁻¹ ⊗ B⁻¹.

A side is one factor: the coordinates of rows x in which ``x A⁻¹ x'`` is cheapest, and that product.
"""

from typing import Any

import tensorflow as tf

from dgn_tf.precise import matmul


class MatrixSide:
    """A⁻¹ ``(size, size)`` itself, symmetric."""

    def __init__(self, inverse: Any):
        self.inverse = inverse

    def coordinates(self, x: tf.Tensor) -> tf.Tensor:
        """``x A⁻¹``."""
        return _times(x, self.inverse)

    def gram(self, x: tf.Tensor, solved: tf.Tensor) -> tf.Tensor:
        """``x A⁻¹ x'`` of ``(m, size)`` x and x A⁻¹."""
        return matmul(solved, x, transpose_b=True)


class DiagonalSide:
    """A⁻¹ = Q diag(d) Q' + d_rest (I - Q Q'), Q ``(size, k)`` orthonormal.

    Q is None for the identity, and d_rest where k = size.
    """

    def __init__(self, d: tf.Tensor, Q: Any = None, d_rest: Any = None):
        self.d, self.Q, self.d_rest = d, Q, d_rest

    def coordinates(self, x: tf.Tensor) -> tf.Tensor:
        """``x Q`` over x's last axis."""
        return x if self.Q is None else _times(x, self.Q)

    def gram(self, x: tf.Tensor, rotated: tf.Tensor) -> tf.Tensor:
        """``x A⁻¹ x'`` of ``(m, size)`` x and x Q: no tensor is as wide as both."""
        if self.d_rest is None:
            return matmul(rotated * self.d, rotated, transpose_b=True)
        inside = matmul(rotated * (self.d - self.d_rest), rotated, transpose_b=True)
        return inside + self.d_rest * matmul(x, x, transpose_b=True)

    @property
    def weights(self) -> tf.Tensor:
        """Of the coordinates of `whole`: those of A⁻¹."""
        if self.d_rest is None or self.Q is None:
            return self.d
        return tf.concat([self.d - self.d_rest, tf.fill((self.Q.shape[0],), self.d_rest)], 0)

    def whole(self, x: tf.Tensor) -> tf.Tensor:
        """The coordinates, and, where Q is cut, x itself beside them."""
        rotated = self.coordinates(x)
        return rotated if self.d_rest is None else tf.concat([rotated, x], -1)


def _times(x: tf.Tensor, matrix: Any) -> tf.Tensor:
    """A matrix from the right, in one product for all of ``(n, I, O)`` x."""
    if len(x.shape) == 2:
        return matmul(x, matrix)
    flat = matmul(tf.reshape(x, (-1, x.shape[-1])), matrix)
    return tf.reshape(flat, (-1, x.shape[1], matrix.shape[1]))


def separable_kernel(cap: Any, inputs: Any, outputs: Any, coordinates: Any = None) -> tf.Tensor:
    """Γ of one player, ``(n, n)``.

    Exact for one position (Dense), and for several while the per-sample tangents fit in memory;
    above that Σ_p a_p g_p' is replaced by (Σ_p a_p)(Σ_p g_p)'.

    Args:
        cap: the player's capture.
        inputs, outputs: the sides of the I rows and of the O columns, both of one kind.
        coordinates: those of `rows_of(cap)`, where they are known.
    """
    if cap.positions == 1 or not cap.tangents_fit:
        a, g = rows_of(cap)
        of_a, of_g = coordinates or (inputs.coordinates(a), outputs.coordinates(g))
        return _over_columns(inputs.gram(a, of_a), outputs.gram(g, of_g), cap.columns)
    tangents = cap.tangents()
    turned = tf.linalg.matrix_transpose
    if isinstance(inputs, MatrixSide):
        left = inputs.coordinates(turned(outputs.coordinates(tangents)))
        right = turned(tangents)
    else:
        right = inputs.whole(turned(outputs.whole(tangents)))
        left = right * (outputs.weights[:, None] * inputs.weights)
    n = tf.shape(tangents)[0]
    return matmul(tf.reshape(left, (n, -1)), tf.reshape(right, (n, -1)), transpose_b=True)


def rows_of(cap: Any) -> tuple:
    """``(B, I)`` inputs and ``(B R, O)`` cotangents, summed over positions."""
    total = tf.squeeze if cap.positions == 1 else tf.reduce_sum
    return total(cap.a, axis=1), tf.reshape(total(cap.g, axis=1), (-1, cap.outputs))


def _over_columns(of_inputs: Any, of_outputs: Any, columns: int) -> tf.Tensor:
    """``(a A⁻¹ a') ∘ (g B⁻¹ g')`` from its factors, a repeated over the R columns: ``(n, n)``."""
    if columns == 1:
        return of_inputs * of_outputs
    B = tf.shape(of_inputs)[0]
    blocks = tf.reshape(of_outputs, (B, columns, B, columns)) * of_inputs[:, None, :, None]
    return tf.reshape(blocks, (B * columns, B * columns))


def weighted_product(rows: Any, w: tf.Tensor, cap: Any) -> tf.Tensor:
    """``(1/B) Σ_b a_b (Σ_r w_br g_br)'`` from rows a ``(B, I)`` and g ``(B R, O)``, weights
    ``(B, R)``."""
    a, g = rows
    mixed = g * tf.reshape(w, (-1, 1)) / cap.batch
    if cap.columns > 1:
        shape = (-1, cap.columns, mixed.shape[-1])
        mixed = tf.reduce_sum(tf.reshape(mixed, shape), axis=1)
    return matmul(a, mixed, transpose_a=True)
