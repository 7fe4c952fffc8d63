"""Keras's clipping, applied to the update divided by the learning rate."""

from typing import Any

import tensorflow as tf


class Clipper:
    """Clips updates as the optimizer's `clipnorm`, `clipvalue` or `global_clipnorm` say.

    With open-loop SGD the update divided by the learning rate is the gradient, so this is what
    Keras does. The global norm is that of the open gains k / lr of all weights, known before the
    update pass begins; it scales k + K δx.
    """

    def __init__(self, optimizer: Any):
        self.norm = optimizer.clipnorm
        self.value = optimizer.clipvalue
        self.global_norm = optimizer.global_clipnorm
        self.scale: tf.Tensor | None = None

    @property
    def needs_open_gains(self) -> bool:
        return bool(self.global_norm)

    def measure(self, gains: list[tf.Tensor]) -> None:
        """Takes the global norm of the open gains of all weights."""
        norm = tf.linalg.global_norm(gains)
        limit = tf.cast(self.global_norm, norm.dtype)
        self.scale = limit * tf.minimum(1.0 / norm, 1.0 / limit)

    def __call__(self, update: list[tf.Tensor]) -> list[tf.Tensor]:
        if self.norm:
            return [tf.clip_by_norm(u, tf.cast(self.norm, u.dtype)) for u in update]
        if self.value:
            return [tf.clip_by_value(u, -self.value, self.value) for u in update]
        if self.scale is not None:
            return [u * self.scale for u in update]
        return update
