"""One bank's best response in the symmetric game: a scalar problem, however many banks there are.

A bank sees `z = X̄ - X^i` alone. In the Euler game, `r = 1 - a h` and `κ = 1 - 1/N`,

    z_{t+1} = r z_t - h κ α^i_t + h A_t + noise,        A = (1/N) Σ_{j≠i} α^j,

so that the recursions of `fictitious_play.lq.general.best_response` become, from `K = c`,

    d = h + h² κ² K,    l = -h (q + κ K r),    F = -l/d,    K ← h ε + r² K - l²/d,
    v = h K A + E_t s,  k = h κ v/d,           s ← r v - h κ F v.

Under closed loop the others' feedback `α^j = φ (X̄ - X^j)` adds up to `A = -φ z/N`: `r - h φ/N`
takes the place of `r`, and nothing is left of the sweep.
"""

from typing import Any, NamedTuple

import numpy as np

from fictitious_play.lq.inter_bank.parameters import SymmetricParameters


class ScalarResponse(NamedTuple):
    """A bank's own recursion, equal for all of them.

    Attributes:
        h, kappa: `h` and `κ`.
        r: `(steps,)`, what a step leaves of `z` without her control.
        K: `(steps + 1,)`.
        F: `(steps,)`, her gain on `z`.
        d: `(steps,)`, the curvature of her cost in the control of each step.
    """

    h: float
    kappa: float
    r: np.ndarray
    K: np.ndarray
    F: np.ndarray
    d: np.ndarray


def scalar_response(p: SymmetricParameters, steps: int, phi: Any = None) -> ScalarResponse:
    """`K`, `F` and `d`; `phi`, `(steps,)`, is the gain with which the others answer, if they do."""
    h, kappa = p.horizon / steps, p.kappa
    r = np.full(steps, 1.0 - p.a * h) - (0.0 if phi is None else h * np.asarray(phi) / p.players)
    K, F, d = np.full(steps + 1, float(p.c)), np.zeros(steps), np.zeros(steps)
    for t in reversed(range(steps)):
        d[t] = h + h * h * kappa**2 * K[t + 1]
        row = -h * (p.q + kappa * K[t + 1] * r[t])
        F[t] = -row / d[t]
        K[t] = h * p.epsilon + r[t] ** 2 * K[t + 1] - row**2 / d[t]
    return ScalarResponse(h, kappa, r, K, F, d)


def affine_sweep(response: ScalarResponse, others: np.ndarray, known: Any = None) -> np.ndarray:
    """`k_t` of the backward sweep, in the shape of `others`.

    Args:
        response: The recursion.
        others: `A`, `(steps, ...)`: paths, or coefficients on a basis in the last axis.
        known: Function from the step to the number of leading entries of the last axis that are
            known then; the others are masked. `None` masks nothing: `E_t` is left out.
    """
    h, kappa = response.h, response.kappa
    k, s = np.zeros_like(others), np.zeros_like(others[0])
    for t in reversed(range(len(others))):
        v = h * response.K[t + 1] * others[t] + s
        if known is not None:
            v[..., known(t) :] = 0.0
        k[t] = (h * kappa / response.d[t]) * v
        s = (response.r[t] - h * kappa * response.F[t]) * v
    return k


def response_map(response: ScalarResponse) -> np.ndarray:
    """`(steps, steps)`: the best response to others' controls `A` that are known at time zero.

    The stage map of symmetric play follows: on controls equal for all players it is `κ` times this,
    on controls that sum to zero `-1/N` times.
    """
    steps = len(response.F)
    others = np.eye(steps)
    k, z = affine_sweep(response, others), np.zeros(steps)
    controls = np.zeros((steps, steps))
    for t in range(steps):
        controls[t] = response.F[t] * z + k[t]
        z = response.r[t] * z + response.h * (others[t] - response.kappa * controls[t])
    return controls
