"""Eigenbases of Kronecker factors, whole or of the leading directions only.

A truncated basis Q ``(size, k)`` stands for the eigenvectors of a wide factor; all directions
outside share one value, which is the last entry of every spectrum. The leading subspace follows the
factor by warm-started subspace iteration, as in the randomised K-FACs of Puiu (2022).
"""

from typing import Any

import tensorflow as tf

from dgn_tf.linalg import eigh
from dgn_tf.precise import einsum, matmul

POWER_ITERATIONS = 2


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
    values = with_rest(values, tf.linalg.trace(A)[None], size)
    return matmul(Q, vectors), scale * tf.maximum(values, 0.0)


def with_rest(inside: tf.Tensor, total: tf.Tensor, size: int, axis: int = -1) -> tf.Tensor:
    """A spectrum along an axis and, where it lacks some of the `size` directions, the mean of what
    they have of the total."""
    lacking = size - inside.shape[axis]
    if not lacking:
        return inside
    rest = tf.maximum(total - tf.reduce_sum(inside, axis, True), 0.0) / float(lacking)
    return tf.concat([inside, rest], axis)


def squares(x: tf.Tensor, Q: tf.Tensor, rotated: tf.Tensor | None = None) -> tf.Tensor:
    """Squared coordinates of ``(..., size)`` rows, then the mean square of what lies outside Q."""
    inside = tf.square(matmul(x, Q) if rotated is None else rotated)
    cut = Q.shape[1] < Q.shape[0]
    lengths = tf.math.reduce_euclidean_norm(x, -1, True) if cut else 0.0
    return with_rest(inside, tf.square(lengths), Q.shape[0])


def mean_squares(T: tf.Tensor, w: tf.Tensor, Q_A: tf.Tensor, Q_B: tf.Tensor) -> tf.Tensor:
    """``Σ_n w_n`` of the squared coordinates of ``(n, I, O)`` matrices in Q_A ⊗ Q_B.

    Where a basis is truncated the last row or column is the mean square of what lies outside.
    """

    def total(x: tf.Tensor) -> tf.Tensor:
        return einsum("n,nio->io", w, squares(x, Q_B))

    inside, cut = total(matmul(Q_A, T, transpose_a=True)), Q_A.shape[1] < Q_A.shape[0]
    return with_rest(inside, tf.reduce_sum(total(T), 0, True) if cut else 0.0, Q_A.shape[0], 0)


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
    columns = Q_B.shape[1]
    inside, outside = D[:, :columns], D[:, columns:]
    if columns == Q_B.shape[0]:
        return matmul(along_rows(Q_A, D, matmul(X, Q_B)), Q_B, transpose_b=True)
    within = along_rows(Q_A, inside - outside, matmul(X, Q_B))
    return matmul(within, Q_B, transpose_b=True) + along_rows(Q_A, outside, X)


def along_rows(Q: tf.Tensor, D: tf.Tensor, X: tf.Tensor, core: Any = None) -> tf.Tensor:
    """The operator with eigenvectors Q and a spectrum per column in D, applied to every column of
    ``(..., I, O)`` X; `core` is Q'X where it is known."""
    core = matmul(Q, X, transpose_a=True) if core is None else core
    if Q.shape[0] == Q.shape[1]:
        return matmul(Q, D * core)
    return matmul(Q, (D[:-1] - D[-1:]) * core) + D[-1:] * X
