"""Factorisations that hand on what is not finite, where TensorFlow's would stop the program, and
the inverse of a positive definite matrix, wide ones by blocks.

A triangular solve against the identity runs at a third of a product's rate, and spends half its
work on zeros. By halves, A = [[P, Q'], [Q, R]], all but the diagonal blocks are products: with
W = L⁻¹ of P = L L', T = Q P⁻¹ and the Schur complement S = R - Q W' (Q W')',

    A⁻¹ = [[W'W + T'S⁻¹T, -T'S⁻¹], [-S⁻¹T, S⁻¹]].

W, not P⁻¹, makes the complement: the error grows with A's condition as that of a Cholesky
factorisation does, where Q P⁻¹ Q' would square it.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from dgn_tf.precise import matmul

WHOLE_UP_TO = 256
"""The widest matrix that is factorised in one piece."""


def eigh(A: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Eigenvalues ``(..., n)``, ascending, and eigenvectors ``(..., n, n)``; NaN where A is not
    finite."""
    A, poison = _finite(A)
    values, vectors = tf.linalg.eigh(A)
    return values + poison, vectors + poison


def solve(A: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """``A⁻¹ b`` for ``(n, n)`` A and ``(n, m)`` b; NaN where A is not finite."""
    A, poison = _finite(A)
    return tf.linalg.solve(A, b) + poison


def _finite(A: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A and 0, or the identity and NaN."""
    sound = tf.reduce_all(tf.math.is_finite(A))
    eye = tf.eye(tf.shape(A)[-1], dtype=A.dtype)
    poison = tf.where(sound, tf.zeros((), A.dtype), tf.constant(float("nan"), A.dtype))
    return tf.where(sound, A, eye), poison


def lifted(A: tf.Tensor, shift: Any) -> tf.Tensor:
    """``A + shift I`` for positive semidefinite ``(..., n, n)`` A, and on the diagonal A's rounding
    error, so that the Cholesky factor exists in single precision."""
    diagonal = tf.linalg.diag_part(A)
    epsilon = float(np.finfo(A.dtype.as_numpy_dtype).eps)
    rounding = epsilon * tf.reduce_sum(tf.abs(diagonal), axis=-1, keepdims=True)
    return tf.linalg.set_diag(A, diagonal + shift + rounding)


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
    upper = tf.pad(first, [[0, 0], [0, n - first.shape[0]]])
    lower = tf.concat([-(matmul(second, matmul(below, first))), second], axis=1)
    return tf.concat([upper, lower], axis=0)
