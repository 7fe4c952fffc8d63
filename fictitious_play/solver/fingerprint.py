"""What a problem is, by its values: dynamics, costs, initial law and α^0 on fixed points.

A configuration does not tell an edited cost function from the old one, nor one lambda from
another; their values do.
"""

from typing import Any

import numpy as np
from keras import ops, tree
from scipy.ndimage import maximum_filter1d

from fictitious_play.game_checks.probe import arrays, quick
from fictitious_play.games.base import Game
from fictitious_play.scan import is_loop, scan
from fictitious_play.solver.initial_belief import InitialBelief, initial_belief_function

#: Points, and most numbers that are kept of what a method returns at each of them.
_POINTS, NUMBERS = 12, 12
#: Differences up to this, relative to a value and to the largest one, are rounding: single
#: precision, and libraries of other versions that take sums in another order.
_RELATIVE, _ABSOLUTE = 5e-5, 5e-6
_GOLDEN = 0.6180339887498949


def fingerprint(game: Game, belief: InitialBelief, dtype: str) -> dict[str, list]:
    """Values of everything that defines a problem, as JSON.

    Args:
        game: the `Game`.
        belief: α^0, as in `DeepFictitiousPlay`.
        dtype: of the solve.

    Returns:
        By name, (steps, points, numbers) of what depends on the time, at every step, and (points,
        numbers) of what does not.
    """
    h, steps, players = game.step_size, game.steps, game.players
    initial = np.asarray(game.initial_states(_spread(_POINTS, game.state_size, 0)), np.float64)
    # Near the initial law and far from it, with small controls and large ones.
    scale = np.array([0.1, 1.0, 10.0])[np.arange(_POINTS) % 3][:, None]
    states = initial + scale * (1.0 + np.abs(initial)) * _spread(_POINTS, game.state_size, 1)
    controls = _spread(_POINTS, players * game.control_size, 2) * scale[::-1]
    controls = controls.reshape(_POINTS, players, game.control_size)
    noise = h**0.5 * _spread(_POINTS, game.noise_size, 3)
    path = h**0.5 * _spread(_POINTS, steps * game.noise_size, 4)
    path = path.reshape(_POINTS, steps, game.noise_size).astype(dtype)
    beliefs = initial_belief_function(game, belief)(initial.astype(dtype), path)
    given = {"initial_states": initial}
    if game.control_unit is not None:
        given["control_unit"] = game.control_unit.reshape(1, -1)
    if game.control_bounds is not None:
        given["control_bounds"] = np.stack(game.control_bounds)
    weights = game.mean_weights()
    if weights is not None:
        given["mean_weights"] = np.asarray(weights)

    def at(states: Any, controls: Any, noise: Any, beliefs: Any, given: dict[str, Any]) -> dict:
        def step(_: Any, belief: Any, time: Any) -> tuple:
            return (), {
                "initial_belief": _numbers(belief, 2),
                "drift": _numbers(game.drift(time, states, controls)),
                "diffusion": _numbers(game.diffusion(time, states, controls), 2),
                "running_cost": _numbers(game.running_cost(time, states, controls)),
                "euler_step": _numbers(game.euler_step(time, states, controls, noise)),
            }

        _, kept = scan(step, (), beliefs, steps, h, dtype)
        once = {**given, "terminal_cost": game.terminal_cost(states)}
        return {**kept, **{name: _numbers(value) for name, value in once.items()}}

    points = (states, controls, noise, np.swapaxes(beliefs, 0, 1), given)
    points = tree.map_structure(lambda array: ops.convert_to_tensor(array.astype(dtype)), points)
    return {
        name: _short(np.asarray(value, np.float64))
        for name, value in arrays(quick(at, graph=is_loop(steps))(*points)).items()
    }


def differences(old: dict[str, list], new: dict[str, list]) -> list[str]:
    """What has other values, by name; what follows from a change of these is left out."""
    named = []
    for name in {**old, **new}:
        before, now = (np.asarray(each.get(name, []), np.float64) for each in (old, new))
        same = before.shape == now.shape
        if same and before.size:
            size = np.where(np.isfinite(before), np.abs(before), 0.0).max(axis=(-2, -1))
            if before.ndim == 3:
                # What is next to nothing at a step may be the rounding of what it is around it.
                size = maximum_filter1d(size, 1 + 2 * (1 + len(size) // 16))[:, None, None]
            with np.errstate(invalid="ignore"):
                close = np.abs(now - before) <= _RELATIVE * np.abs(before) + _ABSOLUTE * size
            close |= (now == before) | (np.isnan(now) & np.isnan(before))
            same = bool(close.all())
        if not same:
            named.append(name)
    if "initial_states" in named:
        return ["initial_states"]  # everything else is looked at near them
    if {"drift", "diffusion"} & set(named):
        named = [name for name in named if name != "euler_step"]  # made of them
    return named


def _numbers(value: Any, axes: int = 1) -> Any:
    """(points, numbers) of values whose last so many axes belong to a point; one point of a
    constant without leading axes. Where a point has many, sums over every so many of them."""
    value = ops.convert_to_tensor(value)
    size = int(np.prod(value.shape[-axes:]))
    value = ops.reshape(value, (-1, size))
    if size <= NUMBERS:
        return value
    index, count = np.arange(size), -(-size // NUMBERS)
    weights = np.where(index // NUMBERS % 2, -1.0, 1.0) * (1.0 + (index * _GOLDEN) % 1.0)
    value = value * ops.convert_to_tensor(weights, dtype=value.dtype)
    value = ops.pad(value, ((0, 0), (0, count * NUMBERS - size)))
    return ops.sum(ops.reshape(value, (-1, count, NUMBERS)), axis=1)


def _short(values: np.ndarray) -> list:
    """The values with seven digits."""
    if values.ndim == 1:
        return [float(f"{number:.7g}") for number in values]
    return [_short(each) for each in values]


def _spread(rows: int, columns: int, number: int) -> np.ndarray:
    """Fixed numbers between -√3 and √3, of variance one; no generator whose stream may change."""
    index = 1.0 + np.arange(rows * columns) + 1009.0 * number
    return (np.sqrt(3.0) * (2.0 * ((index * _GOLDEN) % 1.0) - 1.0)).reshape(rows, columns)
