"""The Euler roll-out of a game, in `keras.ops`."""

import numpy as np
from keras import ops


def _costs_along(game, states, controls_at, noise_at):
    """Costs of all players, (..., players), along the path that starts in `states`, under the
    controls `controls_at(step, states)`."""
    h = game.step_size
    total = None
    for step in range(game.steps):
        controls = controls_at(step, states)
        time = step * h
        running = h * game.running_cost(time, states, controls)
        total = running if total is None else total + running
        states = game.euler_step(time, states, controls, noise_at(step))
    return total + game.terminal_cost(states)


def joint_costs(game, initial_state, controls, noise):
    """Costs of every player when all follow `controls`.

    Args:
        game: a `Game`.
        initial_state: (batch, state_size).
        controls: (batch, steps, players, control_size).
        noise: (batch, steps, noise_size) Brownian increments.

    Returns:
        (batch, players) path costs; their mean over the batch estimates J^i.
    """
    return _costs_along(
        game, initial_state, lambda step, _: controls[:, step], lambda step: noise[:, step]
    )


def joint_states(game, initial_state, controls, noise):
    """States along the path when all follow `controls`, (batch, steps + 1, state_size)."""
    states = initial_state
    path = [states]
    for step in range(game.steps):
        states = game.euler_step(step * game.step_size, states, controls[:, step], noise[:, step])
        path.append(states)
    return ops.stack(path, axis=1)


def feedback_controls(game, initial_state, feedback, noise):
    """Controls along the path when all follow a feedback, (batch, steps, players, control_size).

    `feedback(step, states)` gives (batch, players, control_size) for (batch, state_size).
    """
    states, played = initial_state, []
    for step in range(game.steps):
        played.append(feedback(step, states))
        states = game.euler_step(step * game.step_size, states, played[-1], noise[:, step])
    return ops.stack(played, axis=1)


def deviation_costs(game, initial_state, own, others, noise):
    """Cost of every player when she alone plays `own`: N copies of the game side by side.

    Copy i has the controls of `others` but for player i, who plays her own; of its costs only
    player i's is kept. Arguments and result as in `Game.deviation_costs`.
    """
    return feedback_deviation_costs(
        game,
        initial_state,
        lambda step, _: own[:, step],
        lambda step, _: ops.expand_dims(others[:, step], 1),
        noise,
    )


def feedback_deviation_costs(game, initial_state, own, others, noise, only=None):
    """Cost of every player when she alone leaves the others' feedback, who answer her path.

    Every player who deviates has a copy of the game: N of them, or one with `only`.

    Args:
        game, initial_state, noise: as in `joint_costs`.
        own: `own(step, states)` gives (batch, players, control_size) for the states of all copies,
            (batch, players, state_size); entry i is what player i plays in copy i.
        others: `others(step, states)` gives everybody's controls in every copy,
            (batch, players, players, control_size).
        only: index of the one player who deviates; then there is one copy, and `own` gives
            (batch, 1, control_size). None for all players.

    Returns:
        (batch, players), or (batch, 1) with `only`.
    """
    eye = np.eye(game.players)[:, :, None]
    if only is not None:
        eye = eye[only : only + 1]

    def controls_at(step, states):
        mine, given = ops.expand_dims(own(step, states), 1), others(step, states)
        mask = ops.convert_to_tensor(eye, dtype=ops.dtype(mine))
        return given + mask * (mine - given)

    states = ops.repeat(ops.expand_dims(initial_state, 1), len(eye), axis=1)
    costs = _costs_along(game, states, controls_at, lambda step: ops.expand_dims(noise[:, step], 1))
    return ops.sum(costs * ops.convert_to_tensor(eye[:, :, 0], dtype=ops.dtype(costs)), axis=-1)
