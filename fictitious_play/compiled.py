"""A function of arrays and Keras variables as one computation of the backend."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
from keras import ops

from fictitious_play import devices


class Compiled:
    """A function that reads Keras variables and assigns none.

    JAX compiles it as a whole, once for every shape that arrays have; taken operation by operation
    it would compile each of them. TensorFlow makes a graph of it, and PyTorch runs it as it is.

    Args:
        function: of tensors; gives tensors in tuples, lists or dictionaries.
        variables: the Keras variables that it reads.
    """

    def __init__(self, function: Callable, variables: Sequence = ()):
        self._function, self._variables = function, list(variables)
        self._run = self._as_it_is
        if keras.config.backend() == "tensorflow":
            import tensorflow as tf

            # TensorFlow counts the tracings of a plain function over all of a process's solves, and
            # would warn of them.
            graph = tf.function(partial(function), autograph=False)
            self._run = lambda *arrays: graph(*map(ops.convert_to_tensor, arrays))
        elif keras.config.backend() == "jax":
            compiled = jitted(self._stateless)
            self._run = lambda *arrays: compiled([v.value for v in self._variables], *arrays)

    def __call__(self, *arrays: Any) -> Any:
        """The function of these arrays."""
        return self._run(*arrays)

    def _as_it_is(self, *arrays: Any) -> Any:
        return self._function(*map(ops.convert_to_tensor, arrays))

    def _stateless(self, values: Any, *arrays: Any) -> Any:
        given = list(zip(self._variables, values, strict=True))
        with keras.StatelessScope(state_mapping=given):
            return self._function(*arrays)


def jitted(function: Callable, **settings: Any) -> Any:
    """`jax.jit` of a function that computes for long. On a CPU LLVM optimises it at its first
    level: products are made elsewhere, loops are as quick, and compiling takes a sixth less."""
    import jax

    options = None if devices.has_gpu() else {"xla_backend_optimization_level": 1}
    return jax.jit(function, compiler_options=options, **settings)
