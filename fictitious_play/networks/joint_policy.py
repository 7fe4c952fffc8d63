"""All players' open-loop controls at all steps as one batched, causal computation."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from fictitious_play import devices
from fictitious_play.games.base import Game
from fictitious_play.networks.features import Features, features_name, make_features
from fictitious_play.networks.initial import normal
from fictitious_play.networks.stacked import StackedNetworks
from fictitious_play.networks.tiles import Tiles


@keras.saving.register_keras_serializable(package="fictitious_play")
class JointPolicy(StackedNetworks):
    """One `ControlNetwork` a player and step, all of them evaluated together.

    Open-loop controls do not depend on the states, so nothing has to wait for the roll-out. The
    weights of all N · N_T subnetworks are stacked:

    - first layer: `kernel`, (Σ_t features of step t, players, width), the steps one after another,
      each with just the rows that it may see. Features are ordered by time, so every step is one
      matrix product with a prefix of them; no masked entry is stored. On a GPU, where every shape
      of a product costs seconds of compilation, they are one product of equal `Tiles`. With `skip`
      the last `control_size` columns are the linear path.
    - later layers as in `StackedNetworks`, with the axes (steps, players, width, batch).

    From the same weights it gives the controls of N `player_model`s; `transfer_weights` carries
    them over.

    Args:
        game, hidden, batch_normalization, skip, seed, only, activation: as in `StackedNetworks`.
        features: what a player sees: "full_path", x_0 and the past noise of everybody; or
            "own_and_mean", her own path and the weighted mean, whose size does not grow with N.

    Input: a list of initial states (batch, state_size) and Brownian increments
        (batch, steps, noise_size).
    Output: controls, (batch, steps, players, control_size), or of the one player with `only`.
    """

    def __init__(
        self,
        game: Game,
        hidden: Sequence[int] = (32, 32),
        batch_normalization: bool = True,
        skip: bool = False,
        features: str | type[Features] = "full_path",
        seed: int = 0,
        only: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(game, hidden, batch_normalization, skip, seed, only, **kwargs)
        self.features_name = features_name(features)
        self.features = make_features(self.features_name, self.game)
        self.row_sizes = [self.features.size(step) for step in range(self.game.steps)]
        self.row_ends = np.cumsum(self.row_sizes).tolist()
        self._tiles = Tiles(self.row_sizes) if devices.has_gpu() else None

    def build(self, input_shape: Any = None) -> None:
        self.kernel = self.add_weight(
            shape=(
                self.row_ends[-1],
                self.players,
                self.hidden[0] + self.skip * self.game.control_size,
            ),
            initializer=self._first_kernel(self.hidden[0], self.layer_seeds()[0]),
            name="kernel",
        )
        self.build_layers(self.game.steps)
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        initial_state, noise = inputs
        values, linear = self._first_layer(self.features(initial_state, noise))
        statistics: list | None = [] if training and self.batch_normalization else None
        controls = self.after_first(self.layers_of(), values, linear, statistics)
        if statistics:
            self.move_averages(statistics)
        return ops.transpose(controls, (3, 0, 1, 2))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "features": self.features_name}

    def _first_layer(self, features: Any) -> Any:
        """(steps, players, width, batch) and the linear path (steps, players, controls, batch)."""
        width = self.kernel.shape[-1]
        if self.features.shared:
            kernels = self._by_step(
                ops.reshape(self.kernel, (self.row_ends[-1], self.players * width))
            )
        else:
            kernels = self._by_step(self.kernel)
            if self.only is not None:
                features = features[self.only : self.only + 1]
        if self._tiles is not None:
            values = self._tiles(kernels, features)
        elif self.features.shared:
            values = ops.stack(
                [ops.matmul(ops.transpose(rows), features[: rows.shape[0]]) for rows in kernels]
            )
        else:
            values = ops.stack(
                [
                    ops.matmul(ops.transpose(rows, (1, 2, 0)), features[:, : rows.shape[0]])
                    for rows in kernels
                ]
            )
        values = ops.reshape(values, (self.game.steps, self.players, width, -1))
        if not self.skip:
            return values, None
        return ops.split(values, [self.hidden[0]], axis=2)

    def _by_step(self, kernel: Any) -> Any:
        """The rows of each step; one split, whose gradient is one concatenation."""
        ends = self.row_ends[:-1]
        return ops.split(kernel, ends, axis=0) if ends else [kernel]

    def _first_kernel(self, width: int, seed: Any) -> Any:
        """He's initial law for each step's own number of features; the linear path at zero."""
        fan_in = np.repeat(self.row_sizes, self.row_sizes)
        scale = np.zeros((self.row_ends[-1], 1, width + self.skip * self.game.control_size))
        scale[..., :width] = np.sqrt(2.0 / fan_in)[:, None, None]
        return normal(scale, seed)
