"""The Euler roll-out of a game, in `keras.ops`."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from fictitious_play.scan import by_step, is_loop, scan, trace
from fictitious_play.tensors import Tensor


class Paths(NamedTuple):
    """What a profile makes of a sample of noise.

    Attributes:
        controls: (batch, steps, players, control_size).
        states: (batch, steps + 1, state_size).
        costs: (batch, players) path costs.
    """

    controls: Tensor
    states: Tensor
    costs: Any


def check_time(game: Any) -> None:
    """Whether a game's methods take the time that its roll-outs give them.

    Raises:
        ValueError: where a roll-out is a loop on the device and a method needs `time` as a number.
    """
    if not is_loop(game.steps):
        return
    dtype = keras.config.floatx()
    states = ops.zeros((2, game.state_size), dtype=dtype)
    controls = ops.zeros((2, game.players, game.control_size), dtype=dtype)
    for name in ("drift", "diffusion", "running_cost"):
        method = getattr(game, name)
        try:
            trace(lambda time, method=method: method(time, states, controls), dtype)
        except Exception as error:  # whatever the method makes of a tensor
            raise ValueError(
                f"With {game.steps} steps the roll-out is a loop on the device, in which `time` is "
                f"a scalar tensor. Received: {type(game).__name__}.{name}, which cannot take one "
                f"({type(error).__name__}: {str(error).strip().splitlines()[0][:120]}). Write what "
                "depends on `time` in keras.ops, with ops.where in place of if"
            ) from error


def _roll(
    game: Any,
    states: Tensor,
    noise: Tensor,
    inputs: Any,
    act: Any,
    costs: bool = True,
    trembles: Any = None,
) -> tuple:
    """Plays a path.

    Args:
        game: a `Game`.
        states: where it starts, (..., state_size).
        noise: Brownian increments with the steps first, (steps, ..., noise_size).
        inputs: arrays in lists and dictionaries, all with the steps first.
        act: `act(now, states)` gives the controls (..., players, control_size) and anything to
            keep, for the slices of `inputs` at a step.
        costs: whether to add up costs.
        trembles: where given, (steps, ..., players, control_size) that move the states beside the
            controls and cost nothing.

    Returns:
        The path costs of all players (..., players), zero without `costs`; and for every step what
        was kept and the states after it, stacked with the steps first.
    """
    h = game.step_size

    def step(carry: Any, now: Any, time: Tensor) -> tuple:
        states, total = carry
        noise, inputs, *tremble = now
        controls, kept = act(inputs, states)
        if costs:
            total = total + h * game.running_cost(time, states, controls)
        if tremble:
            controls = game.project(controls + tremble[0])
        states = game.euler_step(time, states, controls, noise)
        return (states, total), (kept, states)

    states = ops.convert_to_tensor(states)
    none = ops.zeros((game.players,), dtype=states.dtype)
    total = ops.zeros_like(states[..., :1]) + none
    given = (noise, inputs) if trembles is None else (noise, inputs, trembles)
    dtype = keras.backend.standardize_dtype(states.dtype)
    (states, total), kept = scan(step, (states, total), given, game.steps, h, dtype)
    return total + game.terminal_cost(states) if costs else total, kept


def joint_costs(game: Any, initial_state: Tensor, controls: Tensor, noise: Tensor) -> Tensor:
    """Costs of every player when all follow `controls`.

    Args:
        game: a `Game`.
        initial_state: (batch, state_size).
        controls: (batch, steps, players, control_size).
        noise: (batch, steps, noise_size) Brownian increments.

    Returns:
        (batch, players) path costs; their mean over the batch estimates J^i.
    """
    given = by_step(controls)
    return _roll(game, initial_state, by_step(noise), given, lambda now, _: (now, ()))[0]


def joint_states(game: Any, initial_state: Tensor, controls: Tensor, noise: Tensor) -> Tensor:
    """States along the path when all follow `controls`, (batch, steps + 1, state_size)."""
    given = by_step(controls)
    _, (_, path) = _roll(
        game, initial_state, by_step(noise), given, lambda now, _: (now, ()), costs=False
    )
    return ops.concatenate([ops.expand_dims(initial_state, 1), by_step(path)], axis=1)


def joint_paths(game: Any, initial_state: Tensor, controls: Tensor, noise: Tensor) -> Paths:
    """All of it, in one roll-out; arguments as in `joint_costs`."""
    given = by_step(controls)
    costs, (_, path) = _roll(game, initial_state, by_step(noise), given, lambda now, _: (now, ()))
    states = ops.concatenate([ops.expand_dims(initial_state, 1), by_step(path)], axis=1)
    return Paths(controls, states, costs)


def feedback_controls(
    game: Any, initial_state: Tensor, feedback: Any, inputs: Any, noise: Tensor
) -> Any:
    """Controls along the path when all follow a feedback, (batch, steps, players, control_size).

    `feedback(now, states)` gives (batch, players, control_size) for (batch, state_size) and the
    slices of `inputs` at the step.
    """
    return feedback_paths(game, initial_state, feedback, inputs, noise)[0]


def feedback_paths(
    game: Any,
    initial_state: Tensor,
    feedback: Any,
    inputs: Any,
    noise: Tensor,
    trembles: Any = None,
) -> tuple:
    """Controls, as above, and the states in which they are played, (batch, steps, state_size);
    `trembles` as in `feedback_deviation_costs`."""

    def act(now: Any, states: Tensor) -> tuple:
        controls = feedback(now, states)
        return controls, (controls, states)

    shaken = None if trembles is None else by_step(trembles)
    _, (kept, _) = _roll(
        game, initial_state, by_step(noise), inputs, act, costs=False, trembles=shaken
    )
    controls, states = kept
    return ops.transpose(controls, (1, 0, 2, 3)), ops.transpose(states, (1, 0, 2))


def deviation_costs(
    game: Any, initial_state: Tensor, own: Tensor, others: Tensor, noise: Tensor
) -> Tensor:
    """Cost of every player when she alone plays `own`: N copies of the game side by side.

    Copy i has the controls of `others` but for player i, who plays her own; of its costs only
    player i's is kept. Arguments and result as in `Game.deviation_costs`.
    """
    costs, _ = feedback_deviation_costs(
        game,
        initial_state,
        lambda now, _: (now, ()),
        lambda now, _: ops.expand_dims(now, 1),
        (by_step(own), by_step(others)),
        noise,
    )
    return costs


def feedback_deviation_costs(
    game: Any,
    initial_state: Tensor,
    own: Callable,
    others: Callable,
    inputs: Any,
    noise: Tensor,
    only: Any = None,
    trembles: Any = None,
) -> tuple:
    """Cost of every player when she alone leaves the others' feedback, who answer her path.

    Every player who deviates has a copy of the game: N of them, or one with `only`.

    Args:
        game, initial_state, noise: as in `joint_costs`.
        own: `own(now, states)` gives (batch, players, control_size) for the states of all copies,
            (batch, players, state_size), and anything to keep; entry i is what player i plays in
            copy i.
        others: `others(now, states)` gives everybody's controls in every copy,
            (batch, players, players, control_size).
        inputs: a pair, what `own` and `others` need that depends on the step: arrays in lists and
            dictionaries with the steps first; `now` is the slices of a step.
        only: index of the one player who deviates; then there is one copy, and `own` gives
            (batch, 1, control_size). None for all players.
        trembles: (batch, steps, players, control_size) of everybody's hands, which move the
            states of all copies beside the controls and cost nothing; None for steady hands.

    Returns:
        (batch, players) costs, or (batch, 1) with `only`; and what `own` kept, the steps first.
    """
    eye = np.eye(game.players)[:, :, None]
    if only is not None:
        eye = eye[only : only + 1]

    def act(now: Any, states: Tensor) -> tuple:
        mine, kept = own(now[0], states)
        mine, given = ops.expand_dims(mine, 1), others(now[1], states)
        mask = ops.convert_to_tensor(eye, dtype=ops.dtype(mine))
        return given + mask * (mine - given), kept

    states = ops.repeat(ops.expand_dims(initial_state, 1), len(eye), axis=1)
    if trembles is not None:
        trembles = ops.expand_dims(by_step(trembles), 2)
    noise = ops.expand_dims(by_step(noise), 2)
    costs, (kept, _) = _roll(game, states, noise, inputs, act, trembles=trembles)
    return own_costs(costs, only), kept


def own_costs(costs: Any, only: Any = None) -> Any:
    """Of everybody's costs in every copy, (..., players, players), those of the player who
    deviates there, (..., players), whatever the others' are; of one copy with `only`."""
    if only is not None:
        return costs[..., only]
    return ops.diagonal(costs, axis1=-2, axis2=-1)
