"""The layers that add up one player's cost, and the loss that is their mean."""

from typing import Any

import keras
import numpy as np
from keras import ops

from fictitious_play import checks
from fictitious_play.games.base import Game


class PlayerLayer(keras.layers.Layer):
    """A layer without weights that belongs to one player of a game."""

    def __init__(self, game: Game, player: int, **kwargs: Any):
        super().__init__(**kwargs)
        if isinstance(game, dict):
            game = keras.saving.deserialize_keras_object(game)
        if not isinstance(game, Game):
            raise TypeError(f"`game` must be a Game. Received: game={game!r}")
        self.game = game
        self.player = checks.integer("player", player, least=0)
        if player >= game.players:
            raise ValueError(
                f"`player` must be below the number of players {game.players}. "
                f"Received: player={player}"
            )

    def get_config(self) -> dict[str, Any]:
        game = keras.saving.serialize_keras_object(self.game)
        return {**super().get_config(), "game": game, "player": self.player}


@keras.saving.register_keras_serializable(package="fictitious_play")
class Rcost(PlayerLayer):
    """One Euler step of the game: adds h f^i to the cost and moves every state.

    Args:
        game: the `Game`, whose class must be registered with Keras to be saved.
        player: index i, 0 ≤ i < players, of the player whose cost is summed and whose control
            replaces the given one.
        step: index of the Euler step; the time is step · h.

    Input shape: a list of cost so far (batch, 1), states (batch, state_size), own control
        (batch, control_size), all players' controls (batch, players) or
        (batch, players, control_size), Brownian increments (batch, noise_size).
    Output shape: a list of cost (batch, 1) and states (batch, state_size) after the step.
    """

    def __init__(self, game: Game, player: int, step: int, **kwargs: Any):
        super().__init__(game, player, **kwargs)
        self.step = checks.integer("step", step, least=0)

    def call(self, inputs: Any) -> list:
        cost, states, own, others, noise = inputs
        game = self.game
        others = ops.reshape(others, (-1, game.players, game.control_size))
        mine = ops.convert_to_tensor(
            np.eye(game.players)[self.player][:, None], dtype=ops.dtype(own)
        )
        controls = others + mine * (ops.expand_dims(own, 1) - others)
        time = self.step * game.step_size
        running = game.running_cost(time, states, controls)[:, self.player]
        states_next = game.euler_step(time, states, controls, noise)
        return [cost + game.step_size * ops.expand_dims(running, -1), states_next]

    def compute_output_shape(self, input_shape: Any) -> Any:
        return [input_shape[0], input_shape[1]]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "step": self.step}


@keras.saving.register_keras_serializable(package="fictitious_play")
class Tcost(PlayerLayer):
    """Adds the terminal cost g^i(X_T).

    Args:
        game, player: as in `Rcost`.

    Input shape: a list of cost so far (batch, 1) and final states (batch, state_size).
    Output shape: (batch, 1), the path's cost of the player.
    """

    def call(self, inputs: Any) -> Any:
        cost, states = inputs
        return cost + ops.expand_dims(self.game.terminal_cost(states)[:, self.player], -1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]


@keras.saving.register_keras_serializable(package="fictitious_play")
class MeanCost(keras.losses.Loss):
    """The loss of a model whose output is a cost: its mean. The targets are ignored."""

    def __init__(
        self, name: str = "mean_cost", reduction: str = "sum_over_batch_size", dtype: Any = None
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ops.mean(y_pred, axis=-1)
