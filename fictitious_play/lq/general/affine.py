"""Affine feedback profiles `u_t = K_t X_t + k_t`: how well one holds, and the one inside a policy.

The exact gain of leaving a closed-loop profile, whatever it is made of:

    profile = affine_gains(controls, states)                    # (steps, K, n + 1), [K_t, k_t]
    exploitability = profile_exploitability(game, profile, "closed_loop")
    answer = feedback_response(game, profile)                   # everybody's best response to it

`affine_gains` linearises an arbitrary policy along its own paths. For a policy that is affine the
gain is exact. For any other, this is about the affine profile beside it; played against the
*policy*, `answer` is still a deviation that a player has, and what it saves is a lower bound of
what she could gain.

The constant is one more state, which starts at one and stays there: every formula for linear
feedback holds for affine feedback of the game that has it.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from fictitious_play import checks
from fictitious_play.lq.general.best_response import response_gains
from fictitious_play.lq.general.form import LinearQuadraticForm, as_form
from fictitious_play.lq.general.rollout import check_gains


def with_constant(game: Any) -> LinearQuadraticForm:
    """The same game with one more state, the last, which is one for ever.

    Entries of the matrices there are constants of the drift and linear terms of the costs, so this
    is also how to write a game with affine dynamics or costs: fill them in.
    """
    form = as_form(game)

    def wider(matrix: Any, rows: int, columns: int) -> Any:
        return np.pad(matrix, [(0, 0)] * (matrix.ndim - 2) + [(0, rows), (0, columns)])

    return replace(
        form,
        A=wider(form.A, 1, 1),
        B=[wider(matrix, 1, 0) for matrix in form.B],
        Q=[wider(matrix, 1, 1) for matrix in form.Q],
        S=[wider(matrix, 0, 1) for matrix in form.S],
        G=wider(form.G, 1, 1),
        L=wider(form.L, 1, 0),
        initial_mean=np.append(form.initial_mean, 1.0),
        initial_covariance=wider(form.initial_covariance, 1, 1),
        symmetric_parameters=None,
    )


def for_gains(game: Any, gains: Any) -> tuple[LinearQuadraticForm, np.ndarray]:
    """The form in which gains, linear `(steps, K, n)` or affine `(steps, K, n + 1)`, are linear."""
    form = as_form(game)
    gains = check_gains(form, gains, affine=True)
    return (form if gains.shape[2] == form.state_size else with_constant(form)), gains


def feedback_response(game: Any, gains: Any, player: int | None = None) -> np.ndarray:
    """Exact best responses to a closed-loop profile, whose players answer the deviated state.

    Args:
        game: A linear-quadratic game.
        gains: `(steps, K, n)`, or affine `(steps, K, n + 1)` with the constants in the last column.
        player: The one who responds, or `None` for all of them, each to the others' given feedback.

    Returns:
        Gains of the same kind as those given, `(steps, k_i, ...)` for one player, `(steps, K, ...)`
        for all.

    Raises:
        NoEquilibriumError: Where a player has no best response because her cost is not convex.
    """
    form, gains = for_gains(game, gains)
    if player is not None:
        player = checks.integer("player", player, 0)
        if player >= form.players:
            raise ValueError(f"`player` must be below {form.players}. Received: {player}")
        return response_gains(form, player, gains).feedback
    return np.concatenate(
        [response_gains(form, i, gains).feedback for i in range(form.players)], axis=1
    )


def affine_gains(controls: Any, states: Any, tolerance: float | None = None) -> np.ndarray:
    """The affine feedback inside sampled controls: their regression on `(X_t, 1)` at each step.

    A state that stays where it is at a step, or moves only as others do, tells nothing about how
    the controls depend on it. Among the gains that fit equally well the smallest are taken, states
    in units of their spread, so such a state gets zero and its share is in the constant.

    Args:
        controls: `(batch, steps, K)`.
        states: `(batch, steps, n)` or `(batch, steps + 1, n)`, the last one then unused.
        tolerance: Spread of a state, relative to its size, and of a combination of states, relative
            to theirs, below which it is round-off. `None`: 1e-10, or 1e-5 for float32 samples.

    Returns:
        `(steps, K, n + 1)`, the constants in the last column.
    """
    if tolerance is None:
        tolerance = 1e-5 if getattr(states, "dtype", None) == np.float32 else 1e-10
    tolerance = checks.number("tolerance", tolerance, above=0.0)
    controls = checks.finite_array("controls", controls)
    states = checks.finite_array("states", states)
    if (
        controls.ndim != 3
        or states.ndim != 3
        or states.shape[0] != controls.shape[0]
        or states.shape[1] - controls.shape[1] not in (0, 1)
    ):
        raise ValueError(
            "`controls` must have the shape (batch, steps, K) and `states` (batch, steps, n) or "
            f"(batch, steps + 1, n). Received: {controls.shape} and {states.shape}"
        )
    if len(states) <= states.shape[2] + 1:
        raise ValueError(
            f"The regression needs more than {states.shape[2] + 1} paths. Received: {len(states)}"
        )
    states = states[:, : controls.shape[1]]
    x_mean, u_mean = states.mean(axis=0), controls.mean(axis=0)
    x, u = np.moveaxis(states - x_mean, 1, 0), np.moveaxis(controls - u_mean, 1, 0)
    spread = x.std(axis=1, keepdims=True)
    moves = spread > tolerance * np.abs(states).max(axis=(0, 1))
    unit = np.where(moves, 1.0, 0.0) / np.where(moves, spread, 1.0)
    left, values, right = np.linalg.svd(x * unit, full_matrices=False)
    visible = values > tolerance * np.sqrt(len(states))
    inverse = np.where(visible, 1.0, 0.0) / np.where(visible, values, 1.0)
    projected = inverse[:, :, None] * (np.swapaxes(left, 1, 2) @ u)
    gains = np.swapaxes(np.swapaxes(right, 1, 2) @ projected, 1, 2) * unit
    constants = u_mean[:, :, None] - gains @ x_mean[:, :, None]
    return np.concatenate([gains, constants], axis=2)
