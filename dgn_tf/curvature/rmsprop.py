"""M = √(E[g²] + ε), the preconditioner of Keras's RMSprop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from dgn_tf.curvature.base import State, fraction, positive, read
from dgn_tf.curvature.elementwise import Elementwise, moments


@keras.saving.register_keras_serializable(package="dgn_tf")
class RMSprop(Elementwise):
    """A running root mean square of the gradient, not debiased, as `keras.optimizers.RMSprop`.

    Args:
        rho: weight of the past, in [0, 1).
        epsilon: added under the root.

    Raises:
        ValueError: for a value out of range.
    """

    name = "rmsprop"

    def __init__(self, rho: float = 0.9, epsilon: float = 1e-7):
        self.rho = fraction("rho", rho)
        self.epsilon = positive("epsilon", epsilon)

    def get_config(self) -> dict[str, Any]:
        return {"rho": self.rho, "epsilon": self.epsilon}

    def observe(
        self, state: State, cap: Any, gradient: Sequence, step: Any, shift: Any = None
    ) -> None:
        for velocity, g in zip(moments(state, "velocity"), gradient, strict=True):
            velocity.assign(self.rho * read(velocity) + (1.0 - self.rho) * tf.square(g))

    def scale(self, state: State, step: Any) -> tuple:
        return tuple(tf.sqrt(read(v) + self.epsilon) for v in moments(state, "velocity"))
