"""The layer that keeps a player's control within the game's bounds."""

from typing import Any

import keras
from keras import ops

from fictitious_play import checks
from fictitious_play.games.base import Game
from fictitious_play.layers.costs import PlayerLayer
from fictitious_play.layers.saturation import Saturation


@keras.saving.register_keras_serializable(package="fictitious_play")
class BoundedControl(PlayerLayer):
    """The smooth saturation of one player's control at her bounds, and her unit of control.

    Args:
        game: a `Game` with `control_bounds` or a `control_unit`, whose class must be registered
            with Keras to be saved.
        player: index of the player.
        control_unit: of all players' controls, as in `Game`; None for the game's.

    Input and output shape: (batch, control_size).
    """

    def __init__(self, game: Game, player: int, control_unit: Any = None, **kwargs: Any):
        super().__init__(game, player, **kwargs)
        shape = (self.game.players, self.game.control_size)
        self.control_unit = checks.control_unit(control_unit, shape)

    def call(self, inputs: Any) -> Any:
        saturation = Saturation.of(self.game, self.player, unit=self.control_unit)
        if saturation is None:
            raise ValueError(
                "`game` must have `control_bounds` or a `control_unit`. Received: "
                f"{type(self.game).__name__} without."
            )
        controls = ops.expand_dims(ops.transpose(inputs), 0)
        return ops.transpose(saturation(controls)[0])

    def get_config(self) -> dict[str, Any]:
        unit = self.control_unit
        return {**super().get_config(), "control_unit": None if unit is None else unit.tolist()}

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape
