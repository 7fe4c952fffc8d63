"""The feedback Nash equilibrium of a linearised game, by simultaneous solve.

Başar and Olsder, *Dynamic Noncooperative Game Theory*, chapter 6: every player's first-order
condition contains the policies of the others, and all are solved together (the coupled Riccati
equations). The feedback structure of Liu, Chen and Theodorou, (9)-(10), leaves the others' δθ out
of the expansion, so its gain is the single-player one; this is what it is compared with.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from dgn_tf.precise import matmul, matvec
from dgn_tf.recursion.linear_game import (
    DenseStage,
    DenseStageResult,
    hessian,
    stage_result,
    symmetric_part,
)


def solve(
    stages: Sequence[DenseStage], phi_x: tf.Tensor, phi_xx: tf.Tensor
) -> list[DenseStageResult]:
    """Policies and value functions of all players, as `dgn_tf.recursion.dense.solve` has them.

    Args:
        stages: the linearised game, first stage first.
        phi_x, phi_xx: gradient ``(m,)`` and Hessian ``(m, m)`` of the terminal cost.
    """
    V: tuple = ((phi_x, phi_xx),) * max(len(stage.F_n) for stage in stages)
    results = []
    for stage in reversed(stages):
        result, V = simultaneous_stage(stage, V)
        results.append(result)
    return results[::-1]


def simultaneous_stage(stage: DenseStage, V: tuple) -> tuple[DenseStageResult, tuple]:
    """Every player's policy and value function at one stage.

    Args:
        stage: a :class:`DenseStage`.
        V: for every slot ``(V_x, V_xx)`` at the next stage.

    Returns:
        The stage's solution and, for every slot, ``(V_x, V_xx)`` at this stage; a slot without a
        player is a spectator of the others' policies.
    """
    slots = stage.present
    F_n = [tf.convert_to_tensor(stage.F_n[n]) for n in slots]
    F = tf.concat(F_n, axis=1)
    sizes = [f.shape[1] for f in F_n]
    l_uu = [hessian(stage.l_uu[n], f.shape[1], f.dtype) for n, f in zip(slots, F_n, strict=True)]
    rows, g, G = [], [], []
    for i, slot in enumerate(slots):
        V_x, V_xx = V[slot]
        ahead = matmul(F_n[i], V_xx, transpose_a=True)
        blocks = tf.split(matmul(ahead, F), sizes, axis=1)
        blocks[i] += l_uu[i]
        rows.append(tf.concat(blocks, axis=1))
        g.append(stage.l_u[slot] + matvec(F_n[i], V_x, transpose_a=True))
        G.append(matmul(ahead, stage.F_x))
    right = tf.concat([tf.concat(g, axis=0)[:, None], tf.concat(G, axis=0)], axis=1)
    joint = least_squares(tf.concat(rows, axis=0), right)
    k, K = joint[:, 0], joint[:, 1:]
    gains = dict(zip(slots, zip(tf.split(k, sizes), tf.split(K, sizes), strict=True), strict=True))
    closed = stage.F_x - matmul(F, K)
    shift = matvec(F, k)
    values = []
    for slot, (V_x, V_xx) in enumerate(V):
        own_x = matvec(closed, V_x - matvec(V_xx, shift), transpose_a=True)
        own_xx = matmul(closed, matmul(V_xx, closed), transpose_a=True)
        if slot in slots:
            k_n, K_n = gains[slot]
            R_n = l_uu[slots.index(slot)]
            own_x += matvec(K_n, matvec(R_n, k_n) - stage.l_u[slot], transpose_a=True)
            own_xx += matmul(K_n, matmul(R_n, K_n), transpose_a=True)
        if stage.l_x is not None:
            own_x += stage.l_x
        if stage.l_xx is not None:
            own_xx += stage.l_xx
        values.append((own_x, symmetric_part(own_xx)))
    return stage_result(stage, gains, values), tuple(values)


def least_squares(A: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """``A⁺ b`` for ``(n, n)`` A and ``(n, m)`` b, by singular values above 10 n ε of the first."""
    values, left, right = tf.linalg.svd(A)
    cut = 10.0 * float(np.finfo(A.dtype.as_numpy_dtype).eps) * tf.cast(tf.size(values), A.dtype)
    kept = tf.where(values > cut * values[0], 1.0 / values, tf.zeros_like(values))
    return matmul(right, kept[:, None] * matmul(left, b, transpose_a=True))
