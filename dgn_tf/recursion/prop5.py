"""The factored cooperative gain of Proposition 5, equation (14), of Liu, Chen and Theodorou.

For two players u and v it replaces the Schur complement of the joint matrix,
``A_uu ⊗ B_uu - (A_uv A_vv⁺ A_uv') ⊗ (B_uv B_vv⁺ B_uv')``, by the Kronecker product of the factors'
own Schur complements. That is always the smaller matrix, so the step is too long: by little for
independent players, without limit as they come to share their input or their output gradient
(fictitious agents, branches, cooperative blocks), where only the damping keeps it regular. It is
kept for comparison; the sample-space solver has no such case.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dgn_tf.curvature.damping import damped_inverse
from dgn_tf.precise import matmul
from dgn_tf.recursion.khatri_rao import JointFactors, joint_factors


def solve(captures: Sequence, right: Sequence, damping: Any, fisher: str = "game") -> list:
    """Both players' gains from their right sides.

    ``X_u = Ã⁻¹ (Y_u - A_uv A_vv⁻¹ Y_v B_vv⁻¹ B_uv') B̃⁻¹`` with
    ``Ã = A_uu - A_uv A_vv⁻¹ A_uv'`` and B̃ likewise, all diagonal blocks damped.

    Args:
        captures: of the stage's two players.
        right: ``(I, O)`` for every player.
        damping: λ, strong where the players have something in common.
        fisher: as :class:`dgn_tf.curvature.KFACBlock`.

    Raises:
        ValueError: for more than two players: stacking the others' inputs and gradients would
            pair weights that do not exist.
    """
    if len(captures) != 2:
        raise ValueError(
            "Proposition 5 is for two players per stage. Received: "
            f"{len(captures)}. Use the sample-space or the Khatri-Rao solver."
        )
    factors = joint_factors(captures, damping, fisher)
    return [_gain(factors, right, 0, 1), _gain(factors, right, 1, 0)]


def schur_factors(factors: JointFactors, u: int, v: int) -> tuple[tf.Tensor, tf.Tensor]:
    """``Ã`` and ``B̃`` of player u against v."""
    complements = []
    for blocks in (factors.A, factors.B):
        mixed = blocks[u][v]
        inner = damped_inverse(blocks[v][v], 0.0)
        complements.append(blocks[u][u] - matmul(mixed, matmul(inner, mixed, transpose_b=True)))
    return complements[0], complements[1]


def _gain(factors: JointFactors, right: Sequence[tf.Tensor], u: int, v: int) -> tf.Tensor:
    A_u, B_u = schur_factors(factors, u, v)
    of_v = factors.block_inverses()[v](right[v])
    known = matmul(factors.A[u][v], matmul(of_v, factors.B[u][v], transpose_b=True))
    return matmul(matmul(damped_inverse(A_u, 0.0), right[u] - known), damped_inverse(B_u, 0.0))
