"""The leading eigenpairs of the softmax's Hessian, without its dense eigendecomposition."""

import numpy as np
import tensorflow as tf

EXTRA = 4
"""Coordinates beyond the rank that span the space of the softmax's leading eigenvectors."""
POWERS = 3
"""Powers of the other probabilities in that space."""


def softmax_pairs(p: tf.Tensor, rank: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The leading eigenpairs of diag(p) - pp', by Rayleigh and Ritz.

    An eigenvector is p / (p - λ), entry by entry, and R eigenvalues lie above the (R+1)-th largest
    probability. So it is free in the coordinates of the largest probabilities, and in the others a
    series in powers of p / λ < 1, of which the first few are kept. The pairs are exact where no
    other coordinate is left.

    Args:
        p: ``(..., K)``, probabilities.
        rank: R.

    Returns:
        ``(..., R)``, ascending, and ``(..., R, K)``.
    """
    classes = int(p.shape[-1])
    count = min(classes, rank + EXTRA)
    largest, where = tf.math.top_k(p, count)
    corner = tf.one_hot(where, classes, dtype=p.dtype)
    basis, along = None, largest
    ritz = tf.linalg.diag(largest)
    if count < classes:
        basis = _tail(p * (1.0 - tf.reduce_sum(corner, -2)))
        tail = tf.matmul(basis * p[..., None, :], basis, transpose_b=True)
        along = tf.concat([largest, tf.linalg.matvec(basis, p)], -1)
        ritz = _block_diagonal(ritz, tail)
    ritz -= along[..., :, None] * along[..., None, :]
    values, vectors = tf.linalg.eigh(ritz)
    values, mixed = values[..., -rank:], tf.linalg.matrix_transpose(vectors[..., -rank:])
    rows = tf.matmul(mixed[..., :count], corner)
    return values, rows if basis is None else rows + tf.matmul(mixed[..., count:], basis)


def _tail(rest: tf.Tensor) -> tf.Tensor:
    """An orthonormal basis of the powers of the other probabilities, ``(..., POWERS, K)``.

    What the powers do not span is a zero row.
    """
    scaled = tf.math.divide_no_nan(rest, tf.reduce_max(rest, -1, keepdims=True))
    powers = tf.stack([scaled ** (k + 1) for k in range(POWERS)], -2)
    values, vectors = tf.linalg.eigh(tf.matmul(powers, powers, transpose_b=True))
    epsilon = float(np.finfo(rest.dtype.as_numpy_dtype).eps)
    kept = values > 10.0 * epsilon * values[..., -1:]
    scale = tf.where(kept, tf.math.rsqrt(tf.where(kept, values, tf.ones_like(values))), 0.0)
    return tf.matmul(vectors * scale[..., None, :], powers, transpose_a=True)


def _block_diagonal(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    a, b = int(first.shape[-1]), int(second.shape[-1])
    lead = [[0, 0]] * (first.shape.rank - 2)
    return tf.pad(first, [*lead, [0, b], [0, b]]) + tf.pad(second, [*lead, [a, 0], [a, 0]])
