"""Continuous-time Nash equilibria of general linear-quadratic games, by ODE.

    F = -R^{-1} (S + Π),  row block i of Π being B_i'P_i,      A_cl = A + B F

    open loop:    -P_i' = Q_i + S_i'F_i + A'P_i + P_i A_cl                        (not symmetric)
    closed loop:  -P_i' = Q_i + S_i'F_i + F_i'S_i + F_i'R_i F_i + A_cl'P_i + P_i A_cl

with `P_i(T) = G_i`, discounted at the rate `ρ` by `-ρ P_i` on every right-hand side, and beside
them the equilibrium's value matrices, which obey the second equation with that `F`. A solution that
escapes to infinity before it reaches `t = 0` means that the game has no equilibrium in feedback
form on the whole horizon.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from fictitious_play.lq.general.errors import (
    FiniteEscapeError,
    NoEquilibriumError,
    SingularGameError,
)
from fictitious_play.lq.general.form import LinearQuadraticForm, TimeStep
from fictitious_play.lq.general.recursion import running_weight, transpose

# A matrix this many times larger than the game's own scale counts as infinite; it is within about
# 1e-9 of the escape time.
ESCAPE = 1e9


def continuous_nash(
    form: LinearQuadraticForm, structure: str, rtol: float = 1e-12
) -> tuple[np.ndarray, np.ndarray]:
    """Costs `(players,)` and gains `(steps, K, n)` at `t = 0, h, ..., T - h`.

    Coefficients that vary in time are constant on every step, and the ODE is solved step by step.

    Raises:
        FiniteEscapeError: Where a Riccati equation of the equilibrium has a finite escape time in
            `[0, T]`.
        NoEquilibriumError: Under open loop, where that of a player's own problem has one.
        SingularGameError: Where the stacked `R` is singular.
    """
    form, rate = replace(form, discount=0.0), form.discount
    # Slow to import, and games with a closed form do not need it.
    from scipy.integrate import solve_ivp

    N, n = form.players, form.state_size
    open_loop = structure == "open_loop"
    size = N * n * n
    # Single-player Riccati equations tell whether every player's problem is convex.
    convexity = open_loop and not is_convex(form)
    blocks = 1 + open_loop + convexity
    state = np.concatenate([np.tile(form.G.ravel(), blocks), np.zeros(N)])
    scale = 1.0 + max(
        np.abs(form.G).max(),
        *(np.abs(q).max() * max(form.horizon, 1.0) for q in form.Q),
        *(np.abs(s).max() for s in form.S),
    )
    h, steps = form.step_size, form.steps
    segments = [(t + 1, t) for t in reversed(range(steps))] if form.time_varying else [(steps, 0)]
    gains = np.zeros((steps, form.control_size, n))
    for last, first in segments:
        step = form.time_steps[first]
        if np.linalg.cond(step.R) > 1e14:
            raise SingularGameError(
                f"The equations of all players' controls are singular on [{first * h:g}, "
                f"{last * h:g}]: there is no equilibrium in continuous time, or many",
                last * h,
            )
        solve_R = np.linalg.inv(step.R)
        LL = step.L @ step.L.T

        def gain(P: Any, step: Any = step, solve_R: Any = solve_R) -> Any:
            own = np.take(P, form.owner, axis=0)
            pi = (step.B.T[:, None, :] @ own)[:, 0, :]
            return -solve_R @ (step.S + pi)

        def backward(_: Any, y: Any, step: Any = step, gain: Any = gain, LL: Any = LL) -> Any:
            """Derivatives in `s = T - t` of (P, value, convexity, noise cost), in this order."""
            P = y[:size].reshape(N, n, n)
            F = gain(P)
            A_cl = step.A + step.B @ F
            parts = []
            value = P
            if open_loop:
                weight = running_weight(step, F, form.owner, True)
                parts.append(weight + step.A.T @ P + P @ A_cl)
                value = y[size : 2 * size].reshape(N, n, n)
            weight = running_weight(step, F, form.owner, False)
            parts.append(weight + transpose(A_cl[None]) @ value + value @ A_cl)
            if convexity:
                parts.append(_single_player(form, step, y[2 * size : 3 * size].reshape(N, n, n)))
            noise = 0.5 * np.einsum("ijk,jk->i", value, LL)
            return np.concatenate([part.ravel() for part in parts] + [noise]) - rate * y

        def escape(_: Any, y: Any) -> Any:
            return np.abs(y[:-N]).max() - ESCAPE * scale

        escape.terminal = True  # type: ignore[attr-defined]
        span = (form.horizon - last * h, form.horizon - first * h)
        # Reached at the right-hand end of every step of the segment, last step first.
        samples = form.horizon - h * np.arange(last, first - 1, -1)
        samples[0], samples[-1] = span
        with np.errstate(over="ignore", invalid="ignore"):
            solution = solve_ivp(
                backward,
                span,
                state,
                method="DOP853",
                t_eval=samples,
                events=escape,
                rtol=rtol,
                atol=1e-13 * scale,
            )
        if solution.status != 0:
            reached = solution.t_events[0]
            time = form.horizon - (reached[0] if len(reached) else solution.t[-1])
            final = solution.y_events[0][0] if len(reached) else solution.y[:, -1]
            largest = np.abs(final[:-N].reshape(blocks, N, -1)).max(axis=2)
            if convexity and largest[:-1].max() < 1e-3 * largest[-1].max():
                player = int(largest[-1].argmax())
                raise NoEquilibriumError(
                    f"The problem of player {player} is not convex in her controls on a horizon "
                    f"that begins at t = {time:.9g} or earlier (a conjugate point), so she has no "
                    f"best response and the game no equilibrium on [0, {form.horizon:g}]",
                    time,
                    player=player,
                )
            raise FiniteEscapeError(
                f"The {structure.replace('_', '-')} Riccati equations of the continuous-time "
                f"game escape to infinity at t = {time:.9g}, so there is no such equilibrium on "
                f"[0, {form.horizon:g}]",
                time,
            )
        state = solution.y[:, -1]
        for column, t in enumerate(range(last - 1, first - 1, -1), start=1):
            gains[t] = gain(solution.y[:size, column].reshape(N, n, n))
    where = size if open_loop else 0
    value = state[where : where + size].reshape(N, n, n)
    second = form.initial_covariance + np.outer(form.initial_mean, form.initial_mean)
    return 0.5 * np.einsum("ijk,jk->i", value, second) + state[-N:], gains


def is_convex(form: LinearQuadraticForm) -> bool:
    """Whether every `[[Q_i, S_i'], [S_i, R_i]]` and `G_i` is positive semidefinite.

    Then each player's problem is convex whatever the others do; where not, it may still be.
    """
    if not _semidefinite(form.G):
        return False
    for step in form.time_steps[: form.steps if form.time_varying else 1]:
        schur = step.Q.copy()
        for i, where in enumerate(form.control_slices):
            S = step.S[where]
            schur[i] -= S.T @ np.linalg.solve(step.R[where, where], S)
        if not _semidefinite(schur):
            return False
    return True


def _semidefinite(matrices: np.ndarray) -> bool:
    """Whether all are positive semidefinite up to round-off, by Cholesky of slightly more."""
    shift = 1e-12 * (1.0 + np.abs(matrices).max()) * np.eye(matrices.shape[-1])
    try:
        np.linalg.cholesky(matrices + shift)
    except np.linalg.LinAlgError:
        return False
    return True


def _single_player(form: LinearQuadraticForm, step: TimeStep, K: np.ndarray) -> np.ndarray:
    """`-K_i' = Q_i + A'K_i + K_i A - (S_i + B_i'K_i)'R_i^{-1}(S_i + B_i'K_i)`."""
    result = step.Q + step.A.T @ K + K @ step.A
    for i, where in enumerate(form.control_slices):
        row = step.S[where] + step.B[:, where].T @ K[i]
        result[i] -= row.T @ np.linalg.solve(step.R[where, where], row)
    return result
