"""A value function in sample space: the per-sample weights v and C of the gains at one stage."""

from typing import Any

import tensorflow as tf

from dgn_tf.precise import matmul, matvec


class StageValue:
    """The weights with which a player's gain is a preconditioned gradient.

    ``k + K δx = lr M⁻¹ ((1/B) U (v + C s) + l_u)`` with ``s = D'δx``; n = B · R, sample-major.

    Args:
        v: ``(n,)``.
        C: ``(n, n)``, or ``(n,)`` where C is diagonal; None where the factors below are given, or
            where the structure has no feedback.
        root: the diagonal ``(m,)`` of S, with ``C = S A⁻¹ S'`` in the rows that bend.
        cholesky: ``(m, m)``, the lower factor of A.
        flat: how many of the last of every sample's R columns do not bend, and R; None for none.
    """

    def __init__(
        self, v: Any, C: Any = None, *, root: Any = None, cholesky: Any = None, flat: Any = None
    ):
        self.v, self._C = v, C
        self._root = root
        self._cholesky = cholesky
        self._flat = flat

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
        solved = cholesky_solve(self._cholesky, self._root * take(s, self._flat))
        return put(self._root * solved, self._flat)

    def weights(self, s: tf.Tensor | None = None) -> tf.Tensor:
        """``v + C s`` for ``(n,)`` s; v alone where s is None."""
        return self.v if s is None or self.is_open else self.v + self.apply(s)

    def C(self) -> tf.Tensor:
        """C as a dense ``(n, n)`` matrix."""
        if self.is_open:
            return tf.zeros((tf.size(self.v),) * 2, self.v.dtype)
        if self._C is not None:
            return dense(self._C)
        root = tf.linalg.diag(self._root)
        half = put(tf.linalg.triangular_solve(self._cholesky, root), self._flat)
        return matmul(half, half, transpose_a=True)


def take(x: tf.Tensor, flat: tuple[int, int] | None, axes: int = 1) -> tf.Tensor:
    """``(..., B R)`` x without its flat columns, along so many last axes; x itself for None."""
    if flat is None:
        return x
    lacking, columns = flat
    *lead, n = tf.unstack(tf.shape(x)[: x.shape.rank - axes + 1])
    by_sample = tf.reshape(x, (*lead, *[n // columns, columns] * axes))
    bent = by_sample[(..., *[slice(None), slice(columns - lacking)] * axes)]
    return tf.reshape(bent, (*lead, *[n // columns * (columns - lacking)] * axes))


def put(x: tf.Tensor, flat: tuple[int, int] | None) -> tf.Tensor:
    """``(..., B R)``: the columns of ``(..., m)`` x in their places, 0 in those that are flat."""
    if flat is None:
        return x
    lacking, columns = flat
    lead = tf.unstack(tf.shape(x)[:-1])
    by_sample = tf.reshape(x, (*lead, -1, columns - lacking))
    return tf.reshape(tf.pad(by_sample, [*[[0, 0]] * x.shape.rank, [0, lacking]]), (*lead, -1))


def dense(C: tf.Tensor) -> tf.Tensor:
    """C ``(n, n)`` as it is, or from its diagonal ``(n,)``."""
    return tf.linalg.diag(C) if C.shape.rank == 1 else C


def times(C: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """``C x`` for ``(n,)`` x, C ``(n, n)`` or the diagonal ``(n,)``."""
    return C * x if C.shape.rank == 1 else matvec(C, x)


def cholesky_solve(lower: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """``(L L')⁻¹ b`` for ``(..., n, n)`` L and ``(..., n)`` b."""
    return tf.squeeze(tf.linalg.cholesky_solve(lower, tf.expand_dims(b, -1)), -1)
