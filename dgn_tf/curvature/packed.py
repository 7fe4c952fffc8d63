"""A wide symmetric factor as the blocks on and below its diagonal.

The running average of a factor moves every step and is read at a refresh only. By block rows it
takes five eighths of the products and of the memory traffic of the whole matrix.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from dgn_tf.precise import matmul

WHOLE_UP_TO = 512
"""The widest factor that is kept whole."""
BLOCKS = 4
"""Block rows of a wider one."""


def is_packed(size: int) -> bool:
    """Whether a factor of that size is kept by blocks."""
    return size > WHOLE_UP_TO


def shape(size: int) -> tuple[int, ...]:
    """Shape of the variable that holds a ``(size, size)`` factor: itself, or flat."""
    if not is_packed(size):
        return size, size
    side = _side(size)
    return (side * side * BLOCKS * (BLOCKS + 1) // 2,)


def gram(rows: Any) -> tf.Tensor:
    """``X'X`` of ``(m, size)`` rows X, in that shape."""
    size = rows.shape[-1]
    if not is_packed(size):
        return matmul(rows, rows, transpose_a=True)
    side = _side(size)
    rows = tf.pad(rows, [[0, 0], [0, BLOCKS * side - size]])
    products = [
        matmul(rows[:, end - side : end], rows[:, :end], transpose_a=True)
        for end in range(side, BLOCKS * side + 1, side)
    ]
    return _flat(products)


def pack(matrix: tf.Tensor) -> Any:
    """A symmetric ``(size, size)`` matrix in that shape."""
    size = matrix.shape[-1]
    if not is_packed(size):
        return matrix
    side = _side(size)
    lack = BLOCKS * side - size
    matrix = tf.pad(matrix, [[0, lack], [0, lack]])
    ends = range(side, BLOCKS * side + 1, side)
    return _flat([matrix[end - side : end, :end] for end in ends])


def unpack(held: Any, size: int) -> Any:
    """The ``(size, size)`` matrix that a tensor of that shape holds."""
    if not is_packed(size):
        return held
    side, below = _side(size), _rows(held, size)
    whole = []
    for i, row in enumerate(below):
        columns = [under[:, i * side : (i + 1) * side] for under in below[i + 1 :]]
        whole.append(tf.concat([row, *map(tf.transpose, columns)], axis=1))
    return tf.concat(whole, axis=0)[:size, :size]


def trace(held: Any, size: int) -> Any:
    """The trace of that matrix."""
    if not is_packed(size):
        return tf.linalg.trace(held)
    side = _side(size)
    place = np.arange(side)
    diagonals = [(side * i * (i + 1) // 2 + place * (i + 1) + i) * side for i in range(BLOCKS)]
    return tf.reduce_sum(tf.gather(held, np.concatenate([d + place for d in diagonals])))


def _side(size: int) -> int:
    return -(-size // BLOCKS)


def _flat(rows: Any) -> tf.Tensor:
    return tf.concat([tf.reshape(row, (-1,)) for row in rows], axis=0)


def _rows(held: Any, size: int) -> list:
    """Block row i, ``(side, (i + 1) side)``."""
    side = _side(size)
    pieces = tf.split(held, [side * side * (i + 1) for i in range(BLOCKS)])
    return [tf.reshape(piece, (side, -1)) for piece in pieces]
