"""What the players expect of each other: controls of earlier stages, weighted."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from fictitious_play import checks
from fictitious_play.games.base import Game
from fictitious_play.networks.joint_policy import JointPolicy

#: α^0: a number, an array that broadcasts to `game.controls_shape`, or a function of initial
#: states and Brownian increments that gives (batch, *game.controls_shape).
InitialBelief = Any


def initial_belief_function(game: Game, belief: InitialBelief) -> Callable:
    """α^0 as a function of (initial_state, noise), with (batch, steps, players, control_size)."""
    full = (game.steps, game.players, game.control_size)
    if callable(belief):

        def evaluated(initial_state, noise):
            controls = np.asarray(belief(initial_state, noise))
            expected = (len(initial_state), *game.controls_shape)
            checks.shaped("initial_belief(initial_state, noise)", controls, expected)
            return controls.reshape(-1, *full)

        return evaluated
    array = checks.real_array("initial_belief", belief)
    try:
        array = np.broadcast_to(array, game.controls_shape).reshape(full)
    except ValueError as error:
        raise ValueError(
            f"`initial_belief` must broadcast to the shape {game.controls_shape} "
            f"(steps, players). Received: shape {array.shape}"
        ) from error
    return lambda initial_state, noise: np.broadcast_to(array, (len(initial_state), *full))


class Belief:
    """The last profile that every player has told the others; at first α^0.

    Args:
        game: the `Game`.
        evaluator: a built `JointPolicy` of the belief's own, which holds the last profile's
            weights and evaluates it with its moving averages.
        initial: α^0.
    """

    def __init__(self, game: Game, evaluator: JointPolicy, initial: InitialBelief):
        self.evaluator = evaluator
        self._initial = initial_belief_function(game, initial)
        self._announced = False

    def announce(self, policy: JointPolicy) -> None:
        """The end of a stage: the players tell each other their controls."""
        for target, source in zip(self.evaluator.weights, policy.weights, strict=True):
            target.assign(ops.copy(source))  # a training step may give the original's memory away
        self._announced = True

    def controls(self, sample) -> np.ndarray:
        """The belief along a sample, (paths, steps, players, control_size)."""
        if not self._announced:
            return self._initial(*sample).astype(sample.noise.dtype)
        return self.evaluator.predict_on_batch(list(sample))
