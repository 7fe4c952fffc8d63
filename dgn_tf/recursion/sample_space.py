"""The game of a batch in sample space, with all cross-sample terms.

With the terminal Hessian factored per sample, ``φ_xx^b = Z^b C_T^b Z^b'`` and
``φ_x^b = Z^b v_T^b``, D_t the plain chain-rule derivative of Z at the stage and
``U = [F_n' D_{t+1}]`` (weights × n, n = B·R), every value function of the recursions (9)-(11) and
(25) of Liu, Chen and Theodorou stays in the span of D::

    V_x = (1/B) D v,   V_xx = (1/B) D C D'

and only the n-vector v and the n × n matrix C are carried. A player enters through its
preconditioned tangent kernel ``Γ = U'M⁻¹U`` (n × n) and, with a running cost, ``q = U'M⁻¹ l_u``.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import tensorflow as tf

from dgn_tf import linalg
from dgn_tf.precise import matmul, matvec
from dgn_tf.recursion.linear_game import as_scalar
from dgn_tf.recursion.stage_value import StageValue, cholesky_solve, dense, put, take, times
from dgn_tf.rules import ABSENT_PLAYERS, DUPLICATED, FORMS, STRUCTURES
from dgn_tf.settings import one_of


def solve(
    v_T: tf.Tensor,
    C_T: tf.Tensor,
    kernels: Sequence[Sequence[tf.Tensor | None]],
    decay: Sequence[Sequence[tf.Tensor | None]] | None,
    lr: tf.Tensor,
    batch: tf.Tensor,
    form: str = "proximal",
    structure: str = "cooperative",
    absent_players: str = "dummy",
    agents: Sequence[int] | None = None,
    flat: tuple[int, int] | None = None,
) -> list[list[StageValue | None]]:
    """The weights (v, C) of every player's gain, ``lr M⁻¹ ((1/B) U (v + C s) + l_u)``.

    With ``ρ = lr / B``, the value function of a slot (feedback: Γ its own player's) or of the game
    (cooperative: Γ the sum of the stage's kernels) goes down the stages as

    - explicit: ``v ← v - C (ρ Γ v + lr q)``, ``C ← C - ρ C Γ C``; gains use the v, C ahead. C can
      lose definiteness at a large lr, and is carried as it is;
    - proximal: ``v ← (I + ρ CΓ)⁻¹ (v - lr C q)``, ``C ← (I + ρ CΓ)⁻¹ C``; gains use the updated
      v, C. In closed form, from the sums Γ̄ and w̄ over this stage and the later ones, with
      ``C_T = S S'``, ``A = I + ρ S'Γ̄S`` and ``b = v_T - lr C_T q̄``: ``C = S A⁻¹ S'`` and
      ``v = b - ρ S A⁻¹ S'Γ̄ b``;
    - coupled (cooperative structures; in the others it is explicit): the players' own second
      derivative is M / lr and the mixed ones are kept, so each player has weights of its own;
    - feedback_only: v and C stay v_T and C_T.

    Args:
        v_T: ``(n,)``, terminal weights.
        C_T: ``(n,)``, the diagonal of the terminal curvature, not negative.
        kernels: for every stage and slot Γ ``(n, n)``, or None where the slot has no player.
        decay: for every stage and slot q ``(n,)``, or None; None when there is no running cost.
        lr: scalar, the learning rate.
        batch: scalar, B.
        form: one of the four above.
        structure: ``open_loop``: v_T and no feedback; ``open_loop_cooperative``: every stage solved
            jointly against v_T, C_T, no feedback; ``feedback``: one value function per slot;
            ``cooperative``: one for the game.
        absent_players: ``dummy``: an absent slot passes its value function on; ``duplicated``: it
            answers with the kernel of the stage's lowest slot.
        agents: for every stage the number of equal agents that each player's weights are the sum
            of; the weights returned are those of one agent, and the player moves by their sum.
        flat: how many of the last of a sample's R columns have no curvature, and R; None for none.

    Returns:
        For every stage and slot the player's :class:`StageValue`, None where there is no player.

    Raises:
        ValueError: for an unknown form, structure or treatment of absent players, or for an empty
            stage.
    """
    one_of("form", form, FORMS)
    one_of("structure", structure, STRUCTURES)
    one_of("absent_players", absent_players, ABSENT_PLAYERS)
    for t, stage in enumerate(kernels):
        if all(kernel is None for kernel in stage):
            raise ValueError(f"Every stage needs a player. Received: none at stage {t}.")
    second, known = FORMS[form], STRUCTURES[structure]
    v_T, C_T = tf.convert_to_tensor(v_T), tf.convert_to_tensor(C_T)
    if known.is_gradient:
        return _spread(kernels, [StageValue(v_T)] * len(kernels))
    if not second.reduces:
        shared = StageValue(v_T, C_T if known.sees_state else None)
        return _spread(kernels, [shared] * len(kernels))
    lr = as_scalar(lr, v_T.dtype)
    problem = _Problem(v_T, C_T, lr, lr / as_scalar(batch, v_T.dtype), flat)
    counts = [1] * len(kernels) if agents is None else list(agents)
    if decay is None:
        decay = [[None] * len(stage) for stage in kernels]
    solve_chains = partial(_proximal if second.curved else _explicit, problem)
    if not known.joint:
        return _feedback(solve_chains, kernels, decay, absent_players == DUPLICATED)
    if second.crosses and not second.curved:
        return _coupled(problem, kernels, decay, counts, known.sees_state)
    teams = [_team(*stage) for stage in zip(kernels, decay, counts, strict=True)]
    if known.sees_state:
        return _spread(kernels, solve_chains([teams])[0])
    if not second.curved:
        return _spread(kernels, [StageValue(v_T)] * len(kernels))
    alone = solve_chains([[team] for team in teams])
    return _spread(kernels, [StageValue(chain[0].v) for chain in alone])


class _Problem(NamedTuple):
    """Terminal weights and step sizes: ``rho = lr / B``."""

    v: tf.Tensor
    C: tf.Tensor
    lr: tf.Tensor
    rho: tf.Tensor
    flat: tuple[int, int] | None


def _spread(kernels: Any, values: Any) -> list:
    """One value per stage, given to each of its players."""
    return [
        [value if kernel is not None else None for kernel in stage]
        for stage, value in zip(kernels, values, strict=True)
    ]


def _team(kernels: Any, decay: Any, agents: Any) -> tuple:
    """(11): players solved for together are one with the summed kernel Γ = Σ_n Γ_n, each counted
    once an agent (16)."""
    kernel = tf.add_n([kernel for kernel in kernels if kernel is not None])
    terms = [q for q in decay if q is not None]
    both = kernel, tf.add_n(terms) if terms else None
    return both if agents == 1 else tuple(x if x is None else agents * x for x in both)


def _feedback(solve_chains: Any, kernels: Any, decay: Any, duplicated: bool) -> list:
    """(9) and (10): one value function, so one chain, per slot; None where it has no player."""
    slots = max(len(stage) for stage in kernels)
    chains = []
    for slot in range(slots):
        chain = []
        for stage, qs in zip(kernels, decay, strict=True):
            n: int | None = slot
            if slot >= len(stage) or stage[slot] is None:
                present = next(n for n, kernel in enumerate(stage) if kernel is not None)
                n = present if duplicated else None
            chain.append((None, None) if n is None else (stage[n], qs[n]))
        chains.append(chain)
    values = solve_chains(chains)
    return [
        [values[n][t] if kernel is not None else None for n, kernel in enumerate(stage)]
        for t, stage in enumerate(kernels)
    ]


def _explicit(problem: Any, chains: Any) -> Any:
    """For every chain of (Γ, q) down the stages, the values with which the stages' gains are made:
    (10), or (25) where a chain is a team's, for Q_uu = M / lr."""
    found = []
    for chain in chains:
        values, v, C = [], problem.v, problem.C
        for kernel, q in reversed(chain):
            values.append(StageValue(v, C))
            if kernel is not None:
                pull = problem.rho * matvec(kernel, v)
                v = v - times(C, pull if q is None else pull + problem.lr * q)
                C = dense(C) - problem.rho * _around(C, kernel)
        found.append(values[::-1])
    return found


def _proximal(problem: Any, chains: Any) -> Any:
    """The same for Q_uu = M / lr + F'V_xx F, in the proximal closed form of
    `docs/sample_space.md`: C_t⁻¹ = C_T⁻¹ + (lr/B) Γ̄, all stages in one batched factorisation."""
    sums, decays, places = [], [], []
    for i, chain in enumerate(chains):
        total, q_total = None, None
        for t in reversed(range(len(chain))):
            kernel, q = chain[t]
            if kernel is None:
                continue
            total = kernel if total is None else total + kernel
            if q is not None:
                q_total = q if q_total is None else q_total + q
            sums.append(total)
            decays.append(q_total)
            places.append((i, t))
    rho, b, flat = problem.rho, problem.v, problem.flat
    S = tf.sqrt(tf.maximum(take(problem.C, flat), 0.0))
    scaled, kernels = tf.sqrt(rho) * S, tf.stack(sums)
    bent = take(kernels, flat, axes=2)
    lower = tf.linalg.cholesky(linalg.lifted(scaled[:, None] * scaled * bent, 1.0))
    if any(q is not None for q in decays):
        q = tf.stack([tf.zeros_like(b) if q is None else q for q in decays])
        b = b - problem.lr * problem.C * q
    answer = S * cholesky_solve(lower, S * take(matvec(kernels, b), flat))
    v = b - rho * put(answer, flat)
    ahead = StageValue(problem.v, problem.C)
    values = [[ahead] * len(chain) for chain in chains]
    for (i, t), v_t, lower_t in zip(places, tf.unstack(v), tf.unstack(lower), strict=True):
        values[i][t] = StageValue(v_t, root=S, cholesky=lower_t, flat=flat)
    return values


def _coupled(problem: Any, kernels: Any, decay: Any, agents: Any, closed_loop: bool) -> Any:
    """Players (or groups of equal agents) with P_nn = M / lr and the mixed terms kept.

    Player n of the stage answers with weights y_n: ``y_n + C Σ_{m≠n} (ρ Γ_m y_m + lr q_m) = v``,
    one linear system of all the stage's players; the same system with right side C gives the
    feedback. The value function loses ``C Σ_n (ρ Γ_n y_n + lr q_n)``.
    """
    rho, lr = problem.rho, problem.lr
    v, C = problem.v, dense(problem.C)
    eye = tf.eye(tf.size(v), dtype=v.dtype)
    result = []
    for stage, qs, count in reversed(list(zip(kernels, decay, agents, strict=True))):
        present = [n for n, kernel in enumerate(stage) if kernel is not None]
        reach = {n: matmul(rho * C, stage[n]) for n in present}
        drift = {n: 0.0 if qs[n] is None else lr * matvec(C, qs[n]) for n in present}
        rows, right = [], []
        for n in present:
            others = {m: float(count - (m == n)) for m in present}
            row = [others[m] * reach[m] + (eye if m == n else 0.0) for m in present]
            rows.append(tf.concat(row, axis=1))
            own = v - sum(others[m] * drift[m] for m in present)
            right.append(tf.concat([own[:, None], C], axis=1))
        if len(present) == 1 and count == 1:
            joint = right[0]
        else:
            joint = linalg.solve(tf.concat(rows, axis=0), tf.concat(right, axis=0))
        answers = dict(zip(present, tf.split(joint, len(present)), strict=True))
        values = {
            n: StageValue(y[:, 0], y[:, 1:] if closed_loop else None) for n, y in answers.items()
        }
        result.append([values.get(n) for n in range(len(stage))])
        if closed_loop:
            lost = count * tf.add_n([matmul(reach[n], answers[n]) for n in present])
            v = v - lost[:, 0] - count * sum(drift.values())
            C = C - lost[:, 1:]
            C = 0.5 * (C + tf.transpose(C))
    return result[::-1]


def _around(C: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """``C Γ C`` for symmetric C ``(n, n)`` or its diagonal ``(n,)``."""
    if C.shape.rank == 1:
        return C[:, None] * kernel * C
    return matmul(C, matmul(kernel, C))
