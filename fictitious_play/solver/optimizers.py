"""The optimizer that trains the networks, and its learning rate."""

import json
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from fictitious_play import checks
from fictitious_play.solver.keras_surface import for_one_device

Schedule = keras.optimizers.schedules.LearningRateSchedule


@dataclass(frozen=True)
class OptimizerChoice:
    """What `DeepFictitiousPlay` was asked to train with.

    Attributes:
        optimizer: whose configuration every model gets a new optimizer of; None for Adam.
        learning_rate: Adam's first rate, or its schedule.
        final_ratio: last over first rate of the cosine from a number.
    """

    optimizer: keras.optimizers.Optimizer | None
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule
    final_ratio: float

    def make(self, total_steps: int) -> keras.optimizers.Optimizer:
        """A new optimizer for a solve of that many training steps."""
        if self.optimizer is None:
            # TensorFlow keeps a kernel for every name of a variable it has ever made, tens of KiB
            # each: names that Keras numbers would cost every solve of a process that memory.
            return for_one_device(keras.optimizers.Adam)(self._schedule(total_steps), name="adam")
        kind: Any = for_one_device(type(self.optimizer))
        return kind.from_config(self.optimizer.get_config())

    def cost_weights(self, stakes: np.ndarray) -> np.ndarray:
        """What the players' costs are multiplied by in training, (players,).

        Adam takes the same steps whatever unit costs are in, but for its epsilon, beside which
        small gradients are lost, and for squares of large ones. Powers of 2^20 bring changes of
        cost to between 1e-3 and 1e3; in that range, as they are by default, costs stay as they
        are. An optimizer of the user's sees the costs as they are, since its rate may be in their
        unit.

        Args:
            stakes: (players,), how much unit controls change a path's cost.
        """
        if self.optimizer is not None:
            return np.ones_like(stakes)
        with np.errstate(divide="ignore", invalid="ignore"):
            exponent = np.clip(np.rint(np.log2(stakes) / 20.0), -6.0, 6.0)
        return np.where((stakes > 0.0) & np.isfinite(stakes), 2.0 ** (-20.0 * exponent), 1.0)

    def rate(self, step: int, total_steps: int) -> float:
        """The learning rate of a training step of the whole solve, counted from 0."""
        schedule: Any = self._schedule(total_steps)
        if self.optimizer is not None:
            schedule = self.optimizer.get_config()["learning_rate"]
            if isinstance(schedule, dict):
                schedule = keras.optimizers.schedules.deserialize(schedule)
        return _value(schedule, step)

    def settings(self) -> dict[str, Any]:
        """JSON-serialisable values that tell one choice from another."""
        if self.optimizer is not None:
            return {"optimizer": _described(self.optimizer), "learning_rate": None}
        rate = self.learning_rate
        return {
            "optimizer": "Adam",
            "learning_rate": _described(rate) if isinstance(rate, Schedule) else rate,
        }

    def _schedule(self, total_steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
        if isinstance(self.learning_rate, Schedule):
            return self.learning_rate
        return keras.optimizers.schedules.CosineDecay(
            self.learning_rate, decay_steps=total_steps, alpha=self.final_ratio
        )


def choose_optimizer(
    optimizer: Any, learning_rate: Any, final_ratio: Any, features: int, default_rate: float
) -> OptimizerChoice:
    """The choice that the arguments of `DeepFictitiousPlay` make.

    Args:
        optimizer, learning_rate, final_ratio: as given.
        features: number of features of the networks, the last step's.
        default_rate: times 1 / √features, where no rate is given.

    Raises:
        ValueError, TypeError: for arguments that make no choice.
    """
    final_ratio = checks.number("final_rate_ratio", final_ratio, least=0.0, most=1.0)
    if isinstance(learning_rate, Schedule):
        first = _value(learning_rate, 0)
        if not (np.isfinite(first) and first >= 0.0):
            raise ValueError(
                "`learning_rate` must be a schedule of finite numbers that are not negative. "
                f"Received: {first} in step 0 of {learning_rate!r}"
            )
    elif learning_rate is not None:
        learning_rate = checks.number("learning_rate", learning_rate, above=0.0)
    if optimizer is None:
        rate = default_rate / features**0.5 if learning_rate is None else learning_rate
        return OptimizerChoice(None, rate, final_ratio)
    if learning_rate is not None:
        raise ValueError(
            "`learning_rate` must be left out where an `optimizer` brings its own. Received: "
            f"learning_rate={learning_rate!r} with optimizer={optimizer!r}. Give it to the "
            "optimizer"
        )
    made = optimizer
    if callable(optimizer) and not isinstance(optimizer, (type, keras.optimizers.Optimizer)):
        made = optimizer(features)
    if not isinstance(made, keras.optimizers.Optimizer):
        raise TypeError(
            "`optimizer` must be an optimizer of Keras, such as keras.optimizers.Adam(0.01), or a "
            f"function of the number of features that gives one. Received: optimizer={optimizer!r}"
            + ("" if made is optimizer else f", which gave {made!r}")
        )
    if isinstance(made, keras.optimizers.LossScaleOptimizer):
        raise ValueError(
            "`optimizer` must see the gradients as they are. Received: a LossScaleOptimizer, which "
            "is for float16, and networks are float32 or float64. Give its inner optimizer"
        )
    return OptimizerChoice(made, 0.0, final_ratio)


def _value(rate: Any, step: int) -> float:
    if isinstance(rate, Schedule):
        return float(ops.convert_to_numpy(ops.convert_to_tensor(rate(step))))
    return float(rate)


def _described(thing: Any) -> Any:
    """A Keras object as JSON, by its class alone where it cannot be written down."""
    try:
        return json.loads(json.dumps(keras.saving.serialize_keras_object(thing)))
    except Exception:  # whatever a get_config of one's own does
        return type(thing).__name__
