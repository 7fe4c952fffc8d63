"""Paths of a game under given controls, step by step, so that every value can be looked at."""

from typing import Any

import keras
import numpy as np
from keras import ops

from fictitious_play.game_checks.probe import METHODS, Trial, arrays, quick, values
from fictitious_play.scan import is_loop


class Simulator:
    """Plays paths of a game from time 0.

    On JAX, and where the time is a tensor anyway, the Euler step is compiled, once: fewer paths
    than the first call had are made as many. A game of few steps may need the time as a number on
    JAX; it is then played operation by operation.

    Args:
        trial: the game, and the dtype to play it in.
    """

    def __init__(self, trial: Trial):
        self.trial, self._paths = trial, 0
        self._compiled = None
        loops = is_loop(trial.game.steps)
        if keras.config.backend() == "jax" or loops:
            self._compiled = quick(self._step, loops)

    def __call__(
        self, initial: Any, controls: Any, noise: Any
    ) -> tuple[list[dict[str, Any]], np.ndarray]:
        """Plays as many Euler steps as there are controls.

        Args:
            initial: (paths, state_size).
            controls: (paths, steps, players, control_size).
            noise: (paths, steps, noise_size).

        Returns:
            A list with a dictionary for every step and one for the end: "step", its number;
            "states", (paths, state_size); "finite", for every method that is called there whether
            what it returns is finite, (paths,); and "costs", (paths, players), the running cost,
            at the end the terminal one. And the path costs, (paths, players), in float64.
        """
        trial, h = self.trial, self.trial.game.step_size
        paths, steps = controls.shape[:2]
        if self._compiled is not None:
            self._paths = max(self._paths, paths)
            rows = np.arange(self._paths) % paths
            initial, controls, noise = (array[rows] for array in (initial, controls, noise))
        states, total, moments = trial.tensor(initial), np.zeros(()), []
        shown = np.asarray(initial)
        for number in range(steps):
            now = (states, trial.tensor(controls[:, number]), trial.tensor(noise[:, number]))
            states, costs, flags = self._play(number * h, *now)
            costs, flags = arrays((costs, flags))
            end = {"terminal_cost": flags.pop("terminal_cost")[:paths]}
            finite = {name: flag[:paths] for name, flag in flags.items()}
            moments.append(
                {
                    "step": number,
                    "states": shown[:paths],
                    "finite": finite,
                    "costs": costs[0][:paths],
                }
            )
            total = total + h * costs[0].astype(np.float64)
            shown = ops.convert_to_numpy(states)
        moments.append(
            {"step": steps, "states": shown[:paths], "finite": end, "costs": costs[1][:paths]}
        )
        return moments, (total + costs[1].astype(np.float64))[:paths]

    def _play(self, time: Any, *now: Any) -> Any:
        if self._compiled is not None:
            try:
                return self._compiled(self.trial.tensor(time), *now)
            except ValueError:  # of `values`: the time has to be a number
                if is_loop(self.trial.game.steps):
                    raise
                self._compiled = None
        return self._step(time, *now)

    def _step(self, time: Any, states: Any, controls: Any, noise: Any) -> tuple:
        """The states after an Euler step; running costs, and what the end would cost there; and
        which paths are finite, by method."""
        game = self.trial.game
        given = values(self.trial, time, states, controls)
        after = game.euler_step(time, states, controls, noise)
        given["terminal_cost"] = game.terminal_cost(after)
        flags = {}
        for name in METHODS:
            axes = (-2, -1) if name == "diffusion" else (-1,)
            flag = ops.all(ops.isfinite(ops.convert_to_tensor(given[name])), axis=axes)
            flags[name] = ops.broadcast_to(flag, ops.shape(states)[:1])
        shape = (ops.shape(states)[0], game.players)
        costs = [ops.broadcast_to(given[name], shape) for name in METHODS[2:]]
        return ops.broadcast_to(after, ops.shape(states)), costs, flags
