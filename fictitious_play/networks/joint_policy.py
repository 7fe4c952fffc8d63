"""All players' open-loop controls at all steps as one batched, causal computation."""

import keras
import numpy as np
from keras import ops

from fictitious_play.games.base import Game
from fictitious_play.layers.control_network import EPSILON, MOMENTUM, hidden_sizes
from fictitious_play.networks.features import make_features


@keras.saving.register_keras_serializable(package="fictitious_play")
class JointPolicy(keras.Model):
    """One `ControlNetwork` a player and step, all of them evaluated together.

    Open-loop controls do not depend on the states, so nothing has to wait for the roll-out. The
    weights of all N · N_T subnetworks are stacked:

    - first layer: `kernel`, (Σ_t features of step t, players, width), the steps one after another,
      each with just the rows that it may see. Features are ordered by time, so every step is one
      matrix product with a prefix of them; no masked entry is stored or multiplied. With `skip`
      the last `control_size` columns are the linear path.
    - later layers: products batched over (step, player), with the batch of paths as the last,
      contiguous axis: (steps, players, width, batch).

    From the same weights it gives the controls of N `player_model`s; `transfer_weights` carries
    them over.

    Args:
        game: the `Game`.
        hidden, batch_normalization, skip: as in `ControlNetwork`.
        features: what a player sees: "full_path", x_0 and the past noise of everybody; or
            "own_and_mean", her own path and the weighted mean, whose size does not grow with N.
        seed: of the initial weights.
        only: index of one player, to hold her networks alone; None for all.

    Input: a list of initial states (batch, state_size) and Brownian increments
        (batch, steps, noise_size).
    Output: controls, (batch, steps, players, control_size), or of the one player with `only`.
    """

    def __init__(
        self,
        game: Game,
        hidden=(32, 32),
        batch_normalization: bool = True,
        skip: bool = False,
        features: str = "full_path",
        seed: int = 0,
        only: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if isinstance(game, dict):
            game = keras.saving.deserialize_keras_object(game)
        if not isinstance(game, Game):
            raise TypeError(f"`game` must be a Game. Received: game={game!r}")
        self.game = game
        self.hidden = hidden_sizes(hidden)
        self.batch_normalization = bool(batch_normalization)
        self.skip = bool(skip)
        self.seed = seed
        self.only = only
        self.players = game.players if only is None else 1
        self.features = make_features(features, game)
        self.features_name = features
        self.row_sizes = [self.features.size(step) for step in range(game.steps)]
        self.row_ends = np.cumsum(self.row_sizes).tolist()

    @property
    def stacked_weights(self) -> list:
        """All variables; the players are on the second axis of each."""
        return self.weights

    def build(self, input_shape=None):
        steps, players, controls = self.game.steps, self.players, self.game.control_size
        first, skip = self.hidden[0], self.skip * controls
        seeds = np.random.SeedSequence(self.seed).generate_state(len(self.hidden)).tolist()
        self.kernel = self.add_weight(
            shape=(self.row_ends[-1], players, first + skip),
            initializer=self._first_kernel(first, seeds[0]),
            name="kernel",
        )
        self.later_kernels = [
            self.add_weight(
                shape=(steps, players, width, before),
                initializer=keras.initializers.RandomNormal(stddev=(2.0 / before) ** 0.5, seed=s),
                name=f"kernel_{number + 1}",
            )
            for number, (before, width, s) in enumerate(
                zip(self.hidden, self.hidden[1:], seeds[1:], strict=False)
            )
        ]
        self.output_kernel = self.add_weight(
            shape=(steps, players, controls, self.hidden[-1]),
            initializer="zeros",
            name="output_kernel",
        )
        self.output_bias = self.add_weight(
            shape=(steps, players, controls), initializer="zeros", name="output_bias"
        )
        shapes = [(steps, players, width) for width in self.hidden]
        self.offsets = self._vectors(shapes, "offset", "zeros")
        if self.batch_normalization:
            self.scales = self._vectors(shapes, "scale", "ones")
            self.moving_means = self._vectors(shapes, "moving_mean", "zeros", trainable=False)
            self.moving_variances = self._vectors(
                shapes, "moving_variance", "ones", trainable=False
            )
        self.built = True

    def call(self, inputs, training=False):
        initial_state, noise = inputs
        features = self.features(initial_state, noise)
        values, skip = self._first_layer(features)
        values = ops.relu(self._normalize(values, 0, training))
        for number, kernel in enumerate(self.later_kernels, start=1):
            values = ops.matmul(kernel, values)
            values = ops.relu(self._normalize(values, number, training))
        controls = ops.matmul(self.output_kernel, values) + ops.expand_dims(self.output_bias, -1)
        if skip is not None:
            controls = controls + skip
        return ops.transpose(controls, (3, 0, 1, 2))

    def get_config(self):
        return {
            **super().get_config(),
            "game": keras.saving.serialize_keras_object(self.game),
            "hidden": list(self.hidden),
            "batch_normalization": self.batch_normalization,
            "skip": self.skip,
            "features": self.features_name,
            "seed": self.seed,
            "only": self.only,
        }

    def _first_layer(self, features):
        """(steps, players, width, batch) and the linear path (steps, players, controls, batch)."""
        width = self.kernel.shape[-1]
        if self.features.shared:
            kernel = ops.reshape(self.kernel, (self.row_ends[-1], self.players * width))
            products = [
                ops.matmul(ops.transpose(rows), features[: rows.shape[0]])
                for rows in self._by_step(kernel)
            ]
        else:
            if self.only is not None:
                features = features[self.only : self.only + 1]
            products = [
                ops.matmul(ops.transpose(rows, (1, 2, 0)), features[:, : rows.shape[0]])
                for rows in self._by_step(self.kernel)
            ]
        values = ops.stack(products)
        values = ops.reshape(values, (self.game.steps, self.players, width, -1))
        if not self.skip:
            return values, None
        return ops.split(values, [self.hidden[0]], axis=2)

    def _by_step(self, kernel):
        """The rows of each step; one split, whose gradient is one concatenation."""
        ends = self.row_ends[:-1]
        return ops.split(kernel, ends, axis=0) if ends else [kernel]

    def _normalize(self, values, number, training):
        """Batch normalisation as in `keras.layers.BatchNormalization`, or the bias without it."""
        offset = ops.expand_dims(self.offsets[number], -1)
        if not self.batch_normalization:
            return values + offset
        moving_mean, moving_variance = self.moving_means[number], self.moving_variances[number]
        if training:
            mean, variance = ops.moments(values, axes=[-1])
            moving_mean.assign(MOMENTUM * moving_mean + (1.0 - MOMENTUM) * mean)
            moving_variance.assign(MOMENTUM * moving_variance + (1.0 - MOMENTUM) * variance)
        else:
            mean, variance = moving_mean, moving_variance
        scale = self.scales[number] * ops.rsqrt(variance + EPSILON)
        return values * ops.expand_dims(scale, -1) + (offset - ops.expand_dims(mean * scale, -1))

    def _vectors(self, shapes, name, initializer, trainable=True):
        return [
            self.add_weight(
                shape=shape, initializer=initializer, trainable=trainable, name=f"{name}_{number}"
            )
            for number, shape in enumerate(shapes)
        ]

    def _first_kernel(self, width, seed):
        """He's initial law for each step's own number of features; the linear path at zero."""
        fan_in = np.repeat(self.row_sizes, self.row_sizes)
        scale = np.zeros((self.row_ends[-1], 1, width + self.skip * self.game.control_size))
        scale[..., :width] = np.sqrt(2.0 / fan_in)[:, None, None]
        normal = keras.initializers.RandomNormal(stddev=1.0, seed=seed)

        def initializer(shape, dtype=None):
            return normal(shape, dtype) * ops.convert_to_tensor(scale, dtype=dtype)

        return initializer
