"""Keras's clipping, applied to the update divided by the learning rate."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from dgn_tf.step.gains import Gains


def clipping(optimizer: Any, gains: Gains) -> Callable[[tuple], tuple]:
    """How updates are clipped: by the optimizer's `clipnorm`, `clipvalue` or `global_clipnorm`.

    With open-loop SGD the update divided by the learning rate is the gradient, so this is what
    Keras does. The global norm is that of the open gains k / lr of all weights, known before the
    update pass begins; it scales k + K δx.
    """
    norm, value, limit = optimizer.clipnorm, optimizer.clipvalue, optimizer.global_clipnorm
    if norm:
        return lambda update: tuple(tf.clip_by_norm(u, tf.constant(norm, u.dtype)) for u in update)
    if value:
        return lambda update: tuple(tf.clip_by_value(u, -value, value) for u in update)
    if limit:
        total = tf.linalg.global_norm([u for update in gains.opened().values() for u in update])
        scale = tf.minimum(tf.constant(limit, total.dtype) / total, tf.ones_like(total))
        return lambda update: tuple(u * scale for u in update)
    return lambda update: update
