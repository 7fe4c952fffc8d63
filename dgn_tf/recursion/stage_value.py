"""A value function in sample space: the per-sample weights v and C of the gains at one stage."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from dgn_tf.linalg import eigh
from dgn_tf.precise import matmul, matvec


class StageValue:
    """The weights with which a player's gain is a preconditioned gradient.

    ``k + K δx = lr M⁻¹ ((1/B) U (v + C s) + l_u)`` with ``s = D'δx``; n = B · R, sample-major.

    Args:
        v: ``(n,)``.
        C: ``(n, n)``, or ``(n,)`` where C is diagonal; None where the factors below are given, or
            where the structure has no feedback.
        root: S with ``C = S A⁻¹ S'``: ``(n, n)``, or ``(n,)`` where S is diagonal.
        cholesky: ``(n, n)``, the lower factor of A.
    """

    def __init__(
        self, v: tf.Tensor, C: tf.Tensor | None = None, *, root: Any = None, cholesky: Any = None
    ):
        self.v = v
        self._C = C
        self._root = root
        self._cholesky = cholesky

    @property
    def is_open(self) -> bool:
        """Whether the gain has no feedback: C is zero and s plays no part."""
        return self._C is None and self._cholesky is None

    def apply(self, s: tf.Tensor) -> tf.Tensor:
        """``C s`` for ``(n,)`` s."""
        if self.is_open:
            return tf.zeros_like(self.v)
        if self._C is not None:
            return times(self._C, s)
        inner = transposed_times(self._root, s)
        return times(self._root, cholesky_solve(self._cholesky, inner))

    def weights(self, s: tf.Tensor | None = None) -> tf.Tensor:
        """``v + C s`` for ``(n,)`` s; v alone where s is None."""
        return self.v if s is None or self.is_open else self.v + self.apply(s)

    def C(self) -> tf.Tensor:
        """C as a dense ``(n, n)`` matrix."""
        if self.is_open:
            return tf.zeros((tf.size(self.v),) * 2, self.v.dtype)
        if self._C is not None:
            return tf.linalg.diag(self._C) if self._C.shape.rank == 1 else self._C
        S = tf.linalg.diag(self._root) if self._root.shape.rank == 1 else self._root
        half = tf.linalg.triangular_solve(self._cholesky, tf.transpose(S))
        return matmul(half, half, transpose_a=True)


def times(S: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """``S x`` along the last axis of x, S ``(n, n)`` or the diagonal ``(n,)``."""
    return S * x if S.shape.rank == 1 else matvec(S, x)


def transposed_times(S: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """``S' x`` along the last axis of x, S ``(n, n)`` or the diagonal ``(n,)``."""
    return S * x if S.shape.rank == 1 else matvec(S, x, transpose_a=True)


def sandwich(S: tf.Tensor, G: tf.Tensor) -> tf.Tensor:
    """``S' G S`` for ``(..., n, n)`` G and S ``(n, n)`` or the diagonal ``(n,)``."""
    if S.shape.rank == 1:
        return S[:, None] * G * S
    return matmul(S, matmul(G, S), transpose_a=True)


def root_of(C: tf.Tensor) -> tf.Tensor:
    """S with ``C = S S'`` for positive semidefinite C, ``(n,)`` diagonal or ``(n, n)``."""
    if C.shape.rank == 1:
        return tf.sqrt(tf.maximum(C, 0.0))
    values, vectors = eigh(C)
    return vectors * tf.sqrt(tf.maximum(values, 0.0))


def cholesky_solve(lower: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """``(L L')⁻¹ b`` for ``(..., n, n)`` L and ``(..., n)`` b."""
    return tf.linalg.cholesky_solve(lower, b[..., None])[..., 0]


def cholesky_of_shifted_identity(G: tf.Tensor) -> tf.Tensor:
    """Lower factor of ``I + G`` for positive semidefinite ``(..., n, n)`` G.

    The identity is enlarged by the rounding error of G, so that the factor exists in single
    precision for kernels of any size.
    """
    diagonal = tf.linalg.diag_part(G)
    epsilon = float(np.finfo(G.dtype.as_numpy_dtype).eps)
    rounding = epsilon * tf.reduce_sum(tf.abs(diagonal), axis=-1, keepdims=True)
    return tf.linalg.cholesky(tf.linalg.set_diag(G, diagonal + 1.0 + rounding))
