"""Standard units of what the networks see, measured on samples of the game itself."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from fictitious_play import checks, rollout
from fictitious_play.compiled import Compiled
from fictitious_play.games.base import Game
from fictitious_play.layers.saturation import Saturation
from fictitious_play.tensors import Tensor

#: Initial states that the units of X_0 are measured on, in antithetic pairs.
_INITIAL_STATES = 4096
_SEED = 20190
#: A spread below this many roundings of the largest value is rounding.
_ROUNDINGS = 8.0


class Units(NamedTuple):
    """x is seen as (x - mean) · scale; scale 0 leaves it out. Arrays of one shape."""

    mean: np.ndarray
    scale: np.ndarray


def control_units(game: Game, unit: Any = None) -> np.ndarray:
    """What counts as a unit of control, (players, control_size): the game's, unless one is given,
    or a quarter of the distance between `control_bounds` where that is less."""
    saturation = Saturation.of(game, unit=unit)
    return np.ones((game.players, game.control_size)) if saturation is None else saturation.unit


def initial_units(game: Game) -> Units:
    """Units of X_0, (state_size,) each, from the law that `game.initial_states` samples.

    The normals are a fixed antithetic sample of mean 0 and variance 1 exactly, so that a law that
    scales and shifts them is measured without error. A state that the law does not spread gets
    scale 0: it is the same on every path.
    """
    generator = np.random.default_rng(_SEED)
    half = generator.standard_normal((_INITIAL_STATES // 2, game.state_size))
    half /= np.sqrt(np.mean(half**2, axis=0))
    normals = np.concatenate([half, -half])
    states = np.asarray(game.initial_states(normals.copy()), np.float64)
    checks.has_shape("initial_states(normals)", states, normals.shape)
    mean, spread = _moments(states, (0,))
    moving = spread > _rounding(np.float64, states)
    return Units(mean, np.divide(1.0, spread, out=np.zeros_like(spread), where=moving))


def state_units(
    game: Game,
    initial_state: Tensor,
    controls: Tensor,
    noise: Tensor,
    pooled: bool = False,
    play: Callable | None = None,
    unit: Any = None,
) -> tuple[Units, float]:
    """Units of the states along the paths of a profile, (steps, state_size) each, and how much of
    their spread is the play's own.

    The spread of a state is its standard deviation over the paths and, in quadrature, the standard
    deviation of what it moves by when independent normals, a unit of control large, are added to
    all controls at all steps. The first is what is seen; the second is a floor, the spread that a
    unit of control makes within a step, carried on through the game's own dynamics: it counts what
    controls do through the drift, through the volatility and through other states. So a state that
    rests under this profile and that the players can move is seen, and only one that neither noise
    nor controls nor the initial law can move is left out.

    Args:
        game: the `Game`.
        initial_state, controls, noise: of sample paths, as in `rollout.joint_costs`.
        pooled: whether the units are the same at all steps, those of all steps together.
        play: `rollout.joint_states` of the game, compiled; None compiles it here.
        unit: of control, in place of the game's.

    Returns:
        The units; and the smallest ratio, over steps and states that controls move, of the spread
        along the paths and the floor: infinite where controls move nothing.
    """
    play = Compiled(partial(rollout.joint_states, game)) if play is None else play
    arrays = (np.asarray(array) for array in (initial_state, controls, noise))
    states, moved = _paths(game, play, control_units(game, unit), *arrays)
    if len(states) < 2:
        raise ValueError(
            "The states along a profile must be finite on some sample paths. Received: NaN or "
            "infinity on all of them"
        )
    axes: tuple[int, ...] = (0, 1) if pooled else (0,)
    mean, spread = (each.reshape(-1, game.state_size) for each in _moments(states, axes))
    floor = _moments(moved, axes)[1].reshape(-1, game.state_size)
    rounding = _rounding(np.asarray(noise).dtype, states)
    spreads, floors = (_moments(each, (0,))[1] for each in (states, moved))
    controlled = floors > rounding
    own = np.min(spreads[controlled] / floors[controlled], initial=np.inf)
    spread = np.hypot(spread, floor)
    moving = spread > rounding
    # A state that rests at one step, as X_0 may, gets the smallest unit that it has elsewhere.
    smallest = np.min(np.where(moving, spread, np.inf), axis=0)
    scale = 1.0 / np.where(moving, spread, smallest)
    shape = (game.steps, game.state_size)
    return Units(np.broadcast_to(mean, shape), np.broadcast_to(scale, shape)), float(own)


def _paths(
    game: Game,
    play: Callable,
    unit: np.ndarray,
    initial_state: Tensor,
    controls: Tensor,
    noise: Tensor,
) -> tuple:
    """States before every step, and what they move by under a unit of control more, in float64,
    on the paths where both are finite; (paths, steps, state_size) each."""
    states = _states(play, initial_state, controls, noise)
    normals = np.random.default_rng(_SEED).standard_normal(controls.shape)
    unit = (normals * unit).astype(controls.dtype)
    finite = np.zeros(len(states), bool)
    # Dynamics that escape under a unit of control bear a smaller one.
    for size in 10.0 ** -np.arange(4):
        more = game.project(controls + controls.dtype.type(size) * unit)
        moved = _states(play, initial_state, more, noise) - states
        finite = np.isfinite(states + moved).all(axis=(1, 2))
        if finite.mean() > 0.5:
            break
    return states[finite], moved[finite]


def _states(play: Callable, *arrays: Any) -> np.ndarray:
    return ops.convert_to_numpy(play(*arrays))[:, :-1].astype(np.float64)


def _moments(values: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation; that of equal values is zero exactly."""
    first = values[(slice(1),) * len(axes)]
    centred = values - first
    mean = (first + centred.mean(axis=axes, keepdims=True)).squeeze(axes)
    return mean, centred.std(axis=axes)


def _rounding(dtype: Any, values: Any) -> np.ndarray:
    """A spread of each state, the last axis, that rounding alone can make."""
    largest = np.abs(values).max(axis=tuple(range(values.ndim - 1)))
    return _ROUNDINGS * np.finfo(dtype).eps * largest
