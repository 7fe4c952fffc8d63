"""Matrix products in full single precision, whatever TensorFlow's TF32 switch says.

A GPU's TF32 units round float32 operands to 10 bits of mantissa, which a forward pass can bear and
a Cholesky factor or an eigenbasis cannot. TensorFlow's switch
(`tf.config.experimental.enable_tensor_float_32_execution`) is one for the process and is the
user's. So where it is on, each operand is split into a part that TF32 holds exactly and a rest,
x = high + low, and three products of the parts are summed: ab ≈ high high + (high low + low high).
What is left out, low low, and the rounding of the low parts are of relative size 2⁻²², that of
float32's own sums. Factorisations, solves and eigendecompositions never run in TF32.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

_LOW_BITS = 13
"""Bits of float32's mantissa (23) that TF32's (10) leaves out."""


def rounds(dtype: tf.DType) -> bool:
    """Whether products of this type are rounded to TF32 where this program runs."""
    return (
        tf.as_dtype(dtype) == tf.float32
        and tf.config.experimental.tensor_float_32_execution_enabled()
        and bool(tf.config.list_logical_devices("GPU"))
    )


def split(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """float32 x as high + low, exactly; high, the nearest of 10 bits, passes TF32 unchanged."""
    half = 1 << (_LOW_BITS - 1)
    bits = tf.bitcast(x, tf.int32) + half
    high = tf.bitcast(tf.bitwise.bitwise_and(bits, -1 << _LOW_BITS), tf.float32)
    return high, x - high


def matmul(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False) -> tf.Tensor:
    """`tf.matmul` in full precision."""

    def product(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        return tf.matmul(x, y, transpose_a=transpose_a, transpose_b=transpose_b)

    return _of_parts(product, a, b)


def matvec(a: tf.Tensor, x: tf.Tensor, transpose_a: bool = False) -> tf.Tensor:
    """`tf.linalg.matvec` in full precision."""
    return tf.squeeze(matmul(a, tf.expand_dims(x, -1), transpose_a=transpose_a), -1)


def einsum(equation: str, a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """`tf.einsum` of two operands in full precision."""
    return _of_parts(lambda x, y: tf.einsum(equation, x, y), a, b)


def _of_parts(product: Callable, a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    if not rounds(a.dtype):
        return product(a, b)
    (a_high, a_low), (b_high, b_low) = split(a), split(b)
    return product(a_high, b_high) + (product(a_high, b_low) + product(a_low, b_high))
