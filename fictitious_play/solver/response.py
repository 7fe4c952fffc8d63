"""A player's best response to a profile, as a correction of what she plays.

It knows the profile by the controls it plays and by nothing else: not by the features, units,
widths, batch normalisation or dtype of its networks. Every player who responds has a copy of the
game of her own, in which the others go on as they do: open loop, with the same controls as before;
closed loop, with feedbacks that answer the state she brings about. To her own control she adds

    unit · (a_t'φ_t + network_t(φ_t)),

zero at the start. φ_t is all she may know: one, the state of her copy in units measured on the
profile's own paths (`ResponseUnits`), bent at zero and in both tails, her own control in the
profile, and in open loop everybody's controls and the whole path of the noise. The linear part has
coefficients for every step; the network is one for all steps, with biases for every step.
Everything is free of units: states, controls and costs are all in what the profile makes of them.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from fictitious_play.rollout import own_costs
from fictitious_play.scan import scan
from fictitious_play.solver.corrections import Corrections
from fictitious_play.solver.response_units import BY_STEP, ResponseUnits, neutral_units

#: Beyond so many units a state is no longer told from one there.
LARGEST = 1e3
#: Where the linear part may bend in the tails.
_BEND = 1.5
#: Parts of the parameters with an axis of steps.
_STEPWISE = {"linear", "past", "bias_0"}


class ResponseModel(keras.Model):
    """What every player's correction changes in her path cost, in units of its spread.

    Args:
        game: the `Game`.
        corrections: the layout of their parameters.
        policy: a closed-loop profile, whose `controls` the others follow; None in open loop, where
            their controls are an input.
        batch_size: paths of every batch.
        dtype: of everything here.
        who: the players who respond; None for all. What is (…, players, …) of them here has these
            players only.

    Input: a list of initial states (batch, state_size), increments (batch, steps, noise_size),
        the players' costs under the profile (batch, players) and, in open loop, the profile's
        controls (batch, steps, players, control_size).
    Output: (batch, players), the cost of each player's deviation less that of the profile; after a
        training step `changes` holds it.
    """

    def __init__(
        self,
        game: Any,
        corrections: Corrections,
        policy: Any,
        batch_size: int,
        dtype: str = "float64",
        who: np.ndarray | None = None,
    ):
        super().__init__(dtype=dtype)
        self.game, self.corrections, self.batch_size = game, corrections, batch_size
        self.policy = policy
        self.who = np.arange(game.players) if who is None else who

    def build(self, input_shape: Any = None) -> None:
        shape = (len(self.who), self.corrections.parameters)
        self.theta = self.add_weight(shape=shape, initializer="zeros", name="theta")
        self.changes = self.add_weight(
            shape=(self.batch_size, shape[0]), initializer="zeros", trainable=False, name="changes"
        )
        units = neutral_units(self.game)
        self.seen_in = {
            name: self.add_weight(
                shape=value.shape, initializer="zeros", trainable=False, name=f"unit_{name}"
            )
            for name, value in units.arrays().items()
        }
        self.units = units
        self.built = True

    @property
    def units(self) -> ResponseUnits:
        """The units; they are weights, so that a compiled step takes new ones."""
        return self._units

    @units.setter
    def units(self, units: ResponseUnits) -> None:
        self._units = units
        for name, value in units.arrays().items():
            self.seen_in[name].assign(value)

    # The profile's weights are tracked, since a compiled step must see them move, and never
    # trained.

    @property
    def trainable_weights(self) -> list:
        return [self.theta]

    @property
    def non_trainable_weights(self) -> list:
        return [weight for weight in self.weights if weight is not self.theta]

    @property
    def trainable_variables(self) -> Any:
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list:
        return [variable for variable in self.variables if variable is not self.theta]

    def call(self, inputs: Any, training: bool = False) -> Any:
        costs, _ = self.roll(inputs, ops.convert_to_tensor(self.theta))
        change = (costs - inputs[2]) / self._of_who(self.seen_in["cost"])
        self.changes.assign(ops.stop_gradient(change))
        return change

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        # The sum of the players' means has each player's own gradient in her own row.
        return ops.sum(ops.mean(y_pred, axis=0))

    def roll(self, inputs: Any, theta: Any, disturbance: Any = None) -> tuple:
        """Plays every player's deviation.

        Args:
            inputs: as of the model.
            theta: (players, parameters), or None for no correction.
            disturbance: (batch, steps, players, control_size), added to the players' own controls,
                or None.

        Returns:
            (batch, players) path costs; and, with a disturbance, everybody's controls in every copy
            (steps, batch, players, players, control_size), before any deviation, and the states
            (steps, batch, players, state_size).
        """
        game, h, rows = self.game, self.game.step_size, len(self.who)
        initial, noise = inputs[:2]
        eye = self._constant(np.eye(game.players)[self.who][:, :, None])
        by_step = {"noise": _steps_first(noise)}
        if self.policy is None:
            by_step["given"] = _steps_first(inputs[3])
        else:
            by_step["policy"] = self.policy.by_step()
        if disturbance is not None:
            by_step["disturbance"] = _steps_first(ops.convert_to_tensor(disturbance))
        part = None if theta is None else self.corrections.parts(theta)
        past = None
        if part is not None:
            by_step["part"] = {name: _steps_first(part[name]) for name in _STEPWISE & part.keys()}
            by_step["units"] = {
                name: ops.convert_to_tensor(self.seen_in[name])
                for name in BY_STEP
                if name in self.seen_in
            }
            if self.corrections.past:
                past = self._past(initial, noise)
                by_step["known"] = self._constant(self._known())

        def step(carry: Any, now: Any, time: Any) -> tuple:
            states, total = carry
            if self.policy is None:
                everybody = ops.expand_dims(now["given"], 1) + ops.zeros_like(eye)
            else:
                cast = ops.cast(states, self.policy.variable_dtype)
                everybody = self.policy.controls(now["policy"], cast)
                everybody = ops.cast(everybody, self.variable_dtype)
            own = ops.sum(everybody * eye, axis=2)
            changed = own
            if part is not None:
                correction = self._correction(
                    states, own, everybody, past, {**part, **now["part"]}, now
                )
                changed = changed + correction
            if disturbance is not None:
                changed = changed + now["disturbance"]
            # A deviation is a control of this game: it stays within the bounds.
            changed = game.project(changed)
            controls = everybody + eye * ops.expand_dims(changed - own, 2)
            total = total + h * game.running_cost(time, states, controls)
            after = game.euler_step(time, states, controls, ops.expand_dims(now["noise"], 1))
            return (after, total), (() if disturbance is None else (everybody, states))

        states = ops.repeat(ops.expand_dims(ops.convert_to_tensor(initial), 1), rows, axis=1)
        total = ops.zeros_like(states[..., :1]) + ops.zeros_like(eye[0, :, 0])
        (states, total), kept = scan(
            step, (states, total), by_step, game.steps, h, self.variable_dtype
        )
        total = total + game.terminal_cost(states)
        if rows < game.players:
            return ops.stack([total[:, row, who] for row, who in enumerate(self.who)], -1), kept
        return own_costs(total), kept

    def _correction(
        self, states: Any, own: Any, everybody: Any, past: Any, part: Any, now: Any
    ) -> Any:
        """(batch, players, control_size), with the coefficients of a step in `part`."""
        units = now["units"]
        scaled = (states - units["mean"]) / units["size"]
        if "rotation" in units:
            scaled = ops.matmul(scaled, units["rotation"])
        scaled = ops.clip(scaled, -LARGEST, LARGEST)
        mean, size = (self._of_who(units[f"control_{name}"]) for name in ("mean", "size"))
        known = [scaled, (own - mean) / size]
        if self.policy is None:
            flat = (everybody - units["control_mean"]) / units["control_size"]
            known.append(ops.reshape(flat, (*ops.shape(flat)[:2], -1)))
        values = ops.concatenate(known, axis=-1)
        one = ops.ones_like(scaled[..., :1])
        bent = [ops.absolute(scaled), ops.relu(scaled - _BEND), ops.relu(-scaled - _BEND)]
        correction = _product(ops.concatenate([one, values, *bent], axis=-1), part["linear"])
        if past is not None:
            past = past * now["known"]
            correction = correction + _shared(past, part["past"])
        for number in range(len(self.corrections.hidden)):
            kernel, bias = part[f"kernel_{number}"], part[f"bias_{number}"]
            if number == 0:
                split = values.shape[-1]
                hidden = _product(values, kernel[:, :split]) + bias
                if past is not None:
                    hidden = hidden + _shared(past, kernel[:, split:])
            else:
                hidden = _product(hidden, kernel) + bias
            hidden = ops.relu(hidden)
        if self.corrections.hidden:
            correction = correction + _product(hidden, part["output"])
        return correction * self._of_who(self.seen_in["control"])

    def _of_who(self, array: Any) -> Any:
        """What belongs to the players who respond, of an array with all of them first."""
        everybody = len(self.who) == self.game.players
        return array if everybody else ops.take(array, self.who, axis=0)

    def _known(self) -> np.ndarray:
        """(steps, past): a step knows x_0 and the increments before it."""
        numbers = np.arange(self.corrections.past)
        steps = np.arange(self.game.steps)[:, None]
        return 1.0 * (numbers < self.game.state_size + steps * self.game.noise_size)

    def _past(self, initial: Any, noise: Any) -> Any:
        """x_0 and all increments in standard units, (batch, past)."""
        first = (initial - self.seen_in["mean"][0]) / self.seen_in["size"][0]
        rest = noise / self.game.step_size**0.5
        return ops.concatenate([first, ops.reshape(rest, (-1, rest.shape[1] * rest.shape[2]))], 1)

    def _constant(self, value: Any) -> Any:
        return ops.convert_to_tensor(value, dtype=self.variable_dtype)


def _steps_first(array: Any) -> Any:
    """(a, steps, ...) → (steps, a, ...)."""
    return ops.swapaxes(ops.convert_to_tensor(array), 0, 1)


def _product(values: Any, kernel: Any) -> Any:
    """(batch, players, a), (players, a, b) → (batch, players, b)."""
    return ops.einsum("bpa,pac->bpc", values, kernel)


def _shared(values: Any, kernel: Any) -> Any:
    """(batch, a), (players, a, b) → (batch, players, b)."""
    return ops.einsum("ba,pac->bpc", values, kernel)
