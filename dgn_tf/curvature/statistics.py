"""What the K-FAC family estimates its factors from."""

from __future__ import annotations

import tensorflow as tf

FISHER = ("game", "empirical")


def samples(cap, max_rows: int | None, step):
    """The capture, thinned to every k-th sample where it has more than `max_rows` rows.

    The kept samples rotate with the step, so that the running average sees all.
    """
    positions = cap.positions
    if max_rows is None or positions == 1:
        return cap
    batch = cap.g.shape[0]
    if batch is not None and positions is not None:
        stride = min(-(-batch * positions // max_rows), batch)
        if stride <= 1:
            return cap
    else:
        rows = tf.shape(cap.g)[0] * tf.shape(cap.g)[1]
        stride = tf.clip_by_value(-(-rows // max_rows), 1, tf.maximum(tf.shape(cap.g)[0], 1))
    offset = tf.cast(step, tf.int32) % stride
    return cap.thinned(stride, offset)


def cotangents(cap, fisher: str):
    """``(B, P, R', O)``: Z's columns scaled by √C_T, or for the empirical Fisher φ_x alone."""
    if fisher == "game":
        return cap.g * cap.curvature_scale[:, None, :, None]
    return tf.einsum("br,bpro->bpo", cap.c, cap.g)[:, :, None]


def factors(cap, fisher: str):
    """The Kronecker factors of ``M ≈ A ⊗ B`` of one batch, without 1/B² effects.

    Returns:
        A ``(I, I)``, Σ_p a a' averaged over samples; B ``(O, O)``, Σ_r g g' averaged over samples
        and positions (Grosse and Martens 2016 for convolutions).
    """
    a = tf.reshape(cap.a, (-1, cap.rows))
    g = cotangents(cap, fisher)
    positions = tf.cast(tf.shape(g)[1], g.dtype)
    g = tf.reshape(g, (-1, cap.outputs))
    A = tf.matmul(a, a, transpose_a=True) / cap.batch
    B = tf.matmul(g, g, transpose_a=True) / (cap.batch * positions)
    return A, B
