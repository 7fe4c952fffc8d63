"""The dynamic game of one batch, solved exactly with dense matrices.

Liu, Chen and Theodorou, *Dynamic Game Theoretic Neural Optimizer* (ICML 2021), equations (5) to
(13) and (25). Everything is written out, so the cost is cubic in the number of weights of a player
and in the size of the stacked state: these functions are for small networks, and they are what the
cheaper forms are held against.

The dynamics are linear, ``x_{t+1} = F_x δx + Σ_n F_n δθ_n``, the state is the stack of the batch's
samples, and the sign of a policy is ``δθ_n = -(k_n + K_n δx)``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from dgn_tf.linalg import eigh
from dgn_tf.precise import matmul, matvec
from dgn_tf.recursion.linear_game import (
    DenseGain,
    DenseStage,
    DenseStageResult,
    as_scalar,
    chain_rule,
    hessian,
    stage_result,
    symmetric_part,
)
from dgn_tf.rules import ABSENT_PLAYERS, DUPLICATED, EXACT_FORM, FORMS, STRUCTURES, Form
from dgn_tf.settings import one_of


def solve(
    stages: Sequence[DenseStage],
    phi_x: tf.Tensor,
    phi_xx: tf.Tensor,
    structure: str = "feedback",
    *,
    absent_players: str = "dummy",
    M: Sequence[Sequence[tf.Tensor | None]] | None = None,
    form: str | None = None,
    lr: float | tf.Tensor = 1.0,
) -> list[DenseStageResult]:
    """Gains and value functions of every player at every stage.

    ``Q_uu`` (or the diagonal blocks of the joint ``P_nm``) by form, V the value function ahead::

        None           l_uu + F_n' V_xx F_n          exact: M and lr play no part
        explicit       M / lr                        P_nm = 0 for n ≠ m
        proximal       M / lr + l_uu + F_n' V_xx F_n
        coupled        M / lr                        P_nm = F_n' V_xx F_m for n ≠ m
        feedback_only  M / lr                        the value function by the chain rule alone

    A symmetric system that is singular is solved by its pseudoinverse.

    Args:
        stages: the linearised game, first stage first.
        phi_x: gradient of the terminal cost, ``(m,)`` of the last stage.
        phi_xx: its Hessian, ``(m, m)``.
        structure: ``open_loop`` (5), ``open_loop_cooperative``, ``feedback`` (9)-(10),
            or ``cooperative`` (11) and (25).
        absent_players: ``dummy``: a slot without a player at a stage passes (Q_x, Q_xx) on;
            ``duplicated``: it plays the weights of the stage's lowest slot against its own value
            function, and that gain is not applied.
        M: for every stage and slot ``(p, p)``, the preconditioner without the learning rate;
            every form but the exact one needs it.
        form: one of the table's.
        lr: the learning rate of the table.

    Returns:
        One :class:`DenseStageResult` per stage, first stage first.

    Raises:
        ValueError: for an unknown structure, form or treatment of absent players, for a missing
            M, and for a stage without players.
    """
    _check(stages, structure, form, absent_players, M)
    known = STRUCTURES[structure]
    phi_x, phi_xx = tf.convert_to_tensor(phi_x), tf.convert_to_tensor(phi_xx)
    lr = as_scalar(lr, phi_x.dtype)
    W: tuple = (phi_x, phi_xx)
    V: tuple = ((phi_x, phi_xx),) * max(len(stage.F_n) for stage in stages)
    results: list[DenseStageResult] = []
    for t in reversed(range(len(stages))):
        rule = _Rule(EXACT_FORM if form is None else FORMS[form], lr, None if M is None else M[t])
        if not known.joint:
            duplicated = absent_players == DUPLICATED
            result, V = _alone(stages[t], V, rule, duplicated, known.sees_state)
        else:
            result, W = _cooperative(stages[t], W, rule, len(V), known.sees_state)
        results.append(result)
    return results[::-1]


def cooperative_value(
    P_x: tf.Tensor,
    P_xx: tf.Tensor,
    g: tf.Tensor,
    G: tf.Tensor,
    H: tf.Tensor,
    k: tf.Tensor,
    K: tf.Tensor,
) -> tuple:
    """(25): the cooperative value function under an affine policy, best response or not.

    Args:
        P_x, P_xx: ``(n,)`` and ``(n, n)``, the expansion of the stage objective in the state.
        g, G, H: ``(p,)``, ``(p, n)``, ``(p, p)``: in the stacked weights of all players.
        k, K: ``(p,)``, ``(p, n)``: the policy ``-(k + K δx)``.

    Returns:
        ``W_x`` ``(n,)`` and ``W_xx`` ``(n, n)``; ``P_x - G'k`` and ``P_xx - G'K`` when the gains
        solve ``H k = g``, ``H K = G``.
    """
    GtK = matmul(G, K, transpose_a=True)
    W_x = P_x - matvec(G, k, transpose_a=True) - matvec(K, g - matvec(H, k), transpose_a=True)
    W_xx = P_xx - GtK - tf.transpose(GtK) + matmul(K, matmul(H, K), transpose_a=True)
    return W_x, symmetric_part(W_xx)


def symmetric_solve(H: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """``H⁺ b`` for a symmetric ``(p, p)`` H, definite or not, and ``(p, q)`` b."""
    values, vectors = eigh(H)
    size = tf.abs(values)
    cutoff = 10.0 * H.shape[0] * np.finfo(H.dtype.as_numpy_dtype).eps * tf.reduce_max(size)
    inverse = tf.where(size > cutoff, 1.0 / tf.where(size > cutoff, values, 1.0), 0.0)
    return matmul(vectors, inverse[:, None] * matmul(vectors, b, transpose_a=True))


@dataclass(frozen=True)
class _Rule:
    """What stands for the second derivatives in the weights at one stage."""

    second: Form
    lr: tf.Tensor
    M: Sequence | None

    def diagonal(self, stage: DenseStage, n: int, V_xx: tf.Tensor) -> Any:
        """Q_uu, or P_nn, of the player in slot n: ``(p, p)``."""
        terms = []
        if self.second.preconditioned:
            terms.append(self.M[n] / self.lr)  # type: ignore[index]
        if self.second.curved:
            F = tf.convert_to_tensor(stage.F_n[n])
            terms.append(hessian(stage.l_uu[n], F.shape[1], F.dtype))
            terms.append(matmul(F, matmul(V_xx, F), transpose_a=True))
        return tf.add_n(terms)


def _respond(stage: DenseStage, n: int, V: tuple, rule: _Rule) -> tuple:
    """The k, K and Q_ux of the player in slot n against the value function V, by (9)."""
    V_x, V_xx = V
    F = stage.F_n[n]
    Q_u = stage.l_u[n] + matvec(F, V_x, transpose_a=True)
    Q_ux = matmul(F, matmul(V_xx, stage.F_x), transpose_a=True)
    gains = symmetric_solve(rule.diagonal(stage, n, V_xx), tf.concat([Q_u[:, None], Q_ux], axis=1))
    return gains[:, 0], gains[:, 1:], Q_ux


def _alone(stage: DenseStage, V: tuple, rule: _Rule, duplicated: bool, sees_state: bool) -> tuple:
    """(9) and (10), one value function per slot; where the players do not see the state, (5), the
    preconditioned gradient, and all slots hold the co-state and its derivative."""
    values, gains = [], {}
    for slot, V_slot in enumerate(V):
        Q_x, Q_xx = chain_rule(stage, V_slot)
        if slot in stage.present or duplicated:
            n = slot if slot in stage.present else stage.present[0]
            k, K, Q_ux = _respond(stage, n, V_slot, rule)
            gains[slot] = (k, K if sees_state else tf.zeros_like(K))
            if sees_state and rule.second.reduces:
                Q_x -= matvec(Q_ux, k, transpose_a=True)
                Q_xx = symmetric_part(Q_xx - matmul(Q_ux, K, transpose_a=True))
        values.append((Q_x, Q_xx))
    return stage_result(stage, gains, values), tuple(values)


def _cooperative(stage: DenseStage, W: tuple, rule: _Rule, slots: int, closed_loop: bool) -> tuple:
    """(11) with the others as one team, and (25)."""
    W_x, W_xx = W
    P_x, P_xx = chain_rule(stage, W)
    F_n = [tf.convert_to_tensor(stage.F_n[n]) for n in stage.present]
    sizes = [f.shape[1] for f in F_n]
    F = tf.concat(F_n, axis=1)
    g = tf.concat([stage.l_u[n] for n in stage.present], axis=0) + matvec(F, W_x, transpose_a=True)
    G = matmul(F, matmul(W_xx, stage.F_x), transpose_a=True)
    WF = matmul(W_xx, F)
    rows = []
    for i, n in enumerate(stage.present):
        blocks = tf.split(matmul(F_n[i], WF, transpose_a=True), sizes, axis=1)
        if not rule.second.crosses:
            blocks = [tf.zeros_like(block) for block in blocks]
        blocks[i] = rule.diagonal(stage, n, W_xx)
        rows.append(tf.concat(blocks, axis=1))
    H = tf.concat(rows, axis=0)
    gains = symmetric_solve(H, tf.concat([g[:, None], G], axis=1))
    k, K = gains[:, 0], gains[:, 1:]
    if not closed_loop:
        K = tf.zeros_like(K)
    W = (P_x, P_xx)
    if closed_loop and rule.second.reduces:
        W = cooperative_value(P_x, P_xx, g, G, H, k, K)
    split = zip(stage.present, tf.split(k, sizes), tf.split(K, sizes), strict=True)
    by_slot = {n: DenseGain(k_n, K_n) for n, k_n, K_n in split}
    return DenseStageResult(tuple(by_slot.get(n) for n in range(slots)), *W), W


def _check(stages: Sequence, structure: str, form: str | None, absent_players: str, M: Any) -> None:
    one_of("structure", structure, STRUCTURES)
    one_of("absent_players", absent_players, ABSENT_PLAYERS)
    if form is not None:
        one_of("form", form, FORMS, ", or None")
    if not stages or not all(stage.present for stage in stages):
        raise ValueError(
            "A game needs at least one stage and every stage a player. Received: players in slots "
            f"{[stage.present for stage in stages]}."
        )
    if form is not None and (M is None or len(M) != len(stages)):
        raise ValueError(
            f"Form {form!r} needs a preconditioner M for every stage and player. Received: "
            f"{'none' if M is None else len(M)} for {len(stages)} stages."
        )
