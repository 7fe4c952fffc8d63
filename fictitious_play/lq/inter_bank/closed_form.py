"""The one closed form behind every Riccati equation of the symmetric inter-bank game.

Each of them is `η' = 2 b η + C η² - D` with `η(T) = c`; only `b` and `C` differ:

| | b | C |
|---|---|---|
| open-loop Nash | a + (1 - 1/(2N)) q | 1 - 1/N |
| closed-loop Nash | a + q | 1 - 1/N² |
| best response, K of Hu 2019 (3.16) | a + κ q | κ² |
| mean-field limit | a + q | 1 |

(Carmona, Fouque, Sun 2015, sections 3 and 4, for the two equilibria and the limit.) The functions
take NumPy or JAX arrays, broadcast over parameter sets, and can be compiled.
"""

from typing import Any

import numpy as np

from fictitious_play import checks
from fictitious_play.lq.general.namespace import array_namespace, float64
from fictitious_play.lq.inter_bank.parameters import SymmetricParameters

RICCATI_KINDS = ("open_loop", "closed_loop", "best_response", "mean_field")


def riccati_coefficients(parameters: SymmetricParameters, kind: str) -> tuple[Any, Any]:
    """`b` and `C` of the table above, for `kind` one of its rows."""
    checks.one_of("kind", kind, RICCATI_KINDS)
    _, p = parameters.arrays()
    kappa = p.kappa
    if kind == "open_loop":
        return p.a + (1.0 - 0.5 / p.players) * p.q, kappa
    if kind == "closed_loop":
        return p.a + p.q, 1.0 - 1.0 / p.players**2
    if kind == "best_response":
        return p.a + kappa * p.q, kappa * kappa
    return p.a + p.q, 1.0 + 0.0 * kappa


def tanh_ratio(s: Any, root: Any) -> Any:
    """`tanh(R s)/R`, with its series `s (1 - (R s)²/3 + 2 (R s)⁴/15)` where `R s` is small."""
    xp = array_namespace(s, root)
    x = root * s
    # Below 2e-3 the first omitted term, 17 (R s)⁶/315, is under the last digit.
    small = xp.abs(x) < 2e-3
    safe = xp.where(small, 1.0, root)
    series = s * (1.0 - x**2 / 3.0 + 2.0 * x**4 / 15.0)
    return xp.where(small, series, xp.tanh(x) / safe)


def riccati(time_to_go: Any, b: Any, C: Any, D: Any, c: Any) -> Any:
    """`η` at `time_to_go = T - t`: `(c + (D - b c) τ) / (1 + (b + C c) τ)`.

    `τ = tanh(R s)/R` with `R = √(b² + C D)`, so nothing overflows however long the horizon. All
    arguments are non-negative and broadcast.
    """
    xp = array_namespace(time_to_go, b, C, D, c)
    s, b, C, D, c = (float64(xp, value) for value in (time_to_go, b, C, D, c))
    tau = tanh_ratio(s, xp.sqrt(b * b + C * D))
    return (c + (D - b * c) * tau) / (1.0 + (b + C * c) * tau)


def riccati_integral(time_to_go: Any, b: Any, C: Any, D: Any, c: Any) -> Any:
    """`C ∫ η` over the last `time_to_go`, equal to `ln y` with `η = y_s/(C y)`.

    `y = e^{-b s} (cosh R s + (b + C c) sinh(R s)/R)`, its logarithm taken without overflow.
    """
    xp = array_namespace(time_to_go, b, C, D, c)
    s, b, C, D, c = (float64(xp, value) for value in (time_to_go, b, C, D, c))
    root = xp.sqrt(b * b + C * D)
    tau = tanh_ratio(s, root)
    x = root * s
    log_cosh = x + xp.log1p(xp.exp(-2.0 * x)) - np.log(2.0)
    return log_cosh - b * s + xp.log1p((b + C * c) * tau)


def open_loop_cost_functions(
    parameters: SymmetricParameters, panels: int = 32, nodes: int = 16
) -> tuple[Any, Any]:
    """`P(0)` and `∫_0^T P dt` of the open-loop equilibrium cost.

    `P' = 2 (a + φ) P - (φ² - 2 q φ + ε)`, `P(T) = c`, `φ = q + κ η`: `P` is not `η`. Backwards in
    `s = T - t` its integrating factor is `μ = e^{2 (a+q) s} y²`, known in closed form, so that
    `P μ = c + ∫ μ (κ²η² + D) ds`, integrated spectrally on `panels` intervals with `nodes`
    Gauss-Legendre points each. Round-off accuracy needs about `(a + q + √D) T ≤ panels`.
    """
    xp, p = parameters.arrays()
    b, C = riccati_coefficients(p, "open_loop")
    kappa, D = p.kappa, p.D
    points, weights, cumulative = _gauss(nodes)
    points, weights, cumulative = (float64(xp, v) for v in (points, weights, cumulative))
    width = p.horizon / panels

    def log_factor(s: Any) -> Any:
        return 2.0 * (p.a + p.q) * s + 2.0 * riccati_integral(s, b, C, D, p.c)

    P, integral = p.c, 0.0 * p.c
    for panel in range(panels):
        start = panel * width
        log_start = log_factor(start)
        # The node axis comes first, so that every parameter broadcasts against it.
        shape = (nodes,) + (1,) * max(getattr(v, "ndim", 0) for v in (log_start, D, kappa))
        s = start + width * xp.reshape(points, shape)
        factor = xp.exp(log_factor(s) - log_start)
        source = factor * ((kappa * riccati(s, b, C, D, p.c)) ** 2 + D)
        at_nodes = (P + width * xp.tensordot(cumulative, source, axes=1)) / factor
        integral = integral + width * xp.tensordot(weights, at_nodes, axes=1)
        end = log_factor(start + width) - log_start
        P = (P + width * xp.tensordot(weights, source, axes=1)) * xp.exp(-end)
    return P, integral


def _gauss(nodes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gauss-Legendre points and weights on [0, 1], and the matrix of integrals up to each point."""
    points, weights = np.polynomial.legendre.leggauss(nodes)
    # Values -> Legendre coefficients -> their antiderivative -> values.
    degrees = np.arange(nodes)
    basis = np.polynomial.legendre.legvander(points, nodes - 1)
    to_coefficients = (degrees + 0.5)[:, None] * (basis * weights[:, None]).T
    antiderivative = np.polynomial.legendre.legint(np.eye(nodes), lbnd=-1.0, axis=0)
    cumulative = np.polynomial.legendre.legvander(points, nodes) @ antiderivative @ to_coefficients
    return 0.5 * (points + 1.0), 0.5 * weights, 0.5 * cumulative
