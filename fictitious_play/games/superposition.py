"""Costs of deviations by superposition, for games whose state is linear in the controls.

Player i's costs see the state through a few numbers, her views V_i X. When she alone deviates, the
views are those of the path on which nobody does plus the impulse response of her deviation:

    V_i X_t[deviation] = V_i X_t + Σ_{s<t} h V_i Â_{t-1} … Â_{s+1} B_i(s) δ_s,   Â = I + h A.

One simulation and one product of size steps² then stand for N simulations of the whole state.
"""

from typing import Any

import numpy as np
from keras import ops


def impulse_responses(
    A: np.ndarray, B: np.ndarray, views: np.ndarray, h: float, steps: int
) -> np.ndarray:
    """What one unit of each player's own control adds to what she sees later.

    Args:
        A: the drift's matrix, (n, n), or (steps, n, n) where it varies in time.
        B: how the players' controls enter the drift, (players, n, k) or (steps, players, n, k).
        views: (players, r, n), what each player sees of the state.
        h, steps: size and number of the Euler steps.

    Returns:
        (players, steps + 1, r, steps, k): entry (i, t, :, s, :) is h V_i Â_{t-1} … Â_{s+1} B_i(s)
        for s < t, and zero for s ≥ t.
    """
    players, r, n = views.shape
    response = np.zeros((players, steps + 1, r, steps, B.shape[-1]))

    def back(rows: Any, A: Any) -> Any:
        flat = rows.reshape(-1, n)
        return (flat + h * (flat @ A)).reshape(rows.shape)

    if A.ndim == 2 and B.ndim == 3:
        rows = views
        for lag in range(steps):
            impulse = h * (rows @ B)
            for step in range(steps - lag):
                response[:, step + lag + 1, :, step] = impulse
            rows = back(rows, A)
        return response
    A, B = (np.broadcast_to(each, (steps, *each.shape[-k:])) for each, k in ((A, 2), (B, 3)))
    for time in range(1, steps + 1):
        rows = views
        for step in reversed(range(time)):
            response[:, time, :, step] = h * (rows @ B[step])
            rows = back(rows, A[step])
    return response


def deviated_views(views: Any, response: Any, deviation: Any) -> Any:
    """The players' views when each one alone deviates.

    Args:
        views: (batch, steps + 1, players, r), along the path on which nobody deviates.
        response: `impulse_responses`, (players, steps + 1, r, steps, k).
        deviation: (batch, steps, players, k), own controls less those of the path.

    Returns:
        (batch, steps + 1, players, r).
    """
    players, times, r, steps, k = response.shape
    matrix = np.swapaxes(response.reshape(players, times * r, steps * k), 1, 2)
    rows = ops.reshape(ops.transpose(deviation, (2, 0, 1, 3)), (players, -1, steps * k))
    added = ops.matmul(rows, ops.convert_to_tensor(matrix, dtype=ops.dtype(deviation)))
    added = ops.reshape(added, (players, -1, times, r))
    return views + ops.transpose(added, (1, 2, 0, 3))


def keeps(game: Any, home: type, names: Any) -> bool:
    """Whether the class of `game` has left these methods of `home` as they are: a subclass that
    changes dynamics or costs must not be given its parent's shortcuts."""
    return all(getattr(type(game), name) is getattr(home, name) for name in names)
