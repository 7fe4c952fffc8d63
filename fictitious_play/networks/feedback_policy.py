"""All players' closed-loop controls: networks that read the time and the state."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from fictitious_play import rollout
from fictitious_play.compiled import Compiled
from fictitious_play.games.base import Game
from fictitious_play.networks.initial import normal
from fictitious_play.networks.stacked import StackedNetworks
from fictitious_play.networks.unit_change import DEGREE, changed_weights, time_polynomials
from fictitious_play.networks.units import Units
from fictitious_play.tensors import Tensor


@keras.saving.register_keras_serializable(package="fictitious_play")
class FeedbackPolicy(StackedNetworks):
    """Feedback controls α^i(t, X_t), the closed-loop extension of Hu (2019, Section 5.3).

    Every player has one network per step, or, with `time_shared`, one network for all steps that
    also reads t / T. Networks are stacked over steps and players and evaluated together.

    The skip connection of networks that are shared in time has coefficients that are cubic in time:
    gains move along the horizon, and ReLU layers make a product of time and state only roughly.

    The state is read in standard units, (x - state_mean) · state_scale of the step, weights that
    are not trained: see `set_units` and `change_units`.

    Args:
        game, hidden, batch_normalization, skip, seed, only, activation: as in `StackedNetworks`.
            Batch normalisation would mix the times of a network that is shared in time and is
            refused there. The networks of one player answer `feedback` only: the joint path needs
            everybody's.
        time_shared: one network for all steps instead of one per step.

    Input: a list of initial states (batch, state_size) and Brownian increments
        (batch, steps, noise_size).
    Output: the controls along the joint path, (batch, steps, players, control_size).
    """

    def __init__(
        self,
        game: Game,
        hidden: Sequence[int] = (32, 32),
        batch_normalization: bool = True,
        skip: bool = False,
        time_shared: bool = False,
        seed: int = 0,
        only: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(game, hidden, batch_normalization, skip, seed, only, **kwargs)
        if time_shared and batch_normalization:
            raise ValueError(
                "A network that is shared in time must have `batch_normalization=False`. "
                "Received: time_shared=True, batch_normalization=True"
            )
        self.time_shared = bool(time_shared)

    @property
    def stacked_weights(self) -> list:
        weights = [self.first_kernel, *self.later_kernels, *self.offsets]
        if self.batch_normalization:
            weights += [*self.scales, *self.moving_means, *self.moving_variances]
        weights += [self.output_kernel, self.output_bias]
        return [*weights, self.skip_kernel] if self.skip else weights

    @property
    def unit_weights(self) -> list:
        return [self.state_mean, self.state_scale]

    @property
    def kernels(self) -> list:
        """The kernels of the hidden layers, (networks, players, width, inputs) each."""
        return [self.first_kernel, *self.later_kernels]

    @property
    def feature_size(self) -> int:
        """Number of inputs of a network: the states, and the time where it is shared."""
        return self.game.state_size + self.time_shared

    @property
    def unmoved_states(self) -> tuple[int, ...]:
        """The states that the networks do not see, since neither noise nor controls nor the
        initial law can move them."""
        scale = ops.convert_to_numpy(self.state_scale)
        return tuple(np.flatnonzero(~scale.any(axis=0)).tolist())

    def build(self, input_shape: Any = None) -> None:
        game, inputs = self.game, self.feature_size
        networks = 1 if self.time_shared else game.steps
        self.first_kernel = self.add_weight(
            shape=(networks, self.players, self.hidden[0], inputs),
            initializer=normal((2.0 / inputs) ** 0.5, self.layer_seeds()[0]),
            name="kernel_0",
        )
        self.build_layers(networks)
        if self.skip:
            # Of every step, or of every power of time.
            parts = DEGREE + 1 if self.time_shared else game.steps
            self.skip_kernel = self.add_weight(
                shape=(parts, self.players, game.control_size, inputs),
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

    # Units

    def set_units(self, units: Units) -> None:
        """Reads the states in other units, (steps, state_size) each; the networks become other
        functions of the state. The units of a network that is shared in time are the same at all
        steps."""
        self.state_mean.assign(units.mean)
        self.state_scale.assign(units.scale)

    def change_units(self, units: Units) -> None:
        """Reads the states in other units, as `set_units`, and moves the weights so that the
        controls remain the same function of the state."""
        moved = changed_weights(self, self.profile, units)
        for variable, value in zip(self.stacked_weights, moved, strict=True):
            variable.assign(value)
        self.set_units(units)

    # Controls

    def by_step(self) -> dict:
        """All that depends on the step, in arrays with the steps first, as `rollout` takes it."""
        steps = self.game.steps
        arrays = {
            "mean": ops.convert_to_tensor(self.state_mean),
            "scale": ops.convert_to_tensor(self.state_scale),
        }
        if self.time_shared:
            times = np.arange(steps) / steps
            arrays["time"] = ops.convert_to_tensor(times, dtype=self.variable_dtype)
        else:
            arrays["first"] = ops.convert_to_tensor(self.first_kernel)
            arrays["layers"] = self.layers_of()
        if self.skip:
            arrays["skip"] = ops.convert_to_tensor(self.skip_kernel)
            if self.time_shared:
                powers = ops.convert_to_tensor(time_polynomials(steps), dtype=self.variable_dtype)
                arrays["skip"] = ops.tensordot(powers, arrays["skip"], axes=1)
        return arrays

    def at(self, step: int) -> dict:
        """The slices of `by_step` at a step."""
        return tree.map_structure(lambda each: each[step], self.by_step())

    def features(self, now: Any, states: Tensor) -> Any:
        """Inputs of the networks at a step, states (..., state_size) in standard units.

        Args:
            now: index of the step, or the slices of `by_step` there.
            states: (..., state_size).
        """
        now = now if isinstance(now, dict) else self.at(now)
        scaled = (states - now["mean"]) * now["scale"]
        if self.time_shared:
            time = ops.ones_like(scaled[..., :1]) * now["time"]
            scaled = ops.concatenate([scaled, time], axis=-1)
        return scaled

    def feedback(self, now: Any, rows: Any, statistics: list | None = None) -> Any:
        """Controls of all players at a step.

        Args:
            now: index of the Euler step, or the slices of `by_step` there.
            rows: features as rows: (features, batch) where all players see the same states, or
                (players, features, batch).
            statistics: as in `StackedNetworks.after_first`.

        Returns:
            (players, control_size, batch); one row with `only`.
        """
        now = now if isinstance(now, dict) else self.at(now)
        if self.time_shared:
            first = self.first_kernel[0]
            layers = tree.map_structure(lambda each: each[0], self.layers_of())
        else:
            first, layers = now["first"], now["layers"]
        linear = ops.matmul(now["skip"], rows) if self.skip else None
        return self.after_first(layers, ops.matmul(first, rows), linear, statistics)

    def controls(self, now: Any, states: Tensor) -> Any:
        """Everybody's controls in the states (..., state_size): (..., players, control_size);
        `now` as above."""
        now = now if isinstance(now, dict) else self.at(now)
        leading = ops.shape(states)[:-1]
        rows = ops.transpose(ops.reshape(self.features(now, states), (-1, self.feature_size)))
        controls = ops.transpose(self.feedback(now, rows), (2, 0, 1))
        return ops.reshape(controls, (*leading, self.game.players, self.game.control_size))

    def call(self, inputs: Any, training: bool = False) -> Any:
        initial_state, noise = inputs
        return rollout.feedback_controls(
            self.game, initial_state, self.controls, self.by_step(), noise
        )

    @cached_property
    def disturbed(self) -> Compiled:
        """What everybody plays and the states in which it is played, as in
        `rollout.feedback_paths`, from initial states, increments and trembles: a compiled
        function. The states have the dtype of what is given."""

        def played(initial_state: Tensor, noise: Tensor, trembles: Any) -> tuple:
            def feedback(now: Any, states: Tensor) -> Any:
                cast = ops.cast(states, self.variable_dtype)
                return ops.cast(self.controls(now, cast), ops.dtype(states))

            return rollout.feedback_paths(
                self.game, initial_state, feedback, self.by_step(), noise, trembles
            )

        return Compiled(played, self.variables)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "time_shared": self.time_shared}
