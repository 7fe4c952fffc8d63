"""Sticky prices with marginal costs that curve: a game beyond linear-quadratic ones, and exact.

One price is the only state, so that the closed-loop equilibrium in discrete time, and the best
response to any symmetric or unequal profile, come from dynamic programming over a grid of prices.
"""

import numpy as np
from keras import ops

import fictitious_play as fp

#: Prices of the grid, and nodes of the Gauss-Hermite rule for the noise of a step.
_GRID, _NODES = 401, 9


class CurvedDuopoly(fp.Game):
    """dp = (a - p - u_1 - u_2) dt + σ dW, costs ½ u_i² + κ/4 u_i⁴ + u_i - p u_i."""

    def __init__(self, intercept, price, sigma, horizon, steps, curvature=1.0):
        super().__init__(2, horizon, steps, 1, noise_size=1, initial_mean=price)
        self.intercept, self.sigma, self.curvature = intercept, sigma, curvature

    def drift(self, time, states, controls):
        return self.intercept - states - ops.sum(controls[..., 0], axis=-1, keepdims=True)

    def diffusion(self, time, states, controls):
        return ops.full((1, 1), self.sigma, dtype=states.dtype)

    def running_cost(self, time, states, controls):
        u = controls[..., 0]
        return 0.5 * u**2 + 0.25 * self.curvature * u**4 + u - states * u

    def terminal_cost(self, states):
        return 0.0 * ops.repeat(states, 2, axis=-1)


def prices(game: CurvedDuopoly) -> np.ndarray:
    """The grid, (prices,)."""
    return np.linspace(-2.0, max(game.intercept, float(game.initial_mean[0])) + 2.0, _GRID)


def solve(game: CurvedDuopoly, others=None, own=None) -> tuple[float, np.ndarray]:
    """Backward induction, V_t(p) = min_u h f(p, u) + E V_{t+1}(p').

    Args:
        game: the game.
        others: what the other player plays, (steps, prices); None for the same as one plays, which
            gives the symmetric equilibrium.
        own: what one plays, (steps, prices); None for the best response.

    Returns:
        The cost at the first price, and what one plays.
    """
    from scipy.interpolate import CubicSpline

    p, h = prices(game), game.step_size
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    shocks, weights = game.sigma * h**0.5 * nodes, weights / weights.sum()
    value, played = np.zeros_like(p), np.zeros((game.steps, len(p)))
    for step in reversed(range(game.steps)):
        spline = CubicSpline(p, value)
        other = None if others is None else others[step]

        def after(u, other=other):
            total = 2.0 * u if other is None else u + other
            return (p + h * (game.intercept - p - total))[:, None] + shocks

        def slope(u, spline=spline, after=after):
            marginal = u + game.curvature * u**3 + 1.0 - p
            return marginal - spline(after(u), 1) @ weights

        u = _root(slope, p) if own is None else own[step]
        cost = 0.5 * u**2 + 0.25 * game.curvature * u**4 + u - p * u
        value, played[step] = h * cost + spline(after(u)) @ weights, u
    return float(CubicSpline(p, value)(game.initial_mean[0])), played


def _root(slope, p: np.ndarray) -> np.ndarray:
    """Where increasing functions, one per price, are zero: by bisection."""
    low, high = np.full_like(p, -50.0), np.full_like(p, 50.0)
    for _ in range(60):
        middle = 0.5 * (low + high)
        positive = slope(middle) > 0.0
        low, high = np.where(positive, low, middle), np.where(positive, middle, high)
    return 0.5 * (low + high)


def within_reach(game: CurvedDuopoly, controls: np.ndarray) -> np.ndarray:
    """Controls on the grid, held constant beyond the prices that 8,192 of their own paths reach:
    networks leap where nothing ever comes, and a quadrature's outer nodes would count that.

    Args:
        controls: what both play, (steps, prices, 2).
    """
    p, h, random = prices(game), game.step_size, np.random.default_rng(0)
    price, held = np.full(8192, float(game.initial_mean[0])), np.empty_like(controls)
    for step, played in enumerate(controls):
        near = np.clip(p, price.min(), price.max())
        held[step] = np.stack([np.interp(near, p, u) for u in played.T], axis=-1)
        total = sum(np.interp(price, p, u) for u in played.T)
        shock = game.sigma * h**0.5 * random.standard_normal(len(price))
        price = price + h * (game.intercept - price - total) + shock
    return held


def judge(result) -> tuple[np.ndarray, np.ndarray]:
    """Relative cost errors and gains of the best deviations of a solved profile, (players,) each,
    by dynamic programming on `within_reach` of it."""
    game, states = result.game, prices(result.game)[:, None]
    given = ops.convert_to_tensor(states, dtype=result.policy.variable_dtype)
    controls = np.stack([
        ops.convert_to_numpy(result.policy.controls(step, given))[:, :, 0].astype(np.float64)
        for step in range(game.steps)
    ])  # fmt: skip
    controls = within_reach(game, controls)
    exact, _ = solve(game)
    profiles = [(controls[..., player], controls[..., 1 - player]) for player in (0, 1)]
    cost = np.array([solve(game, other, own)[0] for own, other in profiles])
    best = np.array([solve(game, other)[0] for _, other in profiles])
    return (cost - exact) / abs(exact), (cost - best) / abs(exact)
