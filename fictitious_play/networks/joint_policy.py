"""All players' open-loop controls at all steps as one batched, causal computation."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from fictitious_play import devices
from fictitious_play.games.base import Game
from fictitious_play.networks.features import Features, features_name, make_features
from fictitious_play.networks.initial import normal
from fictitious_play.networks.stacked import StackedNetworks
from fictitious_play.networks.tiles import Tiles

#: Groups of steps that are taken one after another, by backend. TensorFlow passes over the
#: activations operation by operation, and those of a group are still in the cache the next time;
#: compilers that fuse the passes gain nothing.
GROUPS = {"tensorflow": 5}


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
        groups = 1 if self._tiles else min(GROUPS.get(keras.config.backend(), 1), self.game.steps)
        self._group_ends = np.linspace(0, self.game.steps, groups + 1).astype(int)[1:].tolist()

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
        gathers = training and self.batch_normalization
        products = self._first_layer(self.features(*inputs))
        controls, statistics = [], []
        for layers, values in zip(self._in_groups(self.layers_of()), products, strict=True):
            linear = None
            if self.skip:
                values, linear = ops.split(values, [self.hidden[0]], axis=2)
            gathered: list | None = [] if gathers else None
            controls.append(self.after_first(layers, values, linear, gathered))
            statistics.append(gathered)
        if gathers:
            joined = tree.map_structure(lambda *groups: ops.concatenate(groups), *statistics)
            self.move_averages(joined)
        return ops.transpose(ops.concatenate(controls), (3, 0, 1, 2))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "features": self.features_name}

    def _first_layer(self, features: Any) -> list:
        """The products of every group of steps, (steps, players, width, batch), with the linear
        path's below the hidden layer's."""
        width = self.kernel.shape[-1]
        kernel = ops.convert_to_tensor(self.kernel)
        if self.features.shared:
            kernel = ops.reshape(kernel, (-1, self.players * width))
        elif self.only is not None:
            features = features[self.only : self.only + 1]
        kernels = _split(kernel, self.row_ends)
        if self._tiles is not None:
            groups = [self._tiles(kernels, features)]
        else:
            products = [
                _transposed_product(rows, features[..., : rows.shape[0], :]) for rows in kernels
            ]
            starts = [0, *self._group_ends[:-1]]
            groups = [
                ops.stack(products[start:end])
                for start, end in zip(starts, self._group_ends, strict=True)
            ]
        return [
            ops.reshape(each, (-1, self.players, width, ops.shape(each)[-1])) for each in groups
        ]

    def _in_groups(self, layers: dict) -> list[dict]:
        """The weights that belong to every group of steps."""
        parts = [_split(each, self._group_ends) for each in tree.flatten(layers)]
        return [tree.pack_sequence_as(layers, group) for group in zip(*parts, strict=True)]

    def _first_kernel(self, width: int, seed: Any) -> Any:
        """He's initial law for each step's own number of features; the linear path at zero."""
        fan_in = np.repeat(self.row_sizes, self.row_sizes)
        scale = np.zeros((self.row_ends[-1], 1, width + self.skip * self.game.control_size))
        scale[..., :width] = np.sqrt(2.0 / fan_in)[:, None, None]
        return normal(scale, seed)


def _split(array: Any, ends: list[int]) -> list:
    """The rows up to each end; one split, whose gradient is one concatenation.

    Of given ends Keras makes two dozen operations on TensorFlow, a quarter of a solve's graph.
    """
    if len(ends) == 1:
        return [array]
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        return tf.split(array, np.diff(ends, prepend=0).tolist())
    return ops.split(array, ends[:-1])


def _transposed_product(rows: Any, features: Any) -> Any:
    """Of (size, width) or (size, players, width) with (size, batch) or (players, size, batch).

    TensorFlow has it as one operation, whose gradient comes as the kernel lies.
    """
    if len(rows.shape) == 3:
        return ops.matmul(ops.transpose(rows, (1, 2, 0)), features)
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        return tf.matmul(rows, features, transpose_a=True)
    return ops.matmul(ops.transpose(rows), features)
