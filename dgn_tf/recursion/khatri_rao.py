"""The joint system of a stage's players with Kronecker-factored blocks, by conjugate gradients.

The cooperative gain solves ``Σ_m H_nm X_m = Y_n`` over the stage's players. With every block
factored, ``H_nm = A_nm ⊗ B_nm``, ``A_nm = E[a_n a_m']``, ``B_nm = E[g_n g_m']``, H is the
Khatri-Rao product of two block matrices, positive semidefinite, and its diagonal blocks are
K-FAC's. It is never formed: a product costs ``A_nm X_m B_nm'``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from dgn_tf.curvature.damping import damped_inverse, split
from dgn_tf.curvature.statistics import cotangents
from dgn_tf.precise import matmul
from dgn_tf.recursion.linear_game import as_scalar
from dgn_tf.settings import count


@dataclass(frozen=True)
class JointFactors:
    """The factors of the blocks H_nm, damped on the diagonal.

    Attributes:
        A: ``A[n][m]`` of shape ``(I_n, I_m)``.
        B: ``B[n][m]`` of shape ``(O_n, O_m)``.
    """

    A: list[list[tf.Tensor]]
    B: list[list[tf.Tensor]]

    def matvec(self, X: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """``Σ_m A_nm X_m B_nm'`` for every player n."""

        def row(A: list, B: list) -> tf.Tensor:
            blocks = zip(A, B, X, strict=True)
            return tf.add_n([matmul(matmul(a, x), b, transpose_b=True) for a, b, x in blocks])

        return list(map(row, self.A, self.B))

    def block_inverses(self) -> list[Callable[[tf.Tensor], tf.Tensor]]:
        """For every player the inverse of its own diagonal block, K-FAC's."""

        def inverse(n: int) -> Callable[[tf.Tensor], tf.Tensor]:
            left, right = damped_inverse(self.A[n][n], 0.0), damped_inverse(self.B[n][n], 0.0)
            return lambda Y: matmul(matmul(left, Y), right)

        return [inverse(n) for n in range(len(self.A))]


def joint_factors(captures: Sequence, damping: Any, fisher: str = "game") -> JointFactors:
    """Factors of one batch's joint matrix.

    The diagonal blocks are ``(A + π√λ I) ⊗ (B + √λ/π I)``.

    Raises:
        ValueError: for players with different numbers of positions, whose inputs do not pair.
    """
    counts = {cap.positions for cap in captures}
    if len(counts) > 1:
        raise ValueError(
            "The joint factors pair the players' inputs position by position, so all need the same "
            f"number of positions. Received: {sorted(map(str, counts))}. Use the sample-space "
            "solver."
        )
    a = [tf.reshape(cap.a, (-1, cap.rows)) for cap in captures]
    g = [cotangents(cap, fisher) for cap in captures]
    batch = captures[0].batch
    positions = tf.cast(tf.shape(g[0])[1], g[0].dtype)
    flat = [tf.reshape(x, (-1, cap.outputs)) for x, cap in zip(g, captures, strict=True)]
    A = [[matmul(x, y, transpose_a=True) / batch for y in a] for x in a]
    B = [[matmul(x, y, transpose_a=True) / (batch * positions) for y in flat] for x in flat]
    damping = as_scalar(damping, batch.dtype)
    for n in range(len(captures)):
        of_A, of_B = split(A[n][n], B[n][n], damping)
        A[n][n] += of_A * tf.eye(A[n][n].shape[0], dtype=batch.dtype)
        B[n][n] += of_B * tf.eye(B[n][n].shape[0], dtype=batch.dtype)
    return JointFactors(A, B)


def conjugate_gradients(factors: JointFactors, right: Sequence, iterations: int = 6) -> list:
    """Solve ``H X = Y``, starting from every player's own solution, and preconditioned by it.

    Zero iterations leave that: each player as if alone, the feedback structure's answer.

    Args:
        factors: of the blocks of H.
        right: Y, ``(I, O)`` for every player.
        iterations: conjugate-gradient steps, not negative.

    Returns:
        X, ``(I, O)`` for every player.

    Raises:
        ValueError: for a negative number of iterations.
    """
    count("iterations", iterations)
    inverses = factors.block_inverses()

    def own(Y: Sequence[tf.Tensor]) -> list:
        return [solve(y) for solve, y in zip(inverses, Y, strict=True)]

    tiny = float(np.finfo(right[0].dtype.as_numpy_dtype).tiny)
    X = own(right)
    residual = _axpy(right, -1.0, factors.matvec(X))
    search = z = own(residual)
    fresh = _dot(residual, z)
    for i in range(iterations):
        if i > 0:
            z = own(residual)
            before, fresh = fresh, _dot(residual, z)
            search = _axpy(z, fresh / tf.maximum(before, tiny), search)
        image = factors.matvec(search)
        length = fresh / tf.maximum(_dot(search, image), tiny)
        X = _axpy(X, length, search)
        residual = _axpy(residual, -length, image)
    return X


def _dot(X: Sequence[tf.Tensor], Y: Sequence[tf.Tensor]) -> tf.Tensor:
    return tf.add_n([tf.reduce_sum(x * y) for x, y in zip(X, Y, strict=True)])


def _axpy(X: Sequence[tf.Tensor], scale: Any, Y: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    return [x + scale * y for x, y in zip(X, Y, strict=True)]
