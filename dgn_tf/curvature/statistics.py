"""What the K-FAC family estimates its factors from."""

from typing import Any

import tensorflow as tf

from dgn_tf.curvature.base import State, past_weight, read, shared
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
    return _scaled(*_columns(cap, fisher), fisher)


def factors(cap: Any, fisher: str) -> tuple:
    """The Kronecker factors of ``M ≈ A ⊗ B`` of one batch.

    Returns:
        A ``(I, I)``, Σ_p a a' averaged over samples; B ``(O, O)``, Σ_r g g' averaged over samples
        and positions (Grosse and Martens 2016 for convolutions).
    """
    return _factors(cap.plain_inputs, cap.has_bias, cotangents(cap, fisher))


def observe_factors(state: State, cap: Any, fisher: str, decay: float) -> None:
    """Move ``input_factor`` and ``output_factor`` on by one batch."""
    pair, one = (state["input_factor"], state["output_factor"]), cap.positions == 1
    batch = cap.a if one else cap.plain_inputs, *_columns(cap, fisher)
    held = *map(read, pair), read(state["updates"])
    moved = _moved(*held, *batch, one, cap.has_bias, fisher, decay)
    for variable, value in zip(pair, moved, strict=True):
        variable.assign(value)


@shared
def _moved(
    A: tf.Tensor, B: tf.Tensor, updates: tf.Tensor, a: tf.Tensor, g: tf.Tensor, weights: tf.Tensor,
    one: bool, has_bias: bool, fisher: str, decay: float,
) -> tuple:  # fmt: skip
    """A and B with a batch's share, from `a` with its column of ones for one position."""
    past = past_weight(updates, decay, A.dtype)
    g = _scaled(g, weights, fisher)
    if one:
        root = tf.sqrt((1.0 - past) / tf.cast(tf.shape(a)[0], a.dtype))
        rows = tf.squeeze(a, 1), tf.reshape(g, (-1, g.shape[-1]))
        products = [_product(x * root) for x in rows]
    else:
        products = [(1.0 - past) * product for product in _factors(a, has_bias, g)]
    return past * A + products[0], past * B + products[1]


def _columns(cap: Any, fisher: str) -> tuple[Any, Any]:
    """Cotangents and their weights, in the game without the columns that have no curvature."""
    if fisher == "game" and cap.flat:
        return cap.g[:, :, : -cap.flat], cap.curvature_scale[:, : -cap.flat]
    return cap.g, cap.curvature_scale if fisher == "game" else cap.c


def _scaled(g: tf.Tensor, weights: tf.Tensor, fisher: str) -> tf.Tensor:
    if fisher == "game":
        return g * weights[:, None, :, None]
    return einsum("br,bpro->bpo", weights, g)[:, :, None]


def _factors(a: tf.Tensor, has_bias: bool, g: tf.Tensor) -> tuple:
    """From plain inputs ``(B, P, I0)`` and scaled cotangents."""
    batch, positions = (tf.cast(size, g.dtype) for size in tf.unstack(tf.shape(g)[:2]))
    of_outputs = _product(tf.reshape(g, (-1, g.shape[-1]))) / (batch * positions)
    rows = tf.reshape(a, (-1, a.shape[-1]))
    product = _product(rows)
    if has_bias:  # the column of ones, without writing it beside long inputs
        total, count = tf.reduce_sum(rows, axis=0), tf.cast(tf.shape(rows)[0], a.dtype)
        upper = tf.concat([product, total[:, None]], axis=1)
        product = tf.concat([upper, tf.concat([total, count[None]], axis=0)[None]], axis=0)
    return product / batch, of_outputs


def _product(rows: Any) -> Any:
    return matmul(rows, rows, transpose_a=True)
