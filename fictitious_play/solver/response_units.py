"""Units in which a best response sees a game, measured on the paths of the profile."""

from dataclasses import dataclass
from typing import Any

import numpy as np

#: How far a disturbance of the controls moves a path's cost, in its spread, when its size is the
#: unit of control.
_SHIFT = 0.3
#: Share of what the disturbance does to a state in the state's unit: a floor for states that rest
#: under the profile.
_FLOOR = 0.3
#: Up to so many states they are also decorrelated.
_ROTATED = 64
#: Combinations of states whose spread, in units of the states', is below this do not move.
_STILL = 1e-5

#: The arrays of `ResponseUnits` with the steps first.
BY_STEP = ("mean", "size", "rotation", "control_mean", "control_size")


@dataclass(frozen=True)
class ResponseUnits:
    """Units of cost, controls and states.

    Attributes:
        cost: (players,), the spread of a path's cost; its size where that is a thousand times the
            spread.
        control: (players, control_size), the size of a disturbance, independent from step to step,
            that moves a path's cost by a third of that.
        mean, size: (steps, state_size), where the states are, and their spread under the profile
            and under the disturbance; infinite for a state that neither moves.
        rotation: (steps, state_size, state_size), from states in these units to uncorrelated
            directions of spread one; columns of directions that nothing moves are zero. None where
            there are many states.
        control_mean, control_size: (steps, players, control_size), of the profile's controls.
    """

    cost: np.ndarray
    control: np.ndarray
    mean: np.ndarray
    size: np.ndarray
    rotation: np.ndarray | None
    control_mean: np.ndarray
    control_size: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name, without a rotation where there is none."""
        return {name: value for name, value in vars(self).items() if value is not None}


def neutral_units(game: Any) -> ResponseUnits:
    """The game's own."""
    steps, n, players, k = game.steps, game.state_size, game.players, game.control_size
    return ResponseUnits(
        cost=np.ones(players),
        control=np.ones((players, k)),
        mean=np.zeros((steps, n)),
        size=np.ones((steps, n)),
        rotation=np.zeros((steps, n, n)) if is_rotated(n) else None,
        control_mean=np.zeros((steps, players, k)),
        control_size=np.ones((steps, players, k)),
    )


def is_rotated(state_size: int) -> bool:
    """Whether so many states are decorrelated."""
    return state_size <= _ROTATED


def cost_unit(costs: np.ndarray) -> np.ndarray:
    """Of path costs (paths, players): their spread, and not much less than their size."""
    unit = np.maximum(costs.std(axis=0), 1e-3 * np.abs(costs).mean(axis=0))
    return np.where(unit > np.finfo(np.float64).tiny ** 0.5, unit, 1.0)


def control_unit(
    change: Any, cost: np.ndarray, controls: np.ndarray, start: np.ndarray | None = None
) -> np.ndarray:
    """The size of a disturbance that moves a path's cost by a third of its unit.

    Args:
        change: function from sizes (players,) to the changes of cost (paths, players) that
            disturbances of these sizes make.
        cost: (players,), the unit of cost.
        controls: (paths, steps, players, control_size) of the profile, at whose size the search
            begins,
        start: unless this is given, (players,).

    Returns:
        (players,); as it began for a player whose controls change nothing.
    """
    if start is None:
        start = np.sqrt(np.nanmean(controls**2, axis=(0, 1, 3)))
        start = np.where((start > 0.0) & np.isfinite(start), start, 1.0)
    size, low, high = start.copy(), np.zeros_like(start), np.full_like(start, np.inf)
    for _ in range(24):
        with np.errstate(invalid="ignore", over="ignore"):
            moved = np.sqrt(np.mean(change(size) ** 2, axis=0)) / cost
        small = moved < _SHIFT  # what is not finite is too large
        low, high = np.where(small, size, low), np.where(small, high, size)
        bracketed = (low > 0.0) & np.isfinite(high)
        size = np.where(bracketed, np.sqrt(low * np.where(bracketed, high, 1.0)), size)
        size = np.where(bracketed, size, np.where(small, 8.0 * size, size / 8.0))
        if np.all(bracketed & (high < 3.0 * low)):
            break
    return np.where(low > 1e15 * start, start, np.where(low > 0.0, low, size))


def state_units(
    states: np.ndarray, disturbed: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Mean, size and rotation as in `ResponseUnits`.

    Args:
        states: (paths, steps, state_size) under the profile.
        disturbed: (paths, steps, players, state_size), the same with every player's disturbance.
    """
    mean = states.mean(axis=0)
    centred = states - mean
    moved = disturbed - states[:, :, None]
    paths, number = len(moved), moved.shape[-1]
    floor = _FLOOR**2 * np.mean(moved**2, axis=0).max(axis=1)
    variance = np.mean(centred**2, axis=0) + floor
    # Round-off of a state that rests is no spread.
    still = variance <= (1e-7 * np.abs(states).max(axis=(0, 1))) ** 2
    size = np.where(still, np.inf, np.sqrt(np.where(still, 1.0, variance)))
    if not is_rotated(number):
        return mean, size, None
    z = centred / size
    d = _FLOOR * moved / size[:, None]
    covariance = np.einsum("bti,btj->tij", z, z) / paths
    covariance += np.einsum("btpi,btpj->tij", d, d) / paths
    spectrum, vectors = np.linalg.eigh(covariance)
    moves = spectrum > _STILL**2
    scale = np.where(moves, 1.0 / np.sqrt(np.where(moves, spectrum, 1.0)), 0.0)
    return mean, size, vectors * scale[:, None, :]
