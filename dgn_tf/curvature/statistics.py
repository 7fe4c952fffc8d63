"""What the K-FAC family estimates its factors from."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dgn_tf.curvature import packed
from dgn_tf.curvature.base import State, past_weight, read
from dgn_tf.precise import einsum, matmul

FISHER = ("game", "empirical")


def samples(cap: Any, max_rows: int | None, step: Any) -> Any:
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
    made = cap.once(f"samples {id(step)}", lambda: (step, cap.thinned(stride, offset)))
    return made[1]  # the step is kept with them, so that its id stays its own


def cotangents(cap: Any, fisher: str) -> Any:
    """``(B, P, R', O)``: Z's columns scaled by √C_T, or for the empirical Fisher φ_x alone."""
    if fisher == "game":
        return cap.g * cap.curvature_scale[:, None, :, None]
    return einsum("br,bpro->bpo", cap.c, cap.g)[:, :, None]


def factors(cap: Any, fisher: str) -> tuple:
    """The Kronecker factors of ``M ≈ A ⊗ B`` of one batch.

    Returns:
        A ``(I, I)``, Σ_p a a' averaged over samples; B ``(O, O)``, Σ_r g g' averaged over samples
        and positions (Grosse and Martens 2016 for convolutions).
    """
    g = cotangents(cap, fisher)
    positions = tf.cast(tf.shape(g)[1], g.dtype)
    of_inputs = _input_product(cap) / cap.batch
    return of_inputs, _product(tf.reshape(g, (-1, cap.outputs))) / (cap.batch * positions)


def observe_factors(state: State, cap: Any, fisher: str, decay: float) -> None:
    """Move ``input_factor`` and ``output_factor`` on by one batch."""
    past = past_weight(state["updates"], decay, cap.dtype)
    pair = state["input_factor"], state["output_factor"]
    if cap.positions == 1:
        root = tf.sqrt((1.0 - past) / cap.batch)
        rows = cap.a[:, 0], tf.reshape(cotangents(cap, fisher), (-1, cap.outputs))
        products = [packed.gram(x * root) for x in rows]
    else:
        products = [(1.0 - past) * packed.pack(product) for product in factors(cap, fisher)]
    for variable, product in zip(pair, products, strict=True):
        variable.assign(past * read(variable) + product)


def _input_product(cap: Any) -> Any:
    """``Σ a a'`` over samples and positions, without the column of ones where it would be long."""
    if cap.positions == 1 or not cap.has_bias:
        return _product(tf.reshape(cap.a, (-1, cap.rows)))
    a = tf.reshape(cap.plain_inputs, (-1, cap.rows - 1))
    total = tf.reduce_sum(a, axis=0)
    count = tf.cast(tf.shape(a)[0], a.dtype)
    upper = tf.concat([_product(a), total[:, None]], axis=1)
    return tf.concat([upper, tf.concat([total, count[None]], axis=0)[None]], axis=0)


def _product(rows: Any) -> Any:
    return matmul(rows, rows, transpose_a=True)
