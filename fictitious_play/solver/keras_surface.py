"""Every private Keras surface that this package touches, in one place.

`TESTED_KERAS` names the minor versions these hold for; a test compares it with the installed one.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

TESTED_KERAS = ("3.15",)


class _SumsWhereSeveral:
    """Sums gradients over devices only where there are several.

    TensorFlow writes that sum down as a custom gradient in a registry that never forgets, which
    would hold the graph of every solve for as long as the process lives.
    """

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> Any:
        if self._distribution_strategy.num_replicas_in_sync == 1:  # type: ignore[attr-defined]
            return grads_and_vars
        return super()._all_reduce_sum_gradients(grads_and_vars)  # type: ignore[misc]


class _FusedAdam:
    """Adam's step by TensorFlow's own kernel, which passes over the weights once where Keras's
    formula, the same one written in elementary operations, passes ten times."""

    def update_step(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
        replicas = self._distribution_strategy.num_replicas_in_sync
        if self.amsgrad or replicas > 1:
            return super().update_step(gradient, variable, learning_rate)  # type: ignore[misc]
        import tensorflow as tf

        index = self._get_variable_index(variable)
        step = ops.cast(self.iterations + 1, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=ops.cast(self.beta_1, variable.dtype) ** step,
            beta2_power=ops.cast(self.beta_2, variable.dtype) ** step,
            lr=ops.cast(learning_rate, variable.dtype),
            beta1=tf.constant(self.beta_1, variable.dtype),
            beta2=tf.constant(self.beta_2, variable.dtype),
            epsilon=tf.constant(self.epsilon, variable.dtype),
            grad=gradient,
        )


def for_one_device(kind: type[keras.optimizers.Optimizer]) -> Callable:
    """The class of optimizers, with gradients as they are on one device, and fast there."""
    bases: tuple = (_SumsWhereSeveral, kind)
    adams = (keras.optimizers.Adam, keras.optimizers.AdamW)
    if kind in adams and keras.config.backend() == "tensorflow":
        bases = (_SumsWhereSeveral, _FusedAdam, kind)
    return type(kind.__name__, bases, {})
