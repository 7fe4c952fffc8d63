"""α^0: what the players expect of each other before anybody has played."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fictitious_play import checks
from fictitious_play.games.base import Game

#: A number, an array that broadcasts to `game.controls_shape`, or a function of initial states and
#: Brownian increments that gives (batch, *game.controls_shape).
InitialBelief = Any


def initial_belief_array(game: Game, belief: InitialBelief) -> np.ndarray:
    """α^0 that is a number or an array, as (steps, players, control_size)."""
    array = checks.finite_array("initial_belief", belief)
    try:
        array = np.broadcast_to(array, game.controls_shape)
    except ValueError as error:
        raise ValueError(
            f"`initial_belief` must broadcast to the shape {game.controls_shape} "
            f"(steps, players). Received: shape {array.shape}"
        ) from error
    return array.reshape(game.steps, game.players, game.control_size)


def initial_belief_function(game: Game, belief: InitialBelief) -> Callable:
    """α^0 as a function of (initial_state, noise), with (batch, steps, players, control_size);
    where the game has control bounds, the nearest controls within them."""
    full = (game.steps, game.players, game.control_size)
    if callable(belief):

        def evaluated(initial_state: Any, noise: Any) -> Any:
            controls = np.asarray(belief(initial_state, noise))
            expected = (len(initial_state), *game.controls_shape)
            checks.shaped("initial_belief(initial_state, noise)", controls, expected)
            return game.project(controls.reshape(-1, *full))

        return evaluated
    array = game.project(initial_belief_array(game, belief))
    return lambda initial_state, noise: np.broadcast_to(array, (len(initial_state), *full))
