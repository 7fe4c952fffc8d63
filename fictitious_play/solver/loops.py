"""A step repeated on the device: one compiled computation for as many steps as are asked for.

JAX runs a `fori_loop` in which the Keras variables are carried along, TensorFlow a `while_loop`
that assigns them. PyTorch goes step by step, and so does JAX where nothing is to be compiled. The
number of steps is a tensor, so that any number up to the arrays' length is the same computation.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from fictitious_play.compiled import jitted


class StepLoop:
    """Repeats a step.

    Args:
        step: `step(now, fixed)` gives an array, for the slices `now` of what depends on the step
            and for what does not. It may read `variables`, and assign them where `writes`.
        variables: Keras variables.
        shape, dtype: of what a step gives.
        writes: whether the steps assign variables.
        compiled: whether to compile, by XLA on TensorFlow.
    """

    def __init__(
        self,
        step: Callable[[dict, dict], Any],
        variables: Sequence,
        shape: tuple[int, ...],
        dtype: str,
        writes: bool,
        compiled: bool,
    ):
        self.step, self.variables, self.writes = step, list(variables), writes
        self.shape, self.dtype = shape, dtype
        backend = keras.config.backend()
        if backend == "tensorflow":
            import tensorflow as tf

            # As in `Compiled`, so that every loop's tracings are counted by themselves.
            run = partial(self._tensorflow)
            self._run = tf.function(run, autograph=False, jit_compile=compiled)
        elif backend == "jax" and compiled:
            self._run = self._carried
            self._compiled = jitted(self._jax, donate_argnums=(0,) if writes else ())
        else:
            self._run = self._written_out

    def __call__(self, by_step: dict, fixed: dict, count: Any) -> Any:
        """Takes the first `count` steps.

        Args:
            by_step: arrays with the steps first, all of one length, at least `count`.
            fixed: arrays.
            count: number of steps, an integer tensor.

        Returns:
            What the steps gave, with the steps first, as long as the arrays; zero after `count`.
        """
        return self._run(by_step, fixed, count)

    def lowered(self, by_step: dict, fixed: dict, count: Any) -> str:
        """The program that JAX compiles for these arguments, as StableHLO."""
        values = [variable.value for variable in self.variables]
        return self._compiled.lower(values, by_step, fixed, count).as_text()

    def _carried(self, by_step: Any, fixed: Any, count: Any) -> Any:
        values = [variable.value for variable in self.variables]
        values, kept = self._compiled(values, by_step, fixed, count)
        if self.writes:
            for variable, value in zip(self.variables, values, strict=True):
                variable.assign(value)
        return kept

    def _jax(self, values: Any, by_step: Any, fixed: Any, count: Any) -> tuple:
        import jax
        import jax.numpy as jnp

        def one(number: Any, carry: Any) -> tuple:
            values, kept = carry
            now = tree.map_structure(lambda array: array[number], by_step)
            given = list(zip(self.variables, values, strict=True))
            with keras.StatelessScope(state_mapping=given) as scope:
                output = self.step(now, fixed)
            after = [scope.get_current_value(variable) for variable in self.variables]
            return after, kept.at[number].set(output)

        kept = jnp.zeros((_length(by_step), *self.shape), self.dtype)
        values, kept = jax.lax.fori_loop(0, count, one, (values, kept))
        return (values if self.writes else None), kept

    def _tensorflow(self, by_step: Any, fixed: Any, count: Any) -> Any:
        import tensorflow as tf

        def one(number: Any, kept: Any) -> tuple:
            now = tree.map_structure(lambda array: array[number], by_step)
            return number + 1, kept.write(number, self.step(now, fixed))

        kept = tf.TensorArray(self.dtype, _length(by_step), element_shape=self.shape)
        _, kept = tf.while_loop(
            lambda number, _: number < count,
            one,
            (tf.constant(0, tf.int32), kept),
            parallel_iterations=1,
        )
        return kept.stack()

    def _written_out(self, by_step: Any, fixed: Any, count: Any) -> Any:
        fixed = tree.map_structure(ops.convert_to_tensor, fixed)
        outputs = []
        for number in range(int(count)):
            now = tree.map_structure(lambda array, number=number: array[number], by_step)
            outputs.append(self.step(now, fixed))
        rest = ops.zeros((_length(by_step) - len(outputs), *self.shape), dtype=self.dtype)
        return ops.concatenate([ops.stack(outputs), rest])


def _length(by_step: Any) -> int:
    return tree.flatten(by_step)[0].shape[0]


def value_and_gradient(model: keras.Model, inputs: list, weights: np.ndarray) -> tuple:
    """The means over a batch of what a model gives, (columns,), and the gradient of their sum with
    some weights, with the model in training: it may assign its other variables."""
    backend = keras.config.backend()
    trainable, others = model.trainable_variables, model.non_trainable_variables

    def weighted(means: Any) -> Any:
        return ops.sum(means * ops.convert_to_tensor(weights, dtype=means.dtype))

    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            means = ops.mean(model(inputs, training=True), axis=0)
            total = weighted(means)
        return means, tape.gradient(total, [variable.value for variable in trainable])

    if backend == "jax":
        import jax

        def total(values: Any, rest: Any) -> tuple:
            costs, rest = model.stateless_call(values, rest, inputs, training=True)
            means = ops.mean(costs, axis=0)
            return weighted(means), (means, rest)

        (_, (means, rest)), gradients = jax.value_and_grad(total, has_aux=True)(
            [variable.value for variable in trainable], [variable.value for variable in others]
        )
        for variable, value in zip(others, rest, strict=True):
            variable.assign(value)
        return means, gradients

    import torch

    means = ops.mean(model(inputs, training=True), axis=0)
    values = [variable.value for variable in trainable]
    return means.detach(), torch.autograd.grad(weighted(means), values)
