"""Paths of the Euler game along given controls or gains, and what every path costs each player."""

from typing import Any, NamedTuple

import numpy as np

from fictitious_play import checks
from fictitious_play.lq.general.form import LinearQuadraticForm, as_form


class Rollout(NamedTuple):
    """Paths of the Euler game.

    Attributes:
        states: `(batch, steps + 1, n)`.
        controls: `(batch, steps, K)`.
        cost: `(batch, players)`, running and terminal cost of each path.
    """

    states: np.ndarray
    controls: np.ndarray
    cost: np.ndarray


def simulate_gains(game: Any, gains: Any, initial_state: Any, noise: Any) -> Rollout:
    """Paths under the feedback profile `u_t = F_t X_t`.

    Gains are `(steps, K, n)`, or `(steps, K, n + 1)` with constants in the last column.
    """
    form = as_form(game)
    gains, n = check_gains(form, gains, affine=True), form.state_size
    initial_state, noise = check_paths(form, initial_state, noise)
    constants = gains[:, :, n:].sum(axis=2)
    return _roll(form, initial_state, noise, lambda t, x: x @ gains[t, :, :n].T + constants[t])


def simulate_controls(game: Any, controls: Any, initial_state: Any, noise: Any) -> Rollout:
    """Paths along given controls `(batch, steps, K)`."""
    form = as_form(game)
    initial_state, noise = check_paths(form, initial_state, noise)
    controls = check_controls(form, controls, len(initial_state))
    return _roll(form, initial_state, noise, lambda t, x: controls[:, t])


def _roll(form: LinearQuadraticForm, initial_state: Any, noise: Any, policy: Any) -> Rollout:
    h, batch = form.step_size, len(initial_state)
    states = np.empty((batch, form.steps + 1, form.state_size))
    controls = np.empty((batch, form.steps, form.control_size))
    cost = np.zeros((batch, form.players))
    own = (form.owner[:, None] == np.arange(form.players)).astype(np.float64)
    factors: tuple = (None, None, None)
    x = states[:, 0] = initial_state
    for t, step in enumerate(form.time_steps):
        if factors[0] is not step:
            factors = (step, *quadratic_factors(step.Q))
        u = controls[:, t] = policy(t, x)
        _, vectors, weights = factors
        cost += 0.5 * h * (x @ vectors) ** 2 @ weights
        if step.S_all is None:
            cost += h * (u * (x @ step.S.T + 0.5 * (u @ step.R))) @ own
        else:
            rows = np.tensordot(x, step.S_all, (1, 2)) + 0.5 * np.tensordot(u, step.R_all, (1, 1))
            cost += h * np.einsum("bk,bik->bi", u, rows)
        x = x + h * (x @ step.A.T + u @ step.B.T) + noise[:, t] @ step.L.T
        states[:, t + 1] = x
    vectors, weights = quadratic_factors(form.terminal)
    cost += 0.5 * (x @ vectors) ** 2 @ weights
    return Rollout(states, controls, cost)


def quadratic_factors(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vectors `(n, r)` and weights `(r, players)` with `x'M_i x = Σ_r (x·v_r)² w_ri`.

    Directions that a symmetric `M_i` does not see are left out: an inter-bank player's cost needs
    one product instead of `n`.
    """
    spectrum, vectors = np.linalg.eigh(matrices)
    largest = np.abs(spectrum).max(axis=1, keepdims=True)
    player, which = np.nonzero(np.abs(spectrum) > 1e-15 * largest)
    weights = np.zeros((len(player), len(matrices)))
    weights[np.arange(len(player)), player] = spectrum[player, which]
    return vectors[player, :, which].T, weights


def check_paths(form: LinearQuadraticForm, initial_state: Any, noise: Any) -> tuple:
    """Initial states `(batch, n)` and noise `(batch, steps, m)` as float64, or an error."""
    initial_state = checks.finite(
        "initial_state", checks.real_array("initial_state", initial_state)
    )
    noise = checks.finite("noise", checks.real_array("noise", noise))
    if initial_state.ndim != 2 or initial_state.shape[1] != form.state_size:
        raise ValueError(
            f"`initial_state` must have the shape (batch, {form.state_size}). "
            f"Received: shape {initial_state.shape}"
        )
    if len(initial_state) == 0:
        raise ValueError("There must be at least one path. Received: batch of 0")
    checks.has_shape("noise", noise, (len(initial_state), form.steps, form.noise_size))
    return initial_state, noise


def check_controls(form: LinearQuadraticForm, controls: Any, batch: int) -> np.ndarray:
    """Controls `(batch, steps, K)` as float64, or an error."""
    controls = checks.real_array("controls", controls)
    checks.has_shape("controls", controls, (batch, form.steps, form.control_size))
    return checks.finite("controls", controls)


def check_gains(form: LinearQuadraticForm, gains: Any, affine: bool = False) -> np.ndarray:
    """Gains `(steps, K, n)` as float64, or an error; `affine` ones have `n + 1` columns too."""
    gains = checks.real_array("gains", gains)
    expected = (form.steps, form.control_size, form.state_size)
    wider = (*expected[:2], form.state_size + 1)
    if affine and gains.shape not in (expected, wider):
        raise ValueError(
            f"`gains` must have the shape {expected}, or {wider} with constants in the last "
            f"column. Received: shape {gains.shape}"
        )
    if not affine:
        checks.has_shape("gains", gains, expected)
    return checks.finite("gains", gains)
