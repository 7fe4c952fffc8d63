"""A player's exact best response to adapted open-loop controls of the others.

With the others' controls given, player `i` solves a linear-quadratic problem of her own, whose
value is `½ x'K_t x + s_t'x + const`. Her gains do not depend on the others: with `Â = I + h A`,
backwards from `K = G_i`,

    d = h R_i + h² B_i'K_{t+1}B_i,   l = h (S_i + B_i'K_{t+1}Â),   F = -d^{-1} l,
    K_t = h Q_i + Â'K_{t+1}Â - l'd^{-1}l.

The others enter through one affine sweep, `b_t = h Σ_{j≠i} B_j u_j`:

    v = K_{t+1} b_t + E_t[s_{t+1}],   k_t = -h d^{-1} B_i'v,   s_t = Â'v + h F'B_i'v,

and the best response is `u = F X_t + k_t` along her own path. This is the discrete form of Hu 2019
(3.9) to (3.17), where `ψ` plays the part of `s`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fictitious_play.lq.checks import check_integer
from fictitious_play.lq.coefficients import basis_size, check_coefficients
from fictitious_play.lq.errors import NoEquilibriumError
from fictitious_play.lq.form import LinearQuadraticForm, as_form
from fictitious_play.lq.recursion import transition


@dataclass(frozen=True, eq=False)
class ResponseGains:
    """Player `i`'s own Riccati recursion.

    Attributes:
        K: `(steps + 1, n, n)`.
        F: `(steps, k_i, n)`.
        d: `(steps, k_i, k_i)`, the curvature of her cost in her control of each step.
    """

    K: np.ndarray
    F: np.ndarray
    d: np.ndarray


def response_gains(
    form: LinearQuadraticForm, player: int, profile: np.ndarray | None = None
) -> ResponseGains:
    """The recursion for `K`, `F` and `d`.

    Args:
        form: The game.
        player: The one who responds.
        profile: `None` where the others' controls are given processes. Gains `(steps, K, n)` where
            the others are feedback players, who answer the deviated state: `Â` then holds their
            reaction.

    Raises:
        NoEquilibriumError: Where the player's cost is not convex in her controls.
    """
    h, where = form.step_size, form.control_slices[player]
    n, k = form.state_size, form.control_sizes[player]
    K, F, d = np.zeros((form.steps + 1, n, n)), np.zeros((form.steps, k, n)), []
    K[-1] = form.G[player]
    for t in reversed(range(form.steps)):
        stage = form.stages[t]
        A_hat, B = transition(np, stage.A, h), stage.B[:, where]
        if profile is not None:
            A_hat = A_hat + h * (stage.B @ profile[t] - B @ profile[t, where])
        curvature = h * stage.R[where, where] + h * h * (B.T @ K[t + 1] @ B)
        if np.linalg.eigvalsh(curvature).min() <= 0.0:
            raise NoEquilibriumError(
                f"The problem of player {player} is not convex in her control at t = {t * h:.9g}, "
                "so she has no best response",
                t * h,
            )
        row = h * (stage.S[where] + B.T @ K[t + 1] @ A_hat)
        F[t] = -np.linalg.solve(curvature, row)
        K[t] = h * stage.Q[player] + A_hat.T @ K[t + 1] @ A_hat + row.T @ F[t]
        K[t] = 0.5 * (K[t] + K[t].T)
        d.append(curvature)
    return ResponseGains(K, F, np.stack(d[::-1]))


def affine_terms(
    form: LinearQuadraticForm,
    player: int,
    gains: ResponseGains,
    controls: np.ndarray,
    known: Any = None,
) -> np.ndarray:
    """`k_t` of the backward sweep, `(steps, k_i, columns)`.

    Args:
        controls: `(steps, K, columns)` of all players, her own ignored. Columns are coefficients on
            a basis, or paths.
        known: Function from the step to the number of leading columns that are known then; the
            others are masked. `None` masks nothing: `E_t` is left out.
    """
    h, where = form.step_size, form.control_slices[player]
    others = np.ones((form.control_size, 1))
    others[where] = 0.0
    columns = controls.shape[-1]
    s = np.zeros((form.state_size, columns))
    k = np.zeros((form.steps, form.control_sizes[player], columns))
    for t in reversed(range(form.steps)):
        stage = form.stages[t]
        seen = columns if known is None else known(t)
        b = (h * stage.B * others.T) @ controls[t][:, :seen]
        v = gains.K[t + 1] @ b + s[:, :seen]
        push = h * (stage.B[:, where].T @ v)
        k[t, :, :seen] = -np.linalg.solve(gains.d[t], push)
        s = transition(np, stage.A, h).T @ v + gains.F[t].T @ push
    return k


def respond(
    form: LinearQuadraticForm,
    player: int,
    gains: ResponseGains,
    coefficients: np.ndarray,
) -> np.ndarray:
    """Coefficients `(steps, k_i, 1 + n + m steps)` of the best response, gains given."""
    where, h, m = form.control_slices[player], form.step_size, form.noise_size
    k = affine_terms(form, player, gains, coefficients, lambda t: basis_size(form, t))
    x = np.zeros((form.state_size, basis_size(form)))
    x[:, 1 : 1 + form.state_size] = np.eye(form.state_size)
    response = k
    for t, stage in enumerate(form.stages):
        known = basis_size(form, t)
        profile = coefficients[t][:, :known].copy()
        profile[where] = response[t, :, :known] = gains.F[t] @ x[:, :known] + k[t, :, :known]
        x[:, :known] += h * (stage.A @ x[:, :known] + stage.B @ profile)
        x[:, known : known + m] += stage.L
    return response


def best_response(game: Any, coefficients: Any, player: int | None = None) -> np.ndarray:
    """Exact best responses to a linear open-loop profile.

    Args:
        game: The game.
        coefficients: `(steps, K, 1 + n + m steps)`, the profile; see `fictitious_play.lq.basis`.
        player: The one who responds, or `None` for all of them, each to the others' given controls.

    Returns:
        `(steps, k_i, 1 + n + m steps)` for one player, `(steps, K, 1 + n + m steps)` for all.
    """
    form = as_form(game)
    coefficients = check_coefficients(form, coefficients)
    if player is not None:
        player = check_integer("player", player, 0)
        if player >= form.players:
            raise ValueError(f"`player` must be below {form.players}. Received: {player}")
        return respond(form, player, response_gains(form, player), coefficients)
    return np.concatenate(
        [respond(form, i, response_gains(form, i), coefficients) for i in range(form.players)],
        axis=1,
    )
