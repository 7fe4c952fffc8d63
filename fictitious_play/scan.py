"""A loop over the Euler steps, written out or on the device.

A short loop is written out, step by step. A long one becomes a loop on the device over blocks of
steps, each block written out, so that what has to be traced and compiled does not grow with the
number of steps: JAX compiles that sooner and runs it as fast, TensorFlow pays for every turn of a
loop. PyTorch computes step by step anyway.
"""

from typing import Any

import keras
from keras import ops, tree

#: Up to so many steps the loop is written out, by backend.
UNROLLED = {"tensorflow": 40, "jax": 8}
#: Steps in a block of a longer one.
BLOCK = 2


def is_loop(steps: int) -> bool:
    """Whether that many steps are a loop on the device, where `time` is a tensor."""
    return steps > UNROLLED.get(keras.config.backend(), steps)


def trace(function: Any, dtype: str) -> None:
    """Calls a function of the time as a loop on the device would, with a tensor without a value."""
    if keras.config.backend() == "jax":
        import jax

        jax.eval_shape(function, jax.ShapeDtypeStruct((), dtype))
    else:
        import tensorflow as tf

        traced = tf.function(function, autograph=False)
        traced.get_concrete_function(tf.TensorSpec((), dtype))


def by_step(array: Any) -> Any:
    """(batch, steps, ...) as (steps, batch, ...)."""
    return ops.swapaxes(array, 0, 1)


def scan(body: Any, carry: Any, inputs: Any, steps: int, h: float, dtype: str) -> Any:
    """Carries something through the steps.

    Args:
        body: `body(carry, now, time)` gives the next carry, of the same shapes, and what to keep
            of the step; `now` is the slices of `inputs`, `time` is step · h, a Python float or a
            scalar tensor.
        carry: arrays in tuples, lists or dictionaries.
        inputs: the same, all arrays with the steps first.
        steps, h: number and size of the steps.
        dtype: of a `time` that is a tensor.

    Returns:
        The last carry, and what was kept, stacked with the steps first.
    """
    if not is_loop(steps):
        return _written_out(body, carry, inputs, [step * h for step in range(steps)])
    blocks = steps // BLOCK
    whole = blocks * BLOCK

    def block(carry: Any, now: Any) -> Any:
        inputs, first = now
        times = [(first + step) * h for step in range(BLOCK)]
        return _written_out(body, carry, inputs, times)

    def cut(array: Any) -> Any:
        return ops.reshape(array[:whole], (blocks, BLOCK, *array.shape[1:]))

    firsts = ops.arange(0, whole, BLOCK, dtype=dtype)
    loop = {"tensorflow": _tensorflow_loop, "jax": _jax_loop}[keras.config.backend()]
    carry, kept = loop(block, carry, (tree.map_structure(cut, inputs), firsts), blocks)
    kept = tree.map_structure(lambda each: ops.reshape(each, (whole, *ops.shape(each)[2:])), kept)
    if whole == steps:
        return carry, kept
    rest = tree.map_structure(lambda array: array[whole:], inputs)
    # Tensors too, as a game that takes them may make its factors in their dtype.
    times = [ops.convert_to_tensor(step, dtype=dtype) * h for step in range(whole, steps)]
    carry, last = _written_out(body, carry, rest, times)
    joined = tree.map_structure(lambda one, two: ops.concatenate([one, two]), kept, last)
    return carry, joined


def _written_out(body: Any, carry: Any, inputs: Any, times: Any) -> tuple:
    flat = [ops.unstack(array, len(times), axis=0) for array in tree.flatten(inputs)]
    kept = []
    for step, time in enumerate(times):
        now = tree.pack_sequence_as(inputs, [slices[step] for slices in flat])
        carry, of_step = body(carry, now, time)
        kept.append(of_step)
    return carry, tree.map_structure(lambda *each: ops.stack(each), *kept)


def _jax_loop(body: Any, carry: Any, inputs: Any, length: Any) -> Any:
    import jax

    return jax.lax.scan(body, carry, inputs, length)


def _tensorflow_loop(body: Any, carry: Any, inputs: Any, length: Any) -> tuple:
    """A `tf.while_loop`; inputs are read from arrays of tensors, whose gradient is one as well."""
    import tensorflow as tf

    def array_of(values: Any) -> Any:
        array = tf.TensorArray(values.dtype, length, element_shape=values.shape[1:])
        return array.unstack(values)

    arrays = [array_of(values) for values in tree.flatten(inputs)]
    flat_carry = [tf.convert_to_tensor(each) for each in tree.flatten(carry)]

    def step(number: Any, carry_now: Any) -> Any:
        now = tree.pack_sequence_as(inputs, [array.read(number) for array in arrays])
        return body(tree.pack_sequence_as(carry, carry_now), now)

    # The first block is written out: it shows what there is to keep.
    first, kept = step(0, flat_carry)
    kept_arrays = [
        tf.TensorArray(each.dtype, length, element_shape=each.shape).write(0, each)
        for each in tree.flatten(kept)
    ]

    def loop(number: Any, carry_now: Any, arrays_now: Any) -> tuple:
        after, of_step = step(number, carry_now)
        written = [
            array.write(number, each)
            for array, each in zip(arrays_now, tree.flatten(of_step), strict=True)
        ]
        return number + 1, tree.flatten(after), written

    _, last, kept_arrays = tf.while_loop(
        lambda number, *_: number < length, loop, (1, tree.flatten(first), kept_arrays)
    )
    stacked = [array.stack() for array in kept_arrays]
    return tree.pack_sequence_as(carry, last), tree.pack_sequence_as(kept, stacked)
