"""The networks of many players and steps as one batched computation, written once."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops

from fictitious_play import checks, rollout
from fictitious_play.compiled import Compiled
from fictitious_play.games.base import Game
from fictitious_play.layers.control_network import EPSILON, MOMENTUM, activation_of, hidden_sizes
from fictitious_play.layers.saturation import Saturation
from fictitious_play.networks.initial import normal
from fictitious_play.tensors import Tensor


class StackedNetworks(keras.Model):
    """One `ControlNetwork` a player and step, all of them side by side.

    Every weight has the leading axes (networks, players): layers are products batched over them,
    with the batch of paths as the last, contiguous axis, (networks, players, width, batch). How
    the first layer is made from what a player sees, and which axes share a network, is the
    subclass's.

    Args:
        game: the `Game`. Its `control_bounds`, where it has some, are met by a smooth saturation
            of the networks' outputs, which count in `control_unit`.
        hidden, batch_normalization, skip, activation: as in `ControlNetwork`.
        seed: of the initial weights.
        only: index of one player, to hold her networks alone; None for all.
        control_unit: of all players' controls, as in `Game`; None for the game's.

    Attributes:
        players: networks side by side at a step, the second axis of every stacked weight.
    """

    def __init__(
        self,
        game: Game,
        hidden: Sequence[int] = (32, 32),
        batch_normalization: bool = True,
        skip: bool = False,
        seed: int = 0,
        only: int | None = None,
        activation: str = "relu",
        control_unit: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if isinstance(game, dict):
            game = keras.saving.deserialize_keras_object(game)
        if not isinstance(game, Game):
            raise TypeError(f"`game` must be a Game. Received: game={game!r}")
        if only is not None and checks.integer("only", only, least=0) >= game.players:
            raise ValueError(
                f"`only` must be below the number of players {game.players}. Received: only={only}"
            )
        self.game = game
        self.hidden = hidden_sizes(hidden)
        self.batch_normalization = bool(batch_normalization)
        self.skip = bool(skip)
        self.activation = activation
        self._activate = activation_of(activation)
        self.seed = seed
        self.only = only
        self.players = game.players if only is None else 1
        shape = (game.players, game.control_size)
        self.control_unit = checks.control_unit(control_unit, shape)

    @property
    def stacked_weights(self) -> list:
        """The variables that have the players on their second axis."""
        return self.weights

    @property
    def unit_weights(self) -> list:
        """The variables that hold the units of the inputs; none where units are constants."""
        return []

    @property
    def profile(self) -> list:
        """All that the controls are a function of: the stacked weights, then the units."""
        return [*self.stacked_weights, *self.unit_weights]

    # Building

    def layer_seeds(self) -> list[int]:
        """A seed a hidden layer."""
        return np.random.SeedSequence(self.seed).generate_state(len(self.hidden)).tolist()

    def build_layers(self, networks: int) -> None:
        """Makes the weights of everything after the first layer's product.

        Args:
            networks: networks of a player, the first axis of every weight.
        """
        stacked, controls = (networks, self.players), self.game.control_size
        self.later_kernels = [
            self.add_weight(
                shape=(*stacked, width, before),
                initializer=normal((2.0 / before) ** 0.5, s),
                name=f"kernel_{number + 1}",
            )
            for number, (before, width, s) in enumerate(
                zip(self.hidden, self.hidden[1:], self.layer_seeds()[1:], strict=False)
            )
        ]
        self.output_kernel = self.add_weight(
            shape=(*stacked, controls, self.hidden[-1]), initializer="zeros", name="output_kernel"
        )
        self.output_bias = self.add_weight(
            shape=(*stacked, controls), initializer="zeros", name="output_bias"
        )

        def vectors(name: str, initializer: Any, trainable: bool = True) -> list:
            return [
                self.add_weight(
                    shape=(*stacked, width),
                    initializer=initializer,
                    trainable=trainable,
                    name=f"{name}_{number}",
                )
                for number, width in enumerate(self.hidden)
            ]

        self.offsets = vectors("offset", "zeros")
        if self.batch_normalization:
            self.scales = vectors("scale", "ones")
            self.moving_means = vectors("moving_mean", "zeros", trainable=False)
            self.moving_variances = vectors("moving_variance", "ones", trainable=False)
        self.saturation = Saturation.of(self.game, self.only, unit=self.control_unit)

    # Computing

    def layers_of(self) -> dict:
        """The weights of everything after the first product, with the leading axis networks."""
        weights = {
            "kernels": self.later_kernels,
            "offsets": self.offsets,
            "output_kernel": self.output_kernel,
            "output_bias": self.output_bias,
        }
        if self.batch_normalization:
            weights["scales"] = self.scales
            weights["means"] = self.moving_means
            weights["variances"] = self.moving_variances
        return {
            name: [ops.convert_to_tensor(each) for each in value]
            if isinstance(value, list)
            else ops.convert_to_tensor(value)
            for name, value in weights.items()
        }

    def after_first(
        self, layers: dict, values: Any, linear: Any = None, statistics: list | None = None
    ) -> Any:
        """Controls from the first layer's products.

        Args:
            layers: `layers_of`, or the slices of it that belong to `values`.
            values: products of the first layer, (..., players, width, batch).
            linear: what the skip connection adds, (..., players, control_size, batch), or None.
            statistics: where given, batch normalisation uses the batch's own statistics and
                appends them, (..., players, width) means and variances, a pair per layer; else it
                uses its moving averages, as `keras.layers.BatchNormalization` does.

        Returns:
            (..., players, control_size, batch), within the game's control bounds.
        """
        for number, offset in enumerate(layers["offsets"]):
            if number:
                values = ops.matmul(layers["kernels"][number - 1], values)
            if self.batch_normalization:
                if statistics is None:
                    mean, variance = layers["means"][number], layers["variances"][number]
                else:
                    # Fewer passes than `ops.moments`. Rounding costs less than EPSILON up to means
                    # of a hundred, and below zero no variance falls.
                    mean = ops.mean(values, axis=-1)
                    squares = ops.mean(ops.square(values), axis=-1)
                    variance = ops.maximum(squares - ops.square(mean), 0.0)
                    statistics.append((mean, variance))
                scale = layers["scales"][number] * ops.rsqrt(variance + EPSILON)
                offset = offset - mean * scale
                values = values * ops.expand_dims(scale, -1)
            values = self._activate(values + ops.expand_dims(offset, -1))
        controls = ops.matmul(layers["output_kernel"], values)
        controls = controls + ops.expand_dims(layers["output_bias"], -1)
        if linear is not None:
            controls = controls + linear
        if self.saturation is not None:
            controls = self.saturation(controls)
        return controls

    @cached_property
    def paths(self) -> Compiled:
        """What everybody's play makes of initial states (batch, state_size) and increments
        (batch, steps, noise_size): a compiled function that gives `rollout.Paths`."""

        def played(initial_state: Tensor, noise: Tensor) -> rollout.Paths:
            controls = self([initial_state, noise], training=False)
            return rollout.joint_paths(self.game, initial_state, controls, noise)

        return Compiled(played, self.variables)

    def move_averages(self, statistics: list) -> None:
        """Moves the averages of batch normalisation by `after_first`'s statistics."""
        for number, pair in enumerate(statistics):
            for averages, batch in zip(
                (self.moving_means, self.moving_variances), pair, strict=True
            ):
                averages[number].assign(MOMENTUM * averages[number] + (1.0 - MOMENTUM) * batch)

    def get_config(self) -> dict[str, Any]:
        unit = self.control_unit
        return {
            **super().get_config(),
            **({} if unit is None else {"control_unit": unit.tolist()}),
            "game": keras.saving.serialize_keras_object(self.game),
            "hidden": list(self.hidden),
            "batch_normalization": self.batch_normalization,
            "skip": self.skip,
            "seed": self.seed,
            "only": self.only,
            "activation": self.activation,
        }
