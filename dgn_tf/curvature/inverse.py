"""The inverse of a positive definite matrix, wide ones by blocks.

A triangular solve against the identity runs at a third of a product's rate, and spends half its
work on zeros. By halves, A = [[P, Q'], [Q, R]], all but the diagonal blocks are products: with
W = L⁻¹ of P = L L', T = Q P⁻¹ and the Schur complement S = R - Q W' (Q W')',

    A⁻¹ = [[W'W + T'S⁻¹T, -T'S⁻¹], [-S⁻¹T, S⁻¹]].

W, not P⁻¹, makes the complement: the error grows with A's condition as that of a Cholesky
factorisation does, where Q P⁻¹ Q' would square it.
"""

import tensorflow as tf

from dgn_tf.precise import matmul

WHOLE_UP_TO = 256
"""The widest matrix that is factorised in one piece."""


def inverse(A: tf.Tensor) -> tf.Tensor:
    """``A⁻¹`` of a positive definite ``(n, n)`` A, n static."""
    n = A.shape[0]
    if n <= WHOLE_UP_TO:
        return tf.linalg.cholesky_solve(tf.linalg.cholesky(A), tf.eye(n, dtype=A.dtype))
    W, below, complement = _eliminate(A)
    T, corner = matmul(below, W), inverse(complement)
    left = matmul(corner, T)
    top = matmul(W, W, transpose_a=True) + matmul(T, left, transpose_a=True)
    upper = tf.concat([top, -tf.transpose(left)], axis=1)
    return tf.concat([upper, tf.concat([-left, corner], axis=1)], axis=0)


def _eliminate(A: tf.Tensor) -> tuple:
    """W = L⁻¹ of the first half, Q W', and the Schur complement of the second half."""
    m = A.shape[0] // 2
    W = _inverse_factor(A[:m, :m])
    below = matmul(A[m:, :m], W, transpose_b=True)
    return W, below, A[m:, m:] - matmul(below, below, transpose_b=True)


def _inverse_factor(A: tf.Tensor) -> tf.Tensor:
    """W = L⁻¹ with ``A = L L'``."""
    n = A.shape[0]
    if n <= WHOLE_UP_TO:
        return tf.linalg.triangular_solve(tf.linalg.cholesky(A), tf.eye(n, dtype=A.dtype))
    first, below, complement = _eliminate(A)
    second = _inverse_factor(complement)
    right = tf.zeros((first.shape[0], second.shape[0]), A.dtype)
    upper = tf.concat([first, right], axis=1)
    lower = tf.concat([-(matmul(second, matmul(below, first))), second], axis=1)
    return tf.concat([upper, lower], axis=0)
