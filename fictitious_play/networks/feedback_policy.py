"""All players' closed-loop controls: networks that read the time and the state."""

import keras
import numpy as np
from keras import ops

from fictitious_play import rollout
from fictitious_play.games.base import Game
from fictitious_play.layers.control_network import EPSILON, MOMENTUM, hidden_sizes

#: Of the linear path's coefficients in time, where a network is shared in time. They are on
#: Legendre's polynomials, of size one on average over the steps, so that one learning rate suits.
DEGREE = 3


@keras.saving.register_keras_serializable(package="fictitious_play")
class FeedbackPolicy(keras.Model):
    """Feedback controls α^i(t, X_t), the closed-loop extension of Hu (2019, Section 5.3).

    Every player has one network a step, or, with `time_shared`, one network for all steps that
    also reads t / T. Networks are stacked over steps and players and evaluated together.

    The linear path of networks that are shared in time has coefficients that are cubic in time:
    gains move along the horizon, and ReLU layers make a product of time and state only roughly.

    Args:
        game: the `Game`.
        hidden, batch_normalization, skip: as in `ControlNetwork`. Batch normalisation would mix
            the times of a network that is shared in time and is refused there.
        time_shared: one network for all steps instead of one a step.
        seed: of the initial weights.
        only: index of one player, to hold her networks alone; None for all. The networks of one
            player answer `feedback` only: the joint path needs everybody's.

    Input: a list of initial states (batch, state_size) and Brownian increments
        (batch, steps, noise_size).
    Output: the controls along the joint path, (batch, steps, players, control_size).
    """

    def __init__(
        self,
        game: Game,
        hidden=(32, 32),
        batch_normalization: bool = True,
        skip: bool = False,
        time_shared: bool = False,
        seed: int = 0,
        only: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if isinstance(game, dict):
            game = keras.saving.deserialize_keras_object(game)
        if not isinstance(game, Game):
            raise TypeError(f"`game` must be a Game. Received: game={game!r}")
        if time_shared and batch_normalization:
            raise ValueError(
                "A network that is shared in time must have `batch_normalization=False`. "
                "Received: time_shared=True, batch_normalization=True"
            )
        self.game = game
        self.hidden = hidden_sizes(hidden)
        self.batch_normalization = bool(batch_normalization)
        self.skip = bool(skip)
        self.time_shared = bool(time_shared)
        self.seed = seed
        self.only = only
        #: Networks side by side at a step, the second axis of every weight but the units.
        self.stacked = self.game.players if only is None else 1

    @property
    def stacked_weights(self) -> list:
        """The networks' variables, with the players on the second axis: all but the units."""
        found = [*self.kernels, *self.offsets]
        if self.batch_normalization:
            found += [*self.scales, *self.moving_means, *self.moving_variances]
        found += [self.output_kernel, self.output_bias]
        return [*found, self.skip_kernel] if self.skip else found

    @property
    def feature_size(self) -> int:
        """Number of inputs of a network: the states, and the time where it is shared."""
        return self.game.state_size + self.time_shared

    def build(self, input_shape=None):
        game = self.game
        self.networks = 1 if self.time_shared else game.steps
        stacked = (self.networks, self.stacked)
        seeds = np.random.SeedSequence(self.seed).generate_state(len(self.hidden)).tolist()
        self.kernels, self.offsets = [], []
        before = self.feature_size
        for number, (width, seed) in enumerate(zip(self.hidden, seeds, strict=True)):
            spread = keras.initializers.RandomNormal(stddev=(2.0 / before) ** 0.5, seed=seed)
            self.kernels.append(
                self.add_weight(
                    shape=(*stacked, width, before), initializer=spread, name=f"kernel_{number}"
                )
            )
            before = width
        self.offsets = self._vectors("offset", "zeros")
        if self.batch_normalization:
            self.scales = self._vectors("scale", "ones")
            self.moving_means = self._vectors("moving_mean", "zeros", trainable=False)
            self.moving_variances = self._vectors("moving_variance", "ones", trainable=False)
        controls = game.control_size
        self.output_kernel = self.add_weight(
            shape=(*stacked, controls, before), initializer="zeros", name="output_kernel"
        )
        self.output_bias = self.add_weight(
            shape=(*stacked, controls), initializer="zeros", name="output_bias"
        )
        if self.skip:
            # Of every step, or of every power of time.
            parts = DEGREE + 1 if self.time_shared else game.steps
            self.skip_kernel = self.add_weight(
                shape=(parts, self.stacked, controls, self.feature_size),
                initializer="zeros",
                name="skip",
            )
        shape = (game.steps, game.state_size)
        self.state_mean = self.add_weight(
            shape=shape, initializer="zeros", trainable=False, name="state_mean"
        )
        self.state_scale = self.add_weight(
            shape=shape, initializer="ones", trainable=False, name="state_scale"
        )
        self.built = True

    def set_units(self, states: np.ndarray) -> None:
        """Standard units of the inputs from sample paths, (paths, steps + 1, state_size)."""
        mean, std = states[:, :-1].mean(axis=0), states[:, :-1].std(axis=0)
        small = 1e-6 * (1.0 + np.abs(mean))
        self.state_mean.assign(mean)
        self.state_scale.assign(np.where(std > small, 1.0 / np.maximum(std, small), 0.0))

    def features(self, step: int, states):
        """Inputs of the networks at a step, states (..., state_size) in standard units."""
        seen = (states - self.state_mean[step]) * self.state_scale[step]
        if self.time_shared:
            time = ops.full_like(seen[..., :1], step / self.game.steps)
            seen = ops.concatenate([seen, time], axis=-1)
        return seen

    def feedback(self, step: int, rows, statistics: list | None = None):
        """Controls of all players at a step.

        Args:
            step: index of the Euler step.
            rows: features as rows: (features, batch) where all players see the same states, or
                (players, features, batch).
            statistics: where given, batch normalisation uses the batch's statistics and appends
                them, (players, width) means and variances, a pair a layer; else moving averages.

        Returns:
            (players, control_size, batch); one row with `only`.
        """
        network = 0 if self.time_shared else step
        values = rows
        for number, kernel in enumerate(self.kernels):
            values = ops.matmul(kernel[network], values)
            offset = ops.expand_dims(self.offsets[number][network], -1)
            if self.batch_normalization:
                if statistics is None:
                    mean = self.moving_means[number][network]
                    variance = self.moving_variances[number][network]
                else:
                    mean, variance = ops.moments(values, axes=[-1])
                    statistics.append((mean, variance))
                scale = self.scales[number][network] * ops.rsqrt(variance + EPSILON)
                offset = offset - ops.expand_dims(mean * scale, -1)
                values = values * ops.expand_dims(scale, -1)
            values = ops.relu(values + offset)
        controls = ops.matmul(self.output_kernel[network], values)
        controls = controls + ops.expand_dims(self.output_bias[network], -1)
        if self.skip:
            controls = controls + ops.matmul(self._linear_path(step), rows)
        return controls

    def _linear_path(self, step: int):
        """Coefficients of the linear path at a step, (players, control_size, features)."""
        if not self.time_shared:
            return self.skip_kernel[step]
        middle = (2.0 * step + 1.0) / self.game.steps - 1.0
        sizes = np.sqrt(2.0 * np.arange(DEGREE + 1) + 1.0)
        powers = sizes * np.polynomial.legendre.legvander([middle], DEGREE)[0]
        powers = ops.convert_to_tensor(powers, dtype=self.skip_kernel.dtype)
        return ops.tensordot(powers, self.skip_kernel, axes=1)

    def move_averages(self, statistics: list[list]) -> None:
        """Moves the averages of batch normalisation by the statistics of every step."""
        for number in range(len(self.hidden)):
            for averages, part in ((self.moving_means, 0), (self.moving_variances, 1)):
                batch = ops.stack([layers[number][part] for layers in statistics])
                averages[number].assign(MOMENTUM * averages[number] + (1.0 - MOMENTUM) * batch)

    def controls(self, step: int, states):
        """Everybody's controls in the states (..., state_size): (..., players, control_size)."""
        leading = ops.shape(states)[:-1]
        rows = ops.transpose(ops.reshape(self.features(step, states), (-1, self.feature_size)))
        controls = ops.transpose(self.feedback(step, rows), (2, 0, 1))
        return ops.reshape(controls, (*leading, self.game.players, self.game.control_size))

    def call(self, inputs, training=False):
        initial_state, noise = inputs
        return rollout.feedback_controls(self.game, initial_state, self.controls, noise)

    def get_config(self):
        return {
            **super().get_config(),
            "game": keras.saving.serialize_keras_object(self.game),
            "hidden": list(self.hidden),
            "batch_normalization": self.batch_normalization,
            "skip": self.skip,
            "time_shared": self.time_shared,
            "seed": self.seed,
            "only": self.only,
        }

    def _vectors(self, name, initializer, trainable=True):
        return [
            self.add_weight(
                shape=(self.networks, self.stacked, width),
                initializer=initializer,
                trainable=trainable,
                name=f"{name}_{number}",
            )
            for number, width in enumerate(self.hidden)
        ]
