"""Eigenbases of Kronecker factors, whole or of the leading directions only.

A truncated basis Q ``(size, k)`` stands for the eigenvectors of a wide factor; all directions
outside share one value, which is the last entry of every spectrum. The leading subspace follows the
factor by warm-started subspace iteration, as in the randomised K-FACs of Puiu (2022).
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dgn_tf.linalg import eigh
from dgn_tf.precise import matmul, tensordot

POWER_ITERATIONS = 2


def width(size: int, full_up_to: int, rank: int) -> int:
    """Columns of the basis of a factor."""
    return size if size <= full_up_to else rank


def spectrum_length(size: int, columns: int) -> int:
    """Entries of a spectrum: one more than the columns where the basis is truncated."""
    return columns + (columns < size)


def eigenbasis(A: tf.Tensor, Q: tf.Tensor, first: tf.Tensor) -> tuple:
    """The basis of A and its spectrum.

    Args:
        A: ``(size, size)``, symmetric positive semidefinite.
        Q: ``(size, k)``, the last basis, where a truncated one starts from.
        first: scalar bool, whether Q holds nothing yet.

    Returns:
        Q ``(size, k)`` with orthonormal columns, and its eigenvalues ``(k,)`` in ascending order,
        followed by the mean of the remaining ones where k < size. NaN where A is not finite.
    """
    size, columns = A.shape[0], Q.shape[1]
    # Products with the factor of a run that explodes would overflow.
    largest = tf.reduce_max(tf.linalg.diag_part(A))
    scale = tf.where(largest > 0.0, largest, tf.ones_like(largest))
    A = A / scale
    if columns == size:
        values, vectors = eigh(A)
        return vectors, scale * tf.maximum(values, 0.0)
    random = tf.random.stateless_normal((size, columns), (size, columns), dtype=A.dtype)
    Q = tf.where(first, random, Q)
    for _ in range(POWER_ITERATIONS):
        Q = tf.linalg.qr(matmul(A, Q) + Q * tf.constant(1e-6, A.dtype))[0]
    values, vectors = eigh(matmul(Q, matmul(A, Q), transpose_a=True))
    rest = (tf.linalg.trace(A) - tf.reduce_sum(values)) / float(size - columns)
    values = tf.concat([values, rest[None]], axis=0)
    return matmul(Q, vectors), scale * tf.maximum(values, 0.0)


def squares(x: tf.Tensor, Q: tf.Tensor, rotated: tf.Tensor | None = None) -> tf.Tensor:
    """Squared coordinates of ``(m, size)`` rows, then the mean square of what lies outside Q."""
    rotated = matmul(x, Q) if rotated is None else rotated
    inside = tf.square(rotated)
    size, columns = Q.shape
    if columns == size:
        return inside
    outside = tf.reduce_sum(tf.square(x), -1) - tf.reduce_sum(inside, -1)
    return tf.concat([inside, tf.maximum(outside, 0.0)[:, None] / float(size - columns)], axis=-1)


def mean_squares(T: tf.Tensor, w: tf.Tensor, Q_A: tf.Tensor, Q_B: tf.Tensor) -> tf.Tensor:
    """``Σ_n w_n`` of the squared coordinates of ``(n, I, O)`` matrices in Q_A ⊗ Q_B.

    Where a basis is truncated the last row or column is the mean square of what lies outside.
    """
    of_A, of_B = Q_A.shape[0] - Q_A.shape[1], Q_B.shape[0] - Q_B.shape[1]
    right = matmul(T, Q_B)
    both = matmul(Q_A, right, transpose_a=True)

    def total(x: tf.Tensor) -> tf.Tensor:
        return tensordot(w, tf.square(x), axes=((0,), (0,)))

    inner = total(both)
    if of_A == 0 and of_B == 0:
        return inner
    if of_B:
        left = total(matmul(Q_A, T, transpose_a=True))
        column = (tf.reduce_sum(left, 1) - tf.reduce_sum(inner, 1)) / float(of_B)
        inner_rows = tf.concat([inner, column[:, None]], axis=1)
    else:
        inner_rows = inner
    if not of_A:
        return tf.maximum(inner_rows, 0.0)
    along = total(right)
    row = (tf.reduce_sum(along, 0) - tf.reduce_sum(inner, 0)) / float(of_A)
    if of_B:
        corner = tf.reduce_sum(total(T)) - tf.reduce_sum(along) - tf.reduce_sum(left)
        corner = (corner + tf.reduce_sum(inner)) / float(of_A * of_B)
        row = tf.concat([row, corner[None]], axis=0)
    return tf.maximum(tf.concat([inner_rows, row[None]], axis=0), 0.0)


def mixing(new: Any, old: Any) -> tf.Tensor:
    """How a spectrum in the old basis reads in the new one: a row-stochastic matrix.

    Entry (i, j) is the squared overlap of new direction i with old direction j; the last row and
    column stand for the directions outside of truncated bases.
    """
    size, columns = new.shape
    overlap = tf.square(matmul(new, old, transpose_a=True))
    if columns == size:
        return overlap
    to_rest = tf.maximum(1.0 - tf.reduce_sum(overlap, axis=1), 0.0)
    from_rest = tf.maximum(1.0 - tf.reduce_sum(overlap, axis=0), 0.0) / float(size - columns)
    corner = 1.0 - tf.reduce_sum(from_rest)
    top = tf.concat([overlap, to_rest[:, None]], axis=1)
    bottom = tf.concat([from_rest, corner[None]], axis=0)
    return tf.concat([top, bottom[None]], axis=0)


def spectral_apply(Q_A: tf.Tensor, Q_B: tf.Tensor, D: tf.Tensor, X: tf.Tensor) -> tf.Tensor:
    """The operator with eigenvectors Q_A ⊗ Q_B and spectrum D, applied to ``(..., I, O)`` X."""
    k_A, k_B = Q_A.shape[1], Q_B.shape[1]
    cut_A, cut_B = k_A < Q_A.shape[0], k_B < Q_B.shape[0]
    if cut_B and not cut_A:
        flipped = spectral_apply(Q_B, Q_A, tf.transpose(D), tf.linalg.matrix_transpose(X))
        return tf.linalg.matrix_transpose(flipped)
    right = matmul(X, Q_B)
    core = matmul(Q_A, right, transpose_a=True)
    if not cut_A:
        return matmul(matmul(Q_A, D * core), Q_B, transpose_b=True)
    inner, of_B = D[:k_A, :k_B], D[k_A:, :k_B]  # of_B: outside Q_A, inside Q_B, (1, k_B)
    if not cut_B:
        mixed = matmul(Q_A, (inner - of_B) * core) + of_B * right
        return matmul(mixed, Q_B, transpose_b=True)
    of_A, rest = D[:k_A, k_B:], D[k_A, k_B]  # of_A: inside Q_A, outside Q_B, (k_A, 1)
    mixed = matmul(Q_A, (inner - of_A - of_B + rest) * core) + (of_B - rest) * right
    left = (of_A - rest) * matmul(Q_A, X, transpose_a=True)
    return matmul(mixed, Q_B, transpose_b=True) + matmul(Q_A, left) + rest * X
