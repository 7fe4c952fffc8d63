"""Paths of a game under given controls, step by step, so that every value can be looked at."""

from typing import Any

import keras
import numpy as np
from keras import ops

from fictitious_play.game_checks.probe import METHODS, Trial, quick, run, values


def simulate(trial: Trial, initial, controls, noise) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Plays paths from time 0, as many Euler steps as there are controls.

    Args:
        trial: the game, and the dtype to play it in.
        initial: (paths, state_size).
        controls: (paths, steps, players, control_size).
        noise: (paths, steps, noise_size).

    Returns:
        A list with a dictionary for every step and one for the end: "step", its number; "states",
        (paths, state_size); and "finite", for every method that is called there whether what it
        returns is finite, (paths,). And the path costs, (paths, players), in float64.
    """
    game, h = trial.game, trial.game.step_size
    play = _compiled(trial, initial, controls, noise)
    states, total, found = trial.tensor(initial), np.zeros(()), []
    steps = controls.shape[1]
    for number in range(steps):
        now = (states, trial.tensor(controls[:, number]), trial.tensor(noise[:, number]))
        after, running, finite = play(number * h, *now)
        found.append({"step": number, "states": ops.convert_to_numpy(states), "finite": finite})
        total = total + h * running.astype(np.float64)
        states = trial.tensor(after)

    def end(states):
        return _costs(game, game.terminal_cost(states), states)

    cost, finite = run(end, states)
    last = {"step": steps, "states": ops.convert_to_numpy(states)}
    found.append({**last, "finite": {"terminal_cost": finite}})
    return found, total + cost.astype(np.float64)


def _compiled(trial: Trial, initial, controls, noise):
    """One Euler step as a function of a float and tensors, which gives numpy arrays.

    JAX compiles it once where the game takes the time as a tensor, else once a step.
    """

    def step(time, states, controls, noise):
        given = values(trial, time, states, controls)
        after = trial.game.euler_step(time, states, controls, noise)
        cost, finite = _costs(trial.game, given["running_cost"], states)
        flags = {"running_cost": finite}
        for name in METHODS[:2]:
            axes = (-2, -1) if name == "diffusion" else (-1,)
            flag = ops.all(ops.isfinite(ops.convert_to_tensor(given[name])), axis=axes)
            flags[name] = ops.broadcast_to(flag, ops.shape(states)[:1])
        return after, cost, flags

    def by_number(time, *now):
        return run(lambda *now: step(time, *now), *now)

    if keras.config.backend() != "jax":
        return by_number
    compiled = quick(step)

    def by_tensor(time, *now):
        return keras.tree.map_structure(ops.convert_to_numpy, compiled(trial.tensor(time), *now))

    try:
        by_tensor(0.0, *(trial.tensor(each) for each in (initial, controls[:, 0], noise[:, 0])))
    except ValueError:  # the time has to be a number
        return by_number
    return by_tensor


def _costs(game, cost, states):
    """Costs of all players on every path, and whether they are finite there."""
    paths = ops.shape(states)[0]
    finite = ops.all(ops.isfinite(cost), axis=-1)
    return ops.broadcast_to(cost, (paths, game.players)), ops.broadcast_to(finite, (paths,))
