"""Limits on the length of an update: Keras's clipping, and the trust region of K-FAC."""

from collections.abc import Callable

import tensorflow as tf

from dgn_tf.curvature.base import add
from dgn_tf.optimizer import DGNOpt
from dgn_tf.step.gains import Gains


def clipping(optimizer: DGNOpt, gains: Gains, lr: tf.Tensor) -> Callable[[tuple], tuple]:
    """How updates (without the learning rate) are clipped: by `kl_clip`, then as Keras does."""
    keras_clip = _as_keras(optimizer, gains)
    if optimizer.kl_clip is None:
        return keras_clip
    scale = trust_region(optimizer.kl_clip, gains, lr)
    return lambda update: keras_clip(tuple(u * scale for u in update))


def trust_region(kl_clip: float, gains: Gains, lr: tf.Tensor) -> tf.Tensor:
    """min(1, √(κ / Σ lr² Δ'FΔ)), the factor that keeps a step within κ of where it began.

    lr² Δ'FΔ is twice the Kullback-Leibler divergence that a step lr Δ makes, to second order
    (Martens and Grosse 2015, section 6). As in Ba, Grosse and Martens (2017), section 5, FΔ is
    taken to be the gradient that Δ was made of: with Δ = M⁻¹g the sum is Δ'MΔ, the damping
    included. The recursions' open gains k are shorter than M⁻¹g, so that it is an upper bound
    there; k + K δx has the factor of k.
    """
    observation, opened = gains.observation, gains.opened()
    terms = []
    for owner in gains.game.owners:
        gradient: tuple = tuple(observation.gradients[id(v)] for v in owner.variables)
        gradient = add(gradient, observation.l_u[owner.name])
        pairs = zip(opened[owner.name], gradient, strict=True)
        terms += [tf.abs(tf.reduce_sum(u * g)) for u, g in pairs]
    size = tf.square(lr) * tf.add_n(terms)
    limit = tf.constant(kl_clip, size.dtype)
    return tf.where(size > limit, tf.sqrt(limit / size), tf.ones_like(size))


def _as_keras(optimizer: DGNOpt, gains: Gains) -> Callable[[tuple], tuple]:
    """`clipnorm`, `clipvalue` or `global_clipnorm`: what Keras does to a gradient. The global norm
    is that of the open gains k / lr of all weights, known before the update pass begins."""
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
