"""Contraction factor of open-loop play in the symmetric inter-bank game, in continuous time."""

from typing import Any

import numpy as np

from fictitious_play import checks


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

    def condition(mu: Any) -> Any:
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
