"""Factorisations that hand on what is not finite, where TensorFlow's would stop the program."""

import tensorflow as tf


def eigh(A: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Eigenvalues ``(..., n)``, ascending, and eigenvectors ``(..., n, n)``; NaN where A is not
    finite."""
    A, poison = _finite(A)
    values, vectors = tf.linalg.eigh(A)
    return values + poison, vectors + poison


def solve(A: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """``A⁻¹ b`` for ``(n, n)`` A and ``(n, m)`` b; NaN where A is not finite."""
    A, poison = _finite(A)
    return tf.linalg.solve(A, b) + poison


def _finite(A: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A and 0, or the identity and NaN."""
    sound = tf.reduce_all(tf.math.is_finite(A))
    eye = tf.eye(tf.shape(A)[-1], dtype=A.dtype)
    poison = tf.where(sound, tf.zeros((), A.dtype), tf.constant(float("nan"), A.dtype))
    return tf.where(sound, A, eye), poison
