"""Gradients of the costs with respect to the controls."""

import warnings
from typing import Any

import keras
import numpy as np
from keras import ops

from fictitious_play.game_checks.probe import Trial, points, quick


def gradient(function: Any, point: Any, *given: Any) -> Any:
    """The gradient of a scalar function with respect to its first tensor, as a numpy array; zero
    where the function does not depend on it."""
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(point)
            value = function(point, *given)
        slope = tape.gradient(value, point)
        return np.zeros(point.shape) if slope is None else ops.convert_to_numpy(slope)
    if backend == "jax":
        import jax

        return ops.convert_to_numpy(quick(jax.grad(function))(point, *given))
    point = point.clone().requires_grad_()
    value = function(point, *given)
    if not value.requires_grad:
        return np.zeros(tuple(point.shape))
    value.backward()
    return np.zeros(tuple(point.shape)) if point.grad is None else ops.convert_to_numpy(point.grad)


def check_gradients(trial: Trial) -> None:
    """The costs of one Euler step have finite gradients wherever they are finite themselves: at
    the start of every path with controls of zero, where networks begin, and near it."""
    game = trial.game
    rng = np.random.default_rng(3)
    count = trial.paths * trial.copies
    start = np.asarray(game.initial_states(rng.standard_normal((count, game.state_size))))
    near, moved = points(trial, (count,))
    noise = trial.tensor(np.zeros((2 * count, game.noise_size)))

    def running(controls: Any, states: Any) -> Any:
        return game.running_cost(0.0, states, controls)

    def terminal(controls: Any, states: Any) -> Any:
        return game.terminal_cost(game.euler_step(0.0, states, controls, noise))

    def total(controls: Any, states: Any) -> Any:
        return ops.sum(running(controls, states)) + ops.sum(terminal(controls, states))

    states = trial.tensor(np.concatenate([start, near]))
    controls = trial.tensor(np.concatenate([game.project(np.zeros(moved.shape)), moved]))
    _warn_of_jumps(trial, states)
    if np.all(np.isfinite(gradient(total, controls, states))):
        return
    for method, function in (("running_cost", running), ("terminal_cost", terminal)):
        costs = ops.convert_to_numpy(function(controls, states))
        slopes = gradient(lambda *at, of=function: ops.sum(of(*at)), controls, states)
        finite = np.broadcast_to(np.isfinite(costs), (2 * count, game.players)).all(axis=1)
        wrong = (finite & ~np.isfinite(slopes).all(axis=(1, 2))).reshape(2, count)
        for place, where in enumerate(_WHERE):
            if wrong[place].any():
                rule = "must have finite gradients with respect to the controls."
                received = (
                    f"finite costs with NaN or infinite gradients on {wrong[place].sum()} of "
                    f"{count} paths {where}"
                )
                trial.refuse(method, rule, received, _CAUSE)


def _warn_of_jumps(trial: Trial, states: Any) -> None:
    """A terminal cost that takes few values, and no slope anywhere, moves by jumps alone, which
    neither training nor a trained response can see."""
    costs = ops.convert_to_numpy(trial.game.terminal_cost(states))
    for player in range(costs.shape[-1]):
        values = len(np.unique(costs[..., player]))
        if not 1 < values <= len(states) / 2:
            continue

        def cost(states: Any, player: int = player) -> Any:
            return ops.sum(trial.game.terminal_cost(states)[..., player])

        if not gradient(cost, states).any():
            warnings.warn(
                f"`{trial.name}.terminal_cost` must not move by jumps alone. Received: {values} "
                f"values in {len(states)} states for player {player}, and gradients of zero in all "
                "of them, so that nobody can see what it asks for. Likely cause: a comparison, a "
                "rounding or a sign; make it a steep smooth function such as ops.sigmoid",
                RuntimeWarning,
                stacklevel=5,
            )
            return


#: Where the two halves of the points lie.
_WHERE = (
    "at the initial states, with controls of zero (or the nearest within bounds)",
    "near the initial states, with random controls",
)
_CAUSE = (
    "Likely cause: a root or a norm at zero (add a small number under it), or ops.where around a "
    "function outside its domain (bound its argument first)"
)
