"""α^0: what the players expect of each other before anybody has played."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fictitious_play import checks
from fictitious_play.games.base import Game
from fictitious_play.solver.samples import Sample

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


def check_initial_belief(game: Game, belief: InitialBelief, sample: Sample) -> None:
    """A function that gives α^0 must be one of a path's past.

    Args:
        game: the `Game`.
        belief: α^0; nothing is checked where it is a number or an array.
        sample: at least two paths.

    Raises:
        ValueError: where values change from call to call, with the other paths, or with increments
            that are still to come.
    """
    if not callable(belief):
        return
    function = initial_belief_function(game, belief)
    controls = np.array(function(*sample))

    def refuse(rule: str, received: str, cause: str) -> None:
        raise ValueError(f"`initial_belief` must {rule}. Received: {received}. {cause}")

    def same(one: np.ndarray, other: np.ndarray) -> bool:
        return np.allclose(one, other, rtol=1e-4, atol=1e-6 * np.abs(controls).max(initial=0.0))

    if not np.array_equal(controls, function(*sample)):
        refuse(
            "give the same controls for the same paths",
            "other controls in a second call",
            "Likely cause: random numbers of its own; make all of them from the noise",
        )
    if not same(function(*sample.part(0, 1)), controls[:1]):
        refuse(
            "give every path controls of its own",
            "other controls for a path alone than for it among others",
            "Likely cause: a mean or sum over the batch",
        )
    for step in sorted({0, game.steps // 2, game.steps - 1}):
        noise = np.array(sample.noise)
        noise[:, step:] = 2.0 * noise[::-1, step:] + game.step_size**0.5
        if not same(function(sample.initial_state, noise)[:, : step + 1], controls[:, : step + 1]):
            refuse(
                "not look ahead: the controls of step t may depend on increments before t only",
                f"controls up to step {step} that change with increments from {step} on",
                "Likely cause: increments that include the step's own, or in another order",
            )
