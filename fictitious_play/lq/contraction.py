"""How fast fictitious play converges: the spectral radius of its stage map.

The stage map sends the players' controls to their best responses. It is affine; its linear part
acts on every column of a linear profile alone, on the column of `x_0` over the whole horizon and on
those of the noises over what is left of it. Hu 2019 (section 3.2) shows that it contracts on
small horizons; here is by how much.
"""

from typing import Any

import numpy as np

from fictitious_play import checks
from fictitious_play.lq.best_response import (
    ResponseGains,
    affine_terms,
    follow,
    response_gains,
)
from fictitious_play.lq.form import LinearQuadraticForm, as_form

# Up to this many unknowns the map is written out as a dense matrix.
DENSE = 1500


def stage_map(game: Any, start: int = 0) -> np.ndarray:
    """Linear part of the simultaneous stage map on controls that are known at step `start`.

    Returns:
        `(left K, left K)` with `left = steps - start`; rows and columns run over steps first, then
        the stacked controls.
    """
    form = as_form(game)
    start = checks.integer("start", start, 0)
    if start >= form.steps:
        raise ValueError(f"`start` must be below {form.steps}. Received: {start}")
    size = (form.steps - start) * form.control_size
    return _apply(form, _gains(form), np.eye(size), start)


def contraction(game: Any, columns: str = "initial") -> float:
    """Spectral radius of the simultaneous stage map.

    Plain fictitious play converges from every initial belief where it is below one, and diverges
    from almost every one where it is above. One player responds to nobody: zero.

    Args:
        game: A linear-quadratic game.
        columns: `"initial"`: the column of `x_0`, which is all there is without noise. `"all"`: the
            largest over the columns of the noises too, each on what is left of the horizon. The two
            are equal where the radius grows with the horizon, as it does for symmetric players; it
            need not where the weights' rows do not sum to one.
    """
    form = as_form(game)
    checks.one_of("columns", columns, ("initial", "all"))
    if form.players == 1:
        return 0.0
    gains = _gains(form)
    starts = range(1) if columns == "initial" else range(form.steps)
    return max(_radius(form, gains, start) for start in starts)


def _radius(form: LinearQuadraticForm, gains: list[ResponseGains], start: int) -> float:
    # SciPy's subpackages are slow to import; most programs that import this one do not need them.
    from scipy.sparse.linalg import LinearOperator, eigs

    size = (form.steps - start) * form.control_size
    if size <= DENSE:
        spectrum = np.linalg.eigvals(_apply(form, gains, np.eye(size), start))
    else:
        operator = LinearOperator(
            (size, size),
            matvec=lambda v: _apply(form, gains, v.reshape(size, 1), start).ravel(),
            dtype=np.float64,
        )
        first = np.random.default_rng(0).standard_normal(size)
        spectrum = eigs(operator, k=4, v0=first, return_eigenvectors=False)
    return float(np.abs(spectrum).max())


def _gains(form: LinearQuadraticForm) -> list[ResponseGains]:
    return [response_gains(form, i) for i in range(form.players)]


def _apply(
    form: LinearQuadraticForm, gains: list[ResponseGains], columns: np.ndarray, start: int
) -> np.ndarray:
    """Best responses to controls `(left K, columns)` from step `start` on, where `x = 0`."""
    given = columns.reshape(form.steps - start, form.control_size, -1)
    before = np.zeros((start, *given.shape[1:]))
    controls = np.concatenate([before, given])
    response = np.empty_like(controls)
    nowhere = np.zeros((form.state_size, controls.shape[-1]))
    for i, where in enumerate(form.control_slices):
        k = affine_terms(form, i, gains[i], controls)
        # What she would do before `start` does not belong to the map.
        k[:start] = 0.0
        response[:, where] = follow(form, i, gains[i], k, controls, nowhere, False)
    return response[start:].reshape(columns.shape)


def symmetric_contraction(
    players: Any, horizon: Any, a: Any, q: Any, epsilon: Any, c: Any
) -> np.ndarray:
    """Contraction factor of the symmetric inter-bank game in continuous time.

    `λ = κ/(κ + μ)` with `μ` the smallest positive root of

        cos ωT + (a + κq - s - cμκ) sin(ωT)/ω = 0,
        s = (μ + κ) q/2,    ω² = (μq - a)(a + κq) + μκD - s²,

    hyperbolic functions where `ω² < 0`, divided by `cosh` so that nothing overflows. `λ = 0` where
    there is no such root and where `D = c = 0`. For `a = q = c = 0`, `λ = 1/(1 + π²/(4κ²εT²))`.

    Args:
        players, horizon, a, q, epsilon, c: Numbers or arrays that broadcast; `ε ≥ q²`, none
            negative, `players ≥ 2`, `horizon > 0`.
    """
    named = {"players": players, "horizon": horizon, "a": a, "q": q, "epsilon": epsilon, "c": c}
    arrays = [checks.real_array(name, value) for name, value in named.items()]
    try:
        arrays = list(np.broadcast_arrays(*arrays))
    except ValueError as error:
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise ValueError(f"The parameters must broadcast. Received: shapes {shapes}") from error
    N, T, a, q, epsilon, c = arrays
    if not all(np.all(np.isfinite(v)) for v in arrays):
        raise ValueError("All parameters must be finite. Received: NaN or infinite values")
    if np.any(N < 2) or np.any(T <= 0) or np.any(np.stack([a, q, c]) < 0):
        raise ValueError(
            "`players` must be at least 2, `horizon` positive and `a`, `q`, `c` not negative. "
            f"Received: {players}, {horizon}, {a}, {q}, {c}"
        )
    if np.any(epsilon < q * q * (1.0 - 1e-14)):
        raise ValueError(f"`epsilon` must be at least q². Received: epsilon={epsilon}, q={q}")
    flat = [
        _factor(*(float(v) for v in row)) for row in zip(*(v.flat for v in arrays), strict=True)
    ]
    return np.array(flat).reshape(N.shape)


def _factor(N: float, T: float, a: float, q: float, epsilon: float, c: float) -> float:
    from scipy.optimize import brentq, minimize_scalar

    kappa, D = 1.0 - 1.0 / N, max(epsilon - q * q, 0.0)
    if D == 0.0 and c == 0.0:
        return 0.0

    def condition(mu):
        mean = 0.5 * (mu + kappa) * q
        square = (mu * q - a) * (a + kappa * q) + mu * kappa * D - mean**2
        factor = a + kappa * q - mean - c * mu * kappa
        root = np.sqrt(np.abs(square))
        x = np.maximum(root * T, 1e-8)
        ratio = np.where(square > 0.0, np.sin(x), np.tanh(x)) / x
        return np.where(square > 0.0, np.cos(x), 1.0) + factor * T * ratio

    # Positive at zero; the first sign change on a fine logarithmic grid, and between its points
    # where a minimum dips below zero, is the root.
    grid = np.geomspace(1e-9, 1e15, 6000)
    values = condition(grid)
    end = int(np.argmax(values <= 0.0)) if np.any(values <= 0.0) else len(grid) - 1
    inner = values[1:end]
    dips = np.nonzero((inner < values[: end - 1]) & (inner <= values[2 : end + 1]))[0] + 1
    for dip in dips:
        low = minimize_scalar(
            condition, bounds=(grid[dip - 1], grid[dip + 1]), method="bounded", options={"xatol": 0}
        )
        if low.fun <= 0.0:
            return kappa / (kappa + brentq(condition, grid[dip - 1], low.x, xtol=1e-300))
    if values[end] > 0.0:
        return 0.0
    if end == 0:
        return kappa / (kappa + float(grid[0]))
    return kappa / (kappa + brentq(condition, grid[end - 1], grid[end], xtol=1e-300))
