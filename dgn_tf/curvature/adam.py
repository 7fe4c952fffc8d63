"""M = (√v + ε) / √(1 - β₂ᵗ) and the first moment in place of the gradient: Keras's Adam."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from dgn_tf.curvature.base import Spec, State, read
from dgn_tf.curvature.elementwise import Elementwise, moments
from dgn_tf.game.layout import WeightLayout
from dgn_tf.settings import fraction, positive


@keras.saving.register_keras_serializable(package="dgn_tf")
class Adam(Elementwise):
    """Kingma and Ba (2015) with Keras's ε, which is added before the bias correction.

    Args:
        beta_1: weight of the past in the first moment.
        beta_2: weight of the past in the second moment.
        epsilon: added to the root of the second moment.

    Raises:
        ValueError: for a value out of range.
    """

    name = "adam"
    momentum = True

    def __init__(self, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7):
        self.beta_1 = fraction("beta_1", beta_1)
        self.beta_2 = fraction("beta_2", beta_2)
        self.epsilon = positive("epsilon", epsilon)

    def state_spec(self, layout: WeightLayout) -> Spec:
        first = {f"momentum_{i}": (shape, "zeros") for i, shape in enumerate(layout.variables)}
        return {**first, **super().state_spec(layout)}

    def observe(
        self, state: State, cap: Any, gradient: Sequence, step: Any, shift: Any = None
    ) -> None:
        for velocity, g in zip(moments(state, "velocity"), gradient, strict=True):
            old = read(velocity)
            velocity.assign(old + (tf.square(g) - old) * (1.0 - self.beta_2))

    def first_moment(self, state: State, gradient: Sequence, step: Any) -> tuple[tuple, list]:
        """``m ← m + (1 - β₁)(g - m)``, and ``m / (1 - β₁ᵗ)`` in place of the gradient."""
        held = moments(state, "momentum")
        moved = [
            (momentum, read(momentum) + (g - read(momentum)) * (1.0 - self.beta_1))
            for momentum, g in zip(held, gradient, strict=True)
        ]
        return tuple(new / _bias(self.beta_1, step, new.dtype) for _, new in moved), moved

    def scale(self, state: State, step: Any) -> tuple:
        velocities = [read(v) for v in moments(state, "velocity")]
        return tuple(
            (tf.sqrt(v) + self.epsilon) / tf.sqrt(_bias(self.beta_2, step, v.dtype))
            for v in velocities
        )


def _bias(beta: float, step: Any, dtype: Any) -> tf.Tensor:
    """``1 - βᵗ`` with t = step + 1."""
    return 1.0 - tf.pow(tf.constant(beta, dtype), tf.cast(step, dtype) + 1.0)
