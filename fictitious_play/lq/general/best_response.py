"""A player's exact best response to adapted open-loop controls of the others.

With the others' controls given, player `i` solves a linear-quadratic problem of her own, whose
value is `½ x'K_t x + s_t'x + const`. Her gains do not depend on the others: with `Â = I + h A`,
backwards from `K = G_i`,

    d = h R_i + h² B_i'K_{t+1}B_i,   l = h (S_i + B_i'K_{t+1}Â),   F = -d^{-1} l,
    K_t = h Q_i + Â'K_{t+1}Â - l'd^{-1}l.

The others enter through one affine sweep, `b_t = h Σ_{j≠i} B_j u_j`:

    v = K_{t+1} b_t + E_t[s_{t+1}],   k_t = -h d^{-1} B_i'v,   s_t = Â'v + h F'B_i'v,

and the best response is `u = F X_t + k_t` along her own path. Where she pays for the others'
controls, `h R_i u_{-i}` in the rows of her own controls joins `h B_i'v`, and `h S_i'u_{-i}` joins
`s_t`. This is the discrete form of Hu 2019
(3.9) to (3.17), where `ψ` plays the part of `s`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fictitious_play import checks
from fictitious_play.lq.general.coefficients import basis_size, check_coefficients
from fictitious_play.lq.general.errors import not_convex, smallest_curvature
from fictitious_play.lq.general.form import LinearQuadraticForm, as_form
from fictitious_play.lq.general.reduction import relevant_directions


@dataclass(frozen=True, eq=False)
class ResponseGains:
    """Player `i`'s own Riccati recursion, in the `r` directions of the state that concern her.

    Attributes:
        directions: `V`, `(n, r)`, orthonormal; see `fictitious_play.lq.general.reduction`.
        A_hat: `(steps, r, r)`, `I + h V'AV`.
        B: `(steps, r, K)`, `V'B`.
        L: `(steps, r, m)`, `V'L`.
        K: `(steps + 1, r, r)`.
        F: `(steps, k_i, r)`.
        d: `(steps, k_i, k_i)`, the curvature of her cost in her control of each step.
        push: `(steps, k_i, K)`, slope of her running cost in her controls by the others', or `None`
            where she does not pay for these.
        tilt: `(steps, r, K)`, its slope in the state by the others' controls, or `None`.
    """

    directions: np.ndarray
    A_hat: np.ndarray
    B: np.ndarray
    L: np.ndarray
    K: np.ndarray
    F: np.ndarray
    d: np.ndarray
    push: Any = None
    tilt: Any = None

    @property
    def feedback(self) -> np.ndarray:
        """`F V'`, the gains on the whole state, `(steps, k_i, n)`."""
        return self.F @ self.directions.T


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
    h, steps, where = form.step_size, form.steps, form.control_slices[player]
    V = relevant_directions(form, player) if profile is None else np.eye(form.state_size)
    r, k = V.shape[1], form.control_sizes[player]
    A_hat = np.stack([np.eye(r) + h * (V.T @ step.A @ V) for step in form.time_steps])
    B = np.stack([V.T @ step.B for step in form.time_steps])
    if profile is not None:
        A_hat = A_hat + h * (B @ profile - B[:, :, where] @ profile[:, where])
    K, F, d = np.zeros((steps + 1, r, r)), np.zeros((steps, k, r)), np.zeros((steps, k, k))
    K[-1] = V.T @ form.terminal[player] @ V
    others = np.ones(form.control_size)
    others[where] = 0.0
    for t in reversed(range(steps)):
        step, own = form.time_steps[t], B[t, :, where]
        Q, S = step.Q[player], step.S[where]
        if profile is not None and form.coupled:
            rest = others[:, None] * profile[t]
            cross = step.S_all[player].T @ rest
            Q = Q + cross + cross.T + rest.T @ step.R_all[player] @ rest
            S = S + step.R[where] @ rest
        d[t] = h * step.R[where, where] + h * h * (own.T @ K[t + 1] @ own)
        least = smallest_curvature(d[t], h * step.R[where, where])
        if least <= 0.0:
            raise not_convex(form, player, t, least / h)
        row = h * (S @ V + own.T @ K[t + 1] @ A_hat[t])
        F[t] = -np.linalg.solve(d[t], row)
        K[t] = h * (V.T @ Q @ V) + A_hat[t].T @ K[t + 1] @ A_hat[t] + row.T @ F[t]
        K[t] = 0.5 * (K[t] + K[t].T)
    L = np.stack([V.T @ step.L for step in form.time_steps])
    push = tilt = None
    if form.coupled:
        push = np.stack([h * step.R[where] * others for step in form.time_steps])
        tilt = np.stack([h * (V.T @ step.S_all[player].T) * others for step in form.time_steps])
    return ResponseGains(V, A_hat, B, L, K, F, d, push, tilt)


def affine_terms(
    form: LinearQuadraticForm,
    player: int,
    gains: ResponseGains,
    controls: np.ndarray,
    known: Any = None,
) -> np.ndarray:
    """`k_t` of the backward sweep, `(steps, k_i, columns)`.

    Args:
        form: The game.
        player: The one who responds.
        gains: Her `response_gains`.
        controls: `(steps, K, columns)` of all players, her own ignored. Columns are coefficients on
            a basis, or paths.
        known: Function from the step to the number of leading columns that are known then; the
            others are masked. `None` masks nothing: `E_t` is left out.
    """
    h, where = form.step_size, form.control_slices[player]
    others = np.ones(form.control_size)
    others[where] = 0.0
    columns = controls.shape[-1]
    s = np.zeros((gains.K.shape[-1], columns))
    k = np.zeros((form.steps, form.control_sizes[player], columns))
    for t in reversed(range(form.steps)):
        observed = columns if known is None else known(t)
        b = (h * gains.B[t] * others) @ controls[t][:, :observed]
        v = gains.K[t + 1] @ b + s[:, :observed]
        push = h * (gains.B[t][:, where].T @ v)
        if gains.push is not None:
            push += gains.push[t] @ controls[t][:, :observed]
        k[t, :, :observed] = -np.linalg.solve(gains.d[t], push)
        s = gains.A_hat[t].T @ v + gains.F[t].T @ push
        if gains.tilt is not None:
            s += gains.tilt[t] @ controls[t][:, :observed]
    return k


def follow(
    form: LinearQuadraticForm,
    player: int,
    gains: ResponseGains,
    k: np.ndarray,
    controls: np.ndarray,
    initial: np.ndarray,
    causal: bool,
) -> np.ndarray:
    """Forward sweep: the response `u = F X_t + k_t` along the player's own path.

    Args:
        form: The game.
        player: The one who responds.
        gains: Her `response_gains`.
        k: `(steps, k_i, columns)` from `affine_terms`.
        controls: `(steps, K, columns)` of all players, her own ignored.
        initial: `(n, columns)`, the state at time zero.
        causal: Whether columns are coefficients on `(1, x_0, noise)`, of which a step has its known
            ones and takes in those of its noise; otherwise there is no noise.

    Returns:
        `(steps, k_i, columns)`.
    """
    h, m, where = form.step_size, form.noise_size, form.control_slices[player]
    x = gains.directions.T @ initial
    response = np.zeros_like(k)
    for t in range(form.steps):
        known = basis_size(form, t) if causal else k.shape[-1]
        profile = controls[t][:, :known].copy()
        profile[where] = response[t, :, :known] = gains.F[t] @ x[:, :known] + k[t, :, :known]
        x[:, :known] = gains.A_hat[t] @ x[:, :known] + h * (gains.B[t] @ profile)
        if causal:
            x[:, known : known + m] += gains.L[t]
    return response


def respond(
    form: LinearQuadraticForm,
    player: int,
    gains: ResponseGains,
    coefficients: np.ndarray,
) -> np.ndarray:
    """Coefficients `(steps, k_i, 1 + n + m steps)` of the best response, gains given."""
    k = affine_terms(form, player, gains, coefficients, lambda t: basis_size(form, t))
    initial = np.zeros((form.state_size, basis_size(form)))
    initial[:, 1 : 1 + form.state_size] = np.eye(form.state_size)
    return follow(form, player, gains, k, coefficients, initial, True)


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
        player = checks.integer("player", player, 0)
        if player >= form.players:
            raise ValueError(f"`player` must be below {form.players}. Received: {player}")
        return respond(form, player, response_gains(form, player), coefficients)
    return np.concatenate(
        [respond(form, i, response_gains(form, i), coefficients) for i in range(form.players)],
        axis=1,
    )
