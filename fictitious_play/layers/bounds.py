"""The layer that keeps a player's control within the game's bounds."""

from typing import Any

import keras
from keras import ops

from fictitious_play.layers.costs import PlayerLayer
from fictitious_play.layers.saturation import Saturation


@keras.saving.register_keras_serializable(package="fictitious_play")
class BoundedControl(PlayerLayer):
    """The smooth saturation of one player's control at her bounds, and her unit of control.

    Args:
        game: a `Game` with `control_bounds` or a `control_unit`, whose class must be registered
            with Keras to be saved.
        player: index of the player.

    Input and output shape: (batch, control_size).
    """

    def call(self, inputs: Any) -> Any:
        saturation = Saturation.of(self.game, self.player)
        if saturation is None:
            raise ValueError(
                "`game` must have `control_bounds` or a `control_unit`. Received: "
                f"{type(self.game).__name__} without."
            )
        controls = ops.expand_dims(ops.transpose(inputs), 0)
        return ops.transpose(saturation(controls)[0])

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape
