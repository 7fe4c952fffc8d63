"""A convoy: players with a position and a speed who keep together, a game of vector states."""

from typing import Any

import numpy as np

from fictitious_play import checks
from fictitious_play.games.linear_quadratic import LinearQuadraticGame


def convoy_game(
    players: int = 5,
    horizon: float = 1.0,
    steps: int = 20,
    position_weight: float = 4.0,
    speed_weight: float = 1.0,
    sigma: Any = 0.5,
    initial_mean: Any = 0.0,
    initial_std: Any = 0.5,
) -> LinearQuadraticGame:
    """Vehicles that pay for acceleration and for being off the mean position and mean speed.

    With position p^i, speed v^i, acceleration u^i and means p̄, v̄ over all players:

        dp^i = v^i dt,      dv^i = u^i dt + σ_i dW^i
        f^i  = ½ (u^i)² + ½ w (p̄ - p^i)² + ½ s (v̄ - v^i)²
        g^i  = ½ w (p̄ - p^i)² + ½ s (v̄ - v^i)²

    The state is (p^1, v^1, p^2, v^2, …). Acceleration reaches the position a step later only, so
    the control acts through both components.

    Args:
        players: N, at least 2.
        horizon, steps: T > 0 and the number of Euler steps.
        position_weight, speed_weight: w and s, ≥ 0.
        sigma: volatility of the speeds, a scalar or one value per player, ≥ 0.
        initial_mean, initial_std: of positions and speeds; scalars, or 2N values.

    Returns:
        A `LinearQuadraticGame` with states of size 2N; column 0 of the noise is a common one that
        nobody feels.
    """
    N = checks.integer("players", players, least=2)
    w = checks.number("position_weight", position_weight, least=0.0)
    s = checks.number("speed_weight", speed_weight, least=0.0)
    sigma = checks.per_item("sigma", sigma, N, least=0.0)
    eye, speed = np.eye(N), np.array([[0.0], [1.0]])
    gaps = 1.0 / N - eye
    views = np.stack([np.kron(gaps[i : i + 1], np.eye(2)) for i in range(N)])
    costs = np.swapaxes(views, 1, 2) @ np.diag([w, s]) @ views
    own = np.kron(eye * sigma, speed)
    return LinearQuadraticGame(
        A=np.kron(eye, [[0.0, 1.0], [0.0, 0.0]]),
        B=[np.kron(eye[:, i : i + 1], speed) for i in range(N)],
        Q=costs,
        S=None,
        R=None,
        G=costs,
        L=np.hstack([np.zeros((2 * N, 1)), own]),
        horizon=horizon,
        steps=steps,
        initial_mean=initial_mean,
        initial_std=initial_std,
    )
