"""Equilibria of the symmetric inter-bank game, batched over parameter sets.

The equilibrium control is `α^i = φ(t) (X̄ - X^i)`, in continuous time with `φ = q + κ η`, in the
Euler game with a scalar recursion of its own; the cost is

    V^i = ½ P(0) E (X̄_0 - X^i_0)² + ½ σ² (1-ρ²) κ ∫_0^T P dt.

The mean-field limit is the case `players=inf`, where open and closed loop are one. The functions
take NumPy or JAX arrays and can be compiled.
"""

from dataclasses import dataclass, replace
from typing import Any

from fictitious_play import checks, renamed
from fictitious_play.lq.general.namespace import float64
from fictitious_play.lq.inter_bank.closed_form import (
    open_loop_cost_functions,
    riccati,
    riccati_coefficients,
    riccati_integral,
)
from fictitious_play.lq.inter_bank.parameters import SymmetricParameters

SYMMETRIC_KINDS = ("open_loop", "closed_loop", "mean_field")


@dataclass(frozen=True, eq=False)
class SymmetricEquilibrium:
    """Equilibria of a batch of symmetric games, the parameters' own shape `(...)` first.

    Attributes:
        cost: `V`, shape `(...)`, broadcast against the initial spread.
        phi: `(..., steps)`, the gain at `t = 0, h, ..., T - h`.
        eta: `(..., steps + 1)`, at `t = 0, h, ..., T`.
        P: `(...)`, the weight `P(0)` of the initial spread.
        noise_integral: `(...)`, `∫ P dt`, in the Euler game `h Σ_t P_{t+1}`.
    """

    cost: Any
    phi: Any
    eta: Any
    P: Any
    noise_integral: Any


@renamed.argument("information", "information_structure")
def symmetric_nash(
    parameters: SymmetricParameters,
    steps: int,
    information_structure: str = "open_loop",
    time: str = "discrete",
) -> SymmetricEquilibrium:
    """Equilibrium of the symmetric inter-bank game, for every parameter set at once.

    Args:
        parameters: Numbers or arrays that broadcast to `(...)`.
        steps: Number of Euler steps; in continuous time only where `phi` and `eta` are sampled.
        information_structure: `"open_loop"`, `"closed_loop"` or `"mean_field"` (the limit `N → ∞`).
        time: `"discrete"` for the Euler game, `"continuous"`.
    """
    checks.one_of("information_structure", information_structure, SYMMETRIC_KINDS)
    checks.one_of("time", time, ("discrete", "continuous"))
    steps = checks.integer("steps", steps, 1)
    if not isinstance(parameters, SymmetricParameters):
        raise TypeError(
            f"`parameters` must be a `SymmetricParameters`. Received: {type(parameters).__name__}"
        )
    xp, p = parameters.arrays()
    if information_structure == "mean_field":
        p = replace(p, players=float64(xp, float("inf")))
    solve = _discrete if time == "discrete" else _continuous
    phi, eta, P, integral = solve(xp, p, steps, information_structure)
    cost = 0.5 * P * p.initial_spread + 0.5 * p.noise_intensity * integral
    return SymmetricEquilibrium(cost, phi, eta, P, integral)


def _discrete(xp: Any, p: SymmetricParameters, steps: int, structure: str) -> tuple:
    """Backward recursions of the Euler game, `r = 1 - a h`."""
    h = p.horizon / steps
    r = 1.0 - p.a * h
    kappa = p.kappa
    # Terminal values in the full broadcast shape, so that all entries stack.
    eta = P = p.c + 0.0 * (h + p.a + p.q + p.epsilon + kappa)
    integral = 0.0 * P
    etas, phis = [eta], []
    for _ in range(steps):
        integral = integral + h * P
        phi = (p.q + kappa * eta * r) / (1.0 + h * kappa * eta)
        growth = r - h * phi
        running = h * (phi * phi - 2.0 * p.q * phi + p.epsilon)
        if structure == "closed_loop":
            eta = running + eta * growth**2
        else:
            eta = h * (p.epsilon - p.q * phi) + r * eta * growth
        P = running + P * growth**2
        etas.append(eta)
        phis.append(phi)
    return xp.stack(phis[::-1], axis=-1), xp.stack(etas[::-1], axis=-1), P, integral


def _continuous(xp: Any, p: SymmetricParameters, steps: int, structure: str) -> tuple:
    """The closed form; `P = η` except under open loop with finitely many players."""
    b, C = riccati_coefficients(p, structure)
    D = p.D
    shape_of = 0.0 * (p.horizon + b + C + D + p.c)
    grid = [p.horizon * ((steps - t) / steps) for t in range(steps + 1)]
    eta = xp.stack([riccati(s, b, C, D, p.c) + shape_of for s in grid], axis=-1)
    phi = (p.q + shape_of)[..., None] + (p.kappa + shape_of)[..., None] * eta[..., :-1]
    if structure == "open_loop":
        P, integral = open_loop_cost_functions(p)
    else:
        P = eta[..., 0]
        integral = riccati_integral(p.horizon, b, C, D, p.c) / C
    return phi, eta, P, integral
