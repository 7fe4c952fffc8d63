"""What a problem is, by its values: dynamics, costs, initial law and α^0 on fixed points.

A configuration does not tell an edited cost function from the old one, nor one lambda from
another; their values do.
"""

from typing import Any

import numpy as np

from fictitious_play.game_checks.probe import arrays, quick
from fictitious_play.games.base import Game
from fictitious_play.solver.initial_belief import InitialBelief, initial_belief_function

#: Points, and most numbers that are kept of what a method returns at each of them.
_POINTS, _NUMBERS = 12, 12
#: Differences up to this, relative to a value and to the largest one, are rounding: single
#: precision, and libraries of other versions that take sums in another order.
_RELATIVE, _ABSOLUTE = 5e-5, 5e-6


def fingerprint(game: Game, belief: InitialBelief, dtype: str) -> dict[str, list]:
    """Values of everything that defines a problem, as JSON: (points, numbers) each.

    Args:
        game: the `Game`.
        belief: α^0, as in `DeepFictitiousPlay`.
        dtype: of the solve.
    """
    h, steps = game.step_size, game.steps
    initial = np.asarray(game.initial_states(_spread(_POINTS, game.state_size, 0)), np.float64)
    # Near the initial law and far from it, with small controls and large ones.
    scale = np.array([0.1, 1.0, 10.0])[np.arange(_POINTS) % 3][:, None]
    states = initial + scale * (1.0 + np.abs(initial)) * _spread(_POINTS, game.state_size, 1)
    controls = _spread(_POINTS, game.players * game.control_size, 2) * scale[::-1]
    controls = controls.reshape(_POINTS, game.players, game.control_size)
    noise = h**0.5 * _spread(_POINTS, game.noise_size, 3)
    values: dict[str, Any] = {"initial_states": initial}
    if np.any(game.control_unit != 1.0):
        values["control_unit"] = game.control_unit
    states, controls, noise = (np.asarray(each, dtype) for each in (states, controls, noise))

    def at(time: Any) -> Any:
        def evaluate(states: Any, controls: Any, noise: Any) -> dict[str, Any]:
            return {
                "drift": game.drift(time, states, controls),
                "diffusion": game.diffusion(time, states, controls),
                "running_cost": game.running_cost(time, states, controls),
                "terminal_cost": game.terminal_cost(states),
                "euler_step": game.euler_step(time, states, controls, noise),
            }

        return evaluate

    tensors = _tensors(states, controls, noise)
    for step in sorted({0, steps // 2, steps - 1}):
        for name, value in arrays(quick(at(step * h))(*tensors)).items():
            key = name if name == "terminal_cost" else f"{name} at step {step}"
            values[key] = value
    path = h**0.5 * _spread(_POINTS, steps * game.noise_size, 4)
    path = path.reshape(_POINTS, steps, game.noise_size)
    sample = (np.asarray(initial, dtype), np.asarray(path, dtype))
    values["initial_belief"] = initial_belief_function(game, belief)(*sample)
    return {name: _short(np.asarray(value, np.float64)) for name, value in values.items()}


def differences(old: dict[str, list], new: dict[str, list]) -> list[str]:
    """What has other values: names of methods, and "initial_belief"."""
    changed = []
    for key in {**old, **new}:
        before, now = (np.asarray(each.get(key, []), np.float64) for each in (old, new))
        same = before.shape == now.shape
        if same:
            finite = np.abs(before[np.isfinite(before)])
            size = finite.max() if finite.size else 0.0
            tolerance = {"rtol": _RELATIVE, "atol": _ABSOLUTE * size}
            same = np.allclose(now, before, equal_nan=True, **tolerance)
        if not same:
            changed.append(key.partition(" at step ")[0])
    named = list(dict.fromkeys(changed))
    if {"drift", "diffusion"} & set(named):
        named = [name for name in named if name != "euler_step"]  # made of them
    return named


def _tensors(*arrays: Any) -> list:
    from keras import ops

    return [ops.convert_to_tensor(array) for array in arrays]


def _spread(rows: int, columns: int, number: int) -> np.ndarray:
    """Fixed numbers between -√3 and √3, of variance one; no generator whose stream may change."""
    index = 1.0 + np.arange(rows * columns) + 1009.0 * number
    return (np.sqrt(3.0) * (2.0 * ((index * 0.6180339887498949) % 1.0) - 1.0)).reshape(
        rows, columns
    )


def _short(values: np.ndarray) -> list:
    """The values, or fixed combinations of them where there are many, with seven digits."""
    if values.ndim > 1 and len(values) == _POINTS:
        values = values.reshape(_POINTS, -1)
    else:
        values = values.reshape(1, -1)  # a constant without leading axes
    if values.shape[1] > _NUMBERS:
        weights = _spread(values.shape[1], _NUMBERS, 5)
        values = values @ weights / np.sqrt(values.shape[1])
    return [[float(f"{number:.7g}") for number in row] for row in values]
