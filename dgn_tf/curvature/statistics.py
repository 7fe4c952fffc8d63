"""What the K-FAC family estimates its factors from."""

from __future__ import annotations

import tensorflow as tf

from dgn_tf.curvature.base import read, weights

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
    """The Kronecker factors of ``M ≈ A ⊗ B`` of one batch.

    Returns:
        A ``(I, I)``, Σ_p a a' averaged over samples; B ``(O, O)``, Σ_r g g' averaged over samples
        and positions (Grosse and Martens 2016 for convolutions).
    """
    (a, of_a), (g, of_g) = _rows(cap, fisher)
    return tf.matmul(a * of_a, a, transpose_a=True), tf.matmul(g * of_g, g, transpose_a=True)


def observe_factors(state, cap, fisher: str, decay: float, active=None) -> None:
    """Move ``input_factor`` and ``output_factor`` on by one batch, unless it is not finite."""
    past, fresh = weights(state["updates"], decay, cap.dtype, active)
    for name, (rows, scale) in zip(("input", "output"), _rows(cap, fisher), strict=True):
        variable = state[f"{name}_factor"]
        scale *= fresh
        # the product's trace is finite only if all of it is, and the rows are cheaper to look at
        finite = tf.math.is_finite(2.0 * scale * tf.nn.l2_loss(rows))
        root = tf.where(finite, tf.sqrt(scale), 0.0)
        rows = tf.math.multiply_no_nan(rows, root)
        product = tf.matmul(rows, rows, transpose_a=True)
        variable.assign(tf.where(finite, past, 1.0) * read(variable) + product)


def _rows(cap, fisher: str):
    """Inputs and cotangents as rows, each with the factor of its mean."""
    a = tf.reshape(cap.a, (-1, cap.rows))
    g = cotangents(cap, fisher)
    positions = tf.cast(tf.shape(g)[1], g.dtype)
    return (a, 1.0 / cap.batch), (tf.reshape(g, (-1, cap.outputs)), 1.0 / (cap.batch * positions))
