"""Linear open-loop profiles: controls as coefficients on (1, x_0, past noise).

A control of step `t` is `U[t] φ` with `φ = (1, x_0, ΔW_0, ..., ΔW_{steps-1})`, and adapted when it
leaves alone all but the first `1 + n + m t` entries of `φ`. Conditional expectations given the past
are then the masking of columns, and expected costs are exact.
"""

from typing import Any

import numpy as np

from fictitious_play import checks
from fictitious_play.lq.general.form import LinearQuadraticForm, as_form
from fictitious_play.lq.general.rollout import check_gains, check_paths


def basis_size(form: LinearQuadraticForm, t: int | None = None) -> int:
    """Length of `φ`, or of its part that is known at step `t`."""
    return 1 + form.state_size + form.noise_size * (form.steps if t is None else t)


def basis(game: Any, initial_state: Any, noise: Any) -> np.ndarray:
    """`φ` of every path, `(batch, 1 + n + m steps)`."""
    form = as_form(game)
    initial_state, noise = check_paths(form, initial_state, noise)
    batch = len(initial_state)
    return np.concatenate([np.ones((batch, 1)), initial_state, noise.reshape(batch, -1)], axis=1)


def moments(form: LinearQuadraticForm, coefficients: np.ndarray) -> np.ndarray:
    """`C E[φφ']` for coefficients `(..., rows, p)` on the first `p` entries of `φ`."""
    head = 1 + form.state_size
    mean = np.concatenate([[1.0], form.initial_mean])
    second = np.outer(mean, mean)
    second[1:, 1:] += form.initial_covariance
    result = coefficients * form.step_size
    result[..., :head] = coefficients[..., :head] @ second
    return result


def evaluate(game: Any, coefficients: Any, initial_state: Any, noise: Any) -> np.ndarray:
    """Controls `(batch, steps, K)` of the linear profile along a noise."""
    form = as_form(game)
    coefficients = check_coefficients(form, coefficients)
    features = basis(form, initial_state, noise)
    return np.einsum("bp,tkp->btk", features, coefficients, optimize=True)


def state_coefficients(game: Any, coefficients: Any) -> np.ndarray:
    """`X_t = C[t] φ` under the profile, `(steps + 1, n, 1 + n + m steps)`."""
    form = as_form(game)
    return _states(form, lambda t, x, known: coefficients[t][:, :known])[0]


def feedback_coefficients(game: Any, gains: Any) -> np.ndarray:
    """Coefficients `(steps, K, 1 + n + m steps)` of the controls that feedback generates.

    Gains are `(steps, K, n)`, or `(steps, K, n + 1)` with the constants in the last column.
    """
    form, n = as_form(game), as_form(game).state_size
    gains = check_gains(form, gains, affine=True)
    one = np.eye(1, basis_size(form))

    def policy(t: Any, x: Any, known: Any) -> Any:
        constants = gains[t, :, n:].sum(axis=1, keepdims=True)
        return gains[t, :, :n] @ x[:, :known] + constants * one[:, :known]

    return _states(form, policy)[1]


def _states(form: LinearQuadraticForm, policy: Any) -> tuple[np.ndarray, np.ndarray]:
    size, h, m = basis_size(form), form.step_size, form.noise_size
    states = np.zeros((form.steps + 1, form.state_size, size))
    controls = np.zeros((form.steps, form.control_size, size))
    states[0, :, 1 : 1 + form.state_size] = np.eye(form.state_size)
    for t, step in enumerate(form.time_steps):
        known = basis_size(form, t)
        x = states[t]
        u = controls[t, :, :known] = policy(t, x, known)
        states[t + 1] = x + h * (step.A @ x)
        states[t + 1, :, :known] += h * (step.B @ u)
        states[t + 1, :, known : known + m] += step.L
    return states, controls


def coefficient_cost(game: Any, coefficients: Any) -> np.ndarray:
    """Expected costs `(players,)` of a linear profile `(steps, K, 1 + n + m steps)`, exact."""
    form = as_form(game)
    coefficients = check_coefficients(form, coefficients)
    states = state_coefficients(form, coefficients)
    cost = np.zeros(form.players)
    h = form.step_size
    for t, step in enumerate(form.time_steps):
        known = basis_size(form, t)
        x, u = states[t, :, :known], coefficients[t, :, :known]
        x_moment, u_moment = moments(form, x), moments(form, u)
        cost += 0.5 * h * np.einsum("ijk,jk->i", step.Q, x_moment @ x.T)
        if step.S_all is None:
            rows = np.sum((step.S @ x + 0.5 * (step.R @ u)) * u_moment, axis=1)
            cost += h * np.bincount(form.owner, weights=rows, minlength=form.players)
        else:
            cost += h * np.sum((step.S_all @ x + 0.5 * (step.R_all @ u)) * u_moment, axis=(1, 2))
    last = states[-1]
    return cost + 0.5 * np.einsum("ijk,jk->i", form.terminal, moments(form, last) @ last.T)


def squared_norm(form: LinearQuadraticForm, coefficients: np.ndarray) -> float:
    """`Σ_t E |U[t] φ|²`."""
    return float(np.sum(moments(form, coefficients) * coefficients))


def check_coefficients(form: LinearQuadraticForm, coefficients: Any) -> np.ndarray:
    """Coefficients as float64, or an error where the shape is wrong or a step knows the future."""
    coefficients = checks.real_array("coefficients", coefficients)
    expected = (form.steps, form.control_size, basis_size(form))
    checks.has_shape("coefficients", coefficients, expected, "the last axis on (1, x_0, noise)")
    checks.finite("coefficients", coefficients)
    for t in range(form.steps):
        if np.any(coefficients[t, :, basis_size(form, t) :]):
            raise ValueError(
                "`coefficients` of a step may only use noise before that step. "
                f"Received: coefficients of step {t} on noise of step {t} or later"
            )
    return coefficients
