"""Curvature blocks: Keras's own optimizers, dense matrices, kernels and settings."""

import captures
import keras
import numpy as np
import pytest
import tensorflow as tf

from dgn_tf import curvature
from dgn_tf.game.layout import WeightLayout

B, INPUTS, OUTPUTS, R = 4, 3, 2, 2


def make_state(block, layout, dtype="float64"):
    state = {}
    for name, (shape, initial) in block.state_spec(layout).items():
        if initial == "identity":
            value = np.eye(*shape)
        elif isinstance(initial, str):
            value = getattr(np, initial)(shape)
        else:
            value = np.full(shape, initial)
        state[name] = keras.Variable(value, dtype=dtype, trainable=False)
    return state


def make_capture(positions=1, seed=0, has_bias=True, columns=R, scale=None):
    rng = np.random.default_rng(seed)
    g = rng.standard_normal((B, positions, columns, OUTPUTS))
    a = rng.standard_normal((B, positions, INPUTS))
    c = tf.constant(rng.standard_normal((B, columns)))
    scale = rng.uniform(0.5, 1.5, (B, columns)) if scale is None else scale
    arguments = {"has_bias": has_bias, "c": c, "curvature_scale": tf.constant(scale)}
    if positions == 1:
        return captures.dense(tf.constant(a[:, 0]), tf.constant(g[:, 0]), **arguments)
    return captures.patches(tf.constant(a), tf.constant(g), **arguments)


def tangents(cap):
    """U ``(I O, n)`` by hand."""
    return np.einsum("bpi,bpro->brio", cap.a, cap.g).reshape(-1, cap.rows * cap.outputs).T


def trained(name_or_block, cap, steps=3):
    block = curvature.get(name_or_block)
    state = make_state(block, cap.layout)
    for step in range(steps):
        block.observe(state, cap, cap.weighted(cap.c), step)
    return block, state


BLOCKS = sorted(curvature.BLOCKS)


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("positions", [1, 3])
@pytest.mark.parametrize("has_bias", [True, False])
def test_block_is_its_dense_matrix(name, positions, has_bias):
    """Gain, solve and pullback are those of to_dense()."""
    cap = make_capture(positions, has_bias=has_bias)
    block, state = trained(name, cap)
    prepared = block.on(state, cap, 3)
    M = block.to_dense(state, cap.layout, 3).numpy()
    U = tangents(cap)
    w = np.random.default_rng(1).standard_normal((B, R))
    extra = tuple(tf.ones(s, tf.float64) * (i + 1) for i, s in enumerate(cap.layout.variables))
    e = cap.matrix(extra).numpy().ravel()
    for _ in range(2):  # once before and once after the kernel, which may leave shared work
        for own, vector in ((None, 0.0), (extra, e)):
            gain = cap.matrix(prepared.gain(tf.constant(w), own)).numpy().ravel()
            exact = np.linalg.solve(M, U @ w.ravel() / B + vector)
            np.testing.assert_allclose(gain, exact, rtol=1e-7, atol=1e-9)
        pulled = cap.pullback(prepared.solve(extra))
        np.testing.assert_allclose(pulled, U.T @ np.linalg.solve(M, e), rtol=1e-7, atol=1e-9)
        kernel = prepared.kernel().numpy()
        np.testing.assert_allclose(kernel, kernel.T, atol=1e-10)
        assert np.linalg.eigvalsh(kernel).min() > -1e-9
    if name in ("identity", "kfac", "gauss_newton"):
        np.testing.assert_allclose(kernel, U.T @ np.linalg.solve(M, U), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", BLOCKS)
def test_kernel_above_the_memory_budget(name, monkeypatch):
    """Σ_p a_p g_p' becomes (Σ_p a_p)(Σ_p g_p)': the Dense kernel of the sums over positions."""
    cap = make_capture(3)
    block, state = trained(name, cap)
    if name == "gauss_newton":
        pytest.skip("its matrix needs the tangents in any case")
    monkeypatch.setattr("dgn_tf.game.capture.TANGENT_BUDGET", 1)
    assert not cap.tangents_fit
    sums = captures.dense(
        tf.reduce_sum(cap.plain_inputs, axis=1), tf.reduce_sum(cap.g, axis=1), cap.has_bias
    )
    # the bias's input is a one at every position
    summed = tf.concat([sums.plain_inputs, 3.0 * tf.ones((B, 1, 1), tf.float64)], axis=-1)
    sums = captures.dense(summed[:, 0], sums.g[:, 0], has_bias=False)
    ours = block.on(state, cap, 3).kernel()
    if block.elementwise:  # variables of the layer with a bias, as one kernel without
        joined = {}
        for key in {name.rsplit("_", 1)[0] for name in state if name[-1].isdigit()}:
            parts = [tf.reshape(state[f"{key}_{i}"], (-1, OUTPUTS)) for i in range(2)]
            joined[f"{key}_0"] = tf.concat(parts, axis=0)
        state = joined
    theirs = block.on(state, sums, 3).kernel()
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["rmsprop", "adam", "diagonal"])
def test_diagonal_kernels_are_exact_where_the_scale_has_rank_one(name):
    cap = make_capture(has_bias=False)
    block, state = trained(name, cap, steps=1)
    rng = np.random.default_rng(4)
    outer = np.outer(rng.uniform(1, 2, cap.rows), rng.uniform(1, 2, OUTPUTS))
    state["velocity_0"].assign(outer)
    M, U = block.to_dense(state, cap.layout, 3).numpy(), tangents(cap)
    exact = U.T @ np.linalg.solve(M, U)
    tolerance = 1e-2 if name == "diagonal" else 1e-6  # its damping is added to the root
    kernel = block.on(state, cap, 3).kernel()
    np.testing.assert_allclose(kernel, exact, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", BLOCKS)
def test_shift_is_added_to_the_diagonal(name):
    """lr · wd joins M: exactly, or (K-FAC) in the damping at a refresh."""
    cap, shift = make_capture(), tf.constant(0.3, tf.float64)
    block = curvature.get(name)
    state = make_state(block, cap.layout)
    block.observe(state, cap, cap.weighted(cap.c), 0, shift=shift)
    M = block.to_dense(state, cap.layout, 1, shift=shift).numpy()
    if name != "kfac":
        without = block.to_dense(state, cap.layout, 1).numpy()
        np.testing.assert_allclose(M, without + 0.3 * np.eye(len(M)), atol=1e-12)
    gain = cap.matrix(block.on(state, cap, 1, shift).gain(cap.c)).numpy().ravel()
    exact = np.linalg.solve(M, tangents(cap) @ cap.c.numpy().ravel() / B)
    np.testing.assert_allclose(gain, exact, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize(
    "name, optimizer",
    [
        ("identity", keras.optimizers.SGD),
        ("rmsprop", keras.optimizers.RMSprop),
        ("adam", keras.optimizers.Adam),
    ],
)
def test_open_loop_equals_keras(name, optimizer):
    """Twenty steps from the same gradients, in single precision."""
    rng = np.random.default_rng(0)
    start = [rng.standard_normal((3, 2)), rng.standard_normal(2)]
    theirs = [keras.Variable(w, dtype="float32") for w in start]
    keras_optimizer = optimizer(learning_rate=0.05)
    keras_optimizer.build(theirs)
    block = curvature.get(name)
    state = make_state(block, WeightLayout(((3, 2), (2,)), 2), "float32")
    ours = [tf.constant(w, tf.float32) for w in start]
    for step in range(20):
        gradient = [tf.constant(rng.standard_normal(w.shape), tf.float32) for w in start]
        keras_optimizer.apply(gradient, theirs)
        block.observe(state, None, gradient, step)
        direction, moved = block.first_moment(state, gradient, step)
        for variable, value in moved:
            variable.assign(value)
        update = block.on(state, None, step).solve(direction)
        ours = [w - 0.05 * u for w, u in zip(ours, update, strict=True)]
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", BLOCKS)
def test_settings_survive_serialisation(name):
    block = curvature.get(name)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(block))
    assert type(again) is type(block)
    assert again.get_config() == block.get_config()
    assert block.fallback().elementwise


def test_names():
    block = curvature.KFACBlock(damping=0.5)
    assert curvature.get(block) is block
    with pytest.raises(ValueError, match="must be one of"):
        curvature.get("newton")
    with pytest.raises(TypeError, match="name or a Curvature"):
        curvature.get(3)
    with pytest.raises(ValueError, match="form one matrix"):
        block.state_spec(WeightLayout(((3,),)))


@pytest.mark.parametrize(
    "arguments",
    [
        {"damping": 0.0},
        {"damping": float("nan")},
        {"decay": 1.0},
        {"update_every": 0},
        {"refresh_every": 2.5},
        {"fisher": "true"},
        {"max_rows": -1},
    ],
)
def test_settings_out_of_range(arguments):
    with pytest.raises(ValueError, match="Received"):
        curvature.KFACBlock(**arguments)


@pytest.mark.parametrize(
    "block, arguments",
    [("RMSprop", {"rho": 1.0}), ("Adam", {"beta_2": -0.1}), ("Diagonal", {"damping": -1.0})],
)
def test_other_settings_out_of_range(block, arguments):
    with pytest.raises(ValueError, match="Received"):
        getattr(curvature, block)(**arguments)
