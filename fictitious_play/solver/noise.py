"""Standard normals from counters, drawn on the device that computes.

Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror and Shaw 2011) turns a key and a counter into
two random words, and Box and Muller's transform two words into two normals. A number is a function
of its key and its place alone: the same on every backend and device but for rounding in the
transform, compiled or not, however many are drawn at once.

Words are signed integers of 32 bits, which every backend has; their sums wrap around.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import keras
import numpy as np
from keras import ops

_ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
_PARITY = 0x1BD11BDA
_ROUNDS = 20


def threefry(key: Any, counter: Any) -> tuple:
    """Two words for every counter.

    Args:
        key: a pair of words.
        counter: a pair of arrays of words, of one shape.

    Returns:
        A pair of arrays of that shape.
    """
    keys = (*key, ops.bitwise_xor(ops.bitwise_xor(*key), _word(_PARITY)))
    left, right = counter[0] + keys[0], counter[1] + keys[1]
    for number in range(_ROUNDS):
        left = left + right
        right = ops.bitwise_xor(_rotated(right, _ROTATIONS[number % 8]), left)
        if number % 4 == 3:
            turn = number // 4 + 1
            left = left + keys[turn % 3]
            right = right + (keys[(turn + 1) % 3] + _word(turn))
    return left, right


def normals(key: Any, shape: tuple[int, ...], dtype: str, stream: int = 0) -> Any:
    """Independent standard normals.

    Args:
        key: (2,) words.
        shape: of the result.
        dtype: "float32" or "float64". Words are rounded to float32's 24 digits in the first.
        stream: numbers of different streams are independent under the same key.
    """
    size = math.prod(shape)
    drawn = _drawing(-(-size // 2), dtype, stream, keras.config.backend())(key)
    return ops.reshape(drawn[:size], shape)


@lru_cache(maxsize=64)
def _drawing(pairs: int, dtype: str, stream: int, backend: str) -> Callable:
    """The function of a key that draws so many pairs. The many operations of its rounds are traced
    once in TensorFlow, however many computations draw."""

    def draw(key: Any) -> Any:
        places = ops.arange(pairs, dtype="int32")
        words = threefry((key[0], key[1]), (places, ops.full_like(places, stream)))
        first, second = (uniforms(word, dtype) for word in words)
        radius = ops.sqrt(-2.0 * ops.log(first))
        angle = (2.0 * math.pi) * second
        return ops.concatenate([radius * ops.cos(angle), radius * ops.sin(angle)])

    if backend != "tensorflow":
        return draw
    import tensorflow as tf

    return tf.function(draw, autograph=False)


def uniforms(words: Any, dtype: str) -> Any:
    """Words as numbers of (0, 1], a multiple of 2^-32 each; the lowest ones as 2^-33.

    A compiler may add up constants before they reach a word, and a half that keeps words off zero
    is lost in float32 then; a maximum is not.
    """
    return ops.maximum(ops.cast(words, dtype) * 2.0**-32 + 0.5, 2.0**-33)


def antithetic(half: Any) -> Any:
    """(pairs, ...) as (2 · pairs, ...), in which path 2k + 1 has the opposite signs of path 2k."""
    shape = (2 * half.shape[0], *half.shape[1:])
    return ops.reshape(ops.stack([half, -half], axis=1), shape)


def _rotated(word: Any, by: int) -> Any:
    """A word's bits moved to the left, those that leave it coming in on the right."""
    low = ops.bitwise_and(ops.bitwise_right_shift(word, _word(32 - by)), _word((1 << by) - 1))
    return ops.bitwise_or(ops.bitwise_left_shift(word, _word(by)), low)


def _word(value: int) -> Any:
    return ops.convert_to_tensor(np.int32(value), dtype="int32")
