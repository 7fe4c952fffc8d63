"""Gradients of the costs with respect to the controls."""

import warnings
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from fictitious_play.game_checks.probe import Trial, points, quick


def gradient_of(function: Any, graph: bool = False) -> Any:
    """The gradient of a scalar function with respect to its first tensor, as a function that gives
    a numpy array; zero where the function does not depend on it. JAX compiles it once, TensorFlow
    with `graph`."""
    backend = keras.config.backend()
    if backend == "jax":
        import jax

        function = quick(jax.grad(function))
    elif backend == "tensorflow":
        function = quick(partial(_tensorflow_gradient, function), graph)
    else:
        function = partial(_torch_gradient, function)
    return lambda *tensors: ops.convert_to_numpy(function(*tensors))


def gradient(function: Any, point: Any, *given: Any) -> Any:
    """The gradient at a point, as a numpy array."""
    return gradient_of(function)(point, *given)


def _tensorflow_gradient(function: Any, point: Any, *given: Any) -> Any:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(point)
        value = function(point, *given)
    return tape.gradient(value, point, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def _torch_gradient(function: Any, point: Any, *given: Any) -> Any:
    point = point.clone().requires_grad_()
    value = function(point, *given)
    if value.requires_grad:
        value.backward()
    return ops.zeros_like(point.detach()) if point.grad is None else point.grad


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
    _warn_of_jumps(trial, states, controls)
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


def _warn_of_jumps(trial: Trial, states: Any, controls: Any) -> None:
    """A cost that takes few values, and no slope anywhere, moves by jumps alone, which neither
    training nor a trained response can see."""
    game = trial.game

    def terminal(states: Any) -> Any:
        return game.terminal_cost(states)

    def running(controls: Any, states: Any) -> Any:
        return game.running_cost(0.0, states, controls)

    def in_states(states: Any, controls: Any) -> Any:
        return running(controls, states)

    for method, *ways in (
        ("terminal_cost", (terminal, states)),
        ("running_cost", (running, controls, states), (in_states, states, controls)),
    ):
        costs = ops.convert_to_numpy(ways[0][0](*ways[0][1:]))
        for player in range(costs.shape[-1]):
            values = len(np.unique(costs[..., player]))
            if not 1 < values <= len(states) / 2:
                continue

            def slope(function: Any, *at: Any, player: int = player) -> Any:
                return gradient(lambda *at: ops.sum(function(*at)[..., player]), *at)

            if not any(slope(*way).any() for way in ways):
                warnings.warn(
                    f"`{trial.name}.{method}` must not move by jumps alone. Received: {values} "
                    f"values at {len(states)} points for player {player}, and gradients of zero in "
                    "all of them, so that nobody can see what it asks for. Likely cause: a "
                    "comparison, a rounding or a sign; make it a steep smooth function such as "
                    "ops.sigmoid",
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
