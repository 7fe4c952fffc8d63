"""Captures of players made of arrays."""

from dgn_tf.game import Capture, WeightLayout


def patches(a, g, has_bias=True, **kwargs):
    """A player with positions from inputs `(B, P, I0)` and cotangents `(B, P, R, O)`."""
    outputs = int(g.shape[-1])
    shapes = ((int(a.shape[-1]), outputs), (outputs,))[: 1 + has_bias]
    return Capture([a], g, WeightLayout(shapes, outputs), **kwargs)


def dense(x, g, has_bias=True, **kwargs):
    """A Dense player from inputs `(B, I0)` and cotangents `(B, R, O)`."""
    return patches(x[:, None, :], g[:, None, :, :], has_bias, **kwargs)
