"""The K-FAC family against exact Gauss-Newton matrices, and its bookkeeping inside a graph."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from captures import dense as dense_capture
from captures import patches as positions_capture
from test_curvature import B, make_capture, make_state, tangents

import dgn_tf
from dgn_tf import linalg as blocks
from dgn_tf.curvature import EKFACBlock, GaussNewton, KFACBlock, statistics
from dgn_tf.curvature.base import average
from dgn_tf.curvature.damping import levenberg_marquardt, split
from dgn_tf.curvature.eigenbasis import eigenbasis, mean_squares, mixing
from dgn_tf.curvature.statistics import factors
from dgn_tf.game.capture import Capture
from dgn_tf.game.layout import WeightLayout

TINY = 1e-28  # no damping


def gauss_newton(cap, fisher="game"):
    """The exact matrix from the tangents, by hand."""
    U = tangents(cap)
    if fisher == "game":
        U = U * cap.curvature_scale.numpy().ravel()
    else:
        U = (U * cap.c.numpy().ravel()).reshape(len(U), B, -1).sum(-1)
    return U @ U.T / int(cap.batch)


def fitted(block, cap, steps=1):
    state = make_state(block, cap.layout)
    for step in range(steps):
        block.observe(state, cap, cap.weighted(cap.c), step)
    return state, block.to_dense(state, cap.layout, steps).numpy()


def one_sample(columns=3):
    rng = np.random.default_rng(5)
    x, g = rng.standard_normal((1, 4)), rng.standard_normal((1, columns, 3))
    scale = rng.uniform(0.5, 2.0, (1, columns))
    return dense_capture(tf.constant(x), tf.constant(g), curvature_scale=tf.constant(scale))


@pytest.mark.parametrize("block", [KFACBlock(TINY), EKFACBlock(TINY), GaussNewton(TINY)])
def test_one_dense_sample_is_exact_gauss_newton(block):
    cap = one_sample()
    matrix = fitted(block, cap)[1]
    exact = gauss_newton(cap)
    np.testing.assert_allclose(matrix, exact, atol=1e-12 * np.abs(exact).max())


@pytest.mark.parametrize("fisher", ["game", "empirical"])
@pytest.mark.parametrize("positions", [1, 6])
def test_ekfac_is_strictly_closer_than_kfac(positions, fisher):
    """In Frobenius norm, for Dense layers and convolutions; exact Gauss-Newton is exact."""
    for seed in range(5):
        cap = make_capture(positions, seed)
        exact = gauss_newton(cap, fisher)
        errors = [
            np.linalg.norm(fitted(block, cap)[1] - exact) / np.linalg.norm(exact)
            for block in (EKFACBlock(TINY, fisher=fisher), KFACBlock(TINY, fisher=fisher))
        ]
        assert errors[0] < 0.99 * errors[1]
    if fisher == "game":
        np.testing.assert_allclose(fitted(GaussNewton(TINY), cap)[1], exact, atol=1e-12)


def test_convolution_factors_against_per_sample_gradients():
    """Exact where a and g are independent across positions, measured elsewhere.

    With the same input and cotangent at every position U = P a g' and the factors lose a factor P;
    with independent positions A ⊗ B converges to the matrix of the per-sample gradients.
    """
    rng = np.random.default_rng(0)
    samples, positions = 20000, 4
    a = rng.standard_normal((samples, positions, 2)) * [1.0, 2.0]
    g = rng.standard_normal((samples, positions, 1, 2)) * [0.5, 1.5]
    cap = positions_capture(tf.constant(a), tf.constant(g), has_bias=False)
    A, C = (x.numpy() for x in factors(cap, "game"))
    exact = gauss_newton(cap)
    np.testing.assert_allclose(np.kron(A, C), exact, atol=0.06 * np.abs(exact).max())
    same = positions_capture(
        tf.constant(np.repeat(a[:1, :1], positions, 1)),
        tf.constant(np.repeat(g[:1, :1], positions, 1)),
        has_bias=False,
    )
    A, C = (x.numpy() for x in factors(same, "game"))
    np.testing.assert_allclose(positions * np.kron(A, C), gauss_newton(same), rtol=1e-12)


def test_convolution_factors_of_a_keras_layer():
    """A from its patches: the factor reproduces Keras's weight gradient of the same samples."""
    layer = keras.layers.Conv2D(3, 3, padding="same", dtype="float64")
    x = tf.random.stateless_normal((B, 5, 5, 2), (1, 2), dtype=tf.float64)
    with tf.GradientTape() as tape:
        y = layer(x)
        g = tf.random.stateless_normal(y.shape, (3, 4), dtype=tf.float64)
        loss = tf.reduce_sum(y * g) / B
    gradient = tape.gradient(loss, layer.trainable_variables)
    patches = tf.image.extract_patches(x, (1, 3, 3, 1), (1,) * 4, (1,) * 4, "SAME")
    cap = Capture(
        [tf.reshape(patches, (B, 25, 18))],
        tf.reshape(g, (B, 25, 1, 3)),
        WeightLayout(((3, 3, 2, 3), (3,)), 3),
    )
    for ours, theirs in zip(cap.weighted(cap.c), gradient, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
    for block in (KFACBlock(), EKFACBlock(), GaussNewton()):
        state, M = fitted(block, cap)
        solved = cap.matrix(block.on(state, cap, 1).gain(cap.c)).numpy().ravel()
        exact = np.linalg.solve(M, cap.matrix(gradient).numpy().ravel())
        np.testing.assert_allclose(solved, exact, rtol=1e-7, atol=1e-9)


def wide_capture(samples=64, inputs=12, outputs=3, leading=3, seed=0):
    rng = np.random.default_rng(seed)
    spread = np.r_[np.full(inputs - leading, 0.1), np.linspace(2, 4, leading)]
    turn = np.linalg.qr(rng.standard_normal((inputs, inputs)))[0]
    x = rng.standard_normal((samples, inputs)) * spread @ turn.T
    g = rng.standard_normal((samples, 1, outputs))
    return dense_capture(tf.constant(x), tf.constant(g), has_bias=False)


def test_truncated_bases_are_their_dense_matrix_and_close_to_the_whole_ones():
    cap = wide_capture()
    exact = gauss_newton(cap)
    whole = np.linalg.norm(fitted(EKFACBlock(TINY), cap)[1] - exact)
    for options in ({"full_basis_up_to": 5, "rank": 3}, {"full_basis_up_to": 2, "rank": 2}):
        block = EKFACBlock(1e-2, **options)
        state = make_state(block, WeightLayout(((12, 3),), 3))
        left = block.observe(state, cap, cap.weighted(cap.c), 0)
        M = block.to_dense(state, WeightLayout(((12, 3),), 3), 1).numpy()
        np.testing.assert_allclose(M, M.T, atol=1e-12)
        assert np.linalg.eigvalsh(M).min() >= 1e-2 - 1e-12
        np.testing.assert_allclose(np.trace(M), np.trace(exact) + 36e-2, rtol=1e-10)
        X = tf.constant(np.random.default_rng(1).standard_normal((12, 3)))
        solved = block.on(state, cap, 1).solve((X,))[0].numpy().ravel()
        np.testing.assert_allclose(solved, np.linalg.solve(M, X.numpy().ravel()), rtol=1e-9)
        prepared, w = block.on(state, cap, 1, left=left), 0.7 + tf.cos(cap.g[:, 0, :, 0])
        gain = prepared.gain(w)[0].numpy()  # from the coordinates that the statistics left
        plain = block.on(state, cap, 1).solve(cap.weighted(w))[0].numpy()
        np.testing.assert_allclose(gain, plain, rtol=1e-9, atol=1e-12)
        kernel = prepared.kernel().numpy()
        assert np.linalg.eigvalsh(kernel).min() > -1e-9
        without = block.on(state, cap, 1).kernel().numpy()
        np.testing.assert_allclose(kernel, without, rtol=1e-9, atol=1e-12)
        error = np.linalg.norm(M - 1e-2 * np.eye(36) - exact)
        assert error < (1.05 if options["rank"] == 3 else 2.0) * whole
        with_positions = positions_capture(cap.plain_inputs, cap.g, has_bias=False)
        with_positions.positions = None  # the path through per-sample tangents
        again = make_state(block, WeightLayout(((12, 3),), 3))
        block.observe(again, with_positions, cap.weighted(cap.c), 0)
        np.testing.assert_allclose(again["scale"].numpy(), state["scale"].numpy(), atol=1e-10)


@pytest.mark.parametrize(("of_A", "of_B"), [(0, 0), (3, 0), (0, 2), (3, 2)])
def test_outside_of_truncated_bases_stand_the_means_of_the_squares(of_A, of_B):
    """Against all coordinates in whole bases, of which the truncated ones are the first columns."""
    rng = np.random.default_rng(6)
    T, w = rng.standard_normal((5, 7, 4)), rng.uniform(0.5, 2.0, 5)
    whole = [np.linalg.qr(rng.standard_normal((size, size)))[0] for size in (7, 4)]
    every = np.einsum("n,nij->ij", w, (whole[0].T @ T @ whole[1]) ** 2)
    for axis, left_out in enumerate((of_A, of_B)):
        if left_out:
            kept = every.shape[axis] - left_out
            inside, outside = np.split(every, [kept], axis=axis)
            every = np.concatenate([inside, outside.mean(axis, keepdims=True)], axis=axis)
    held = [tf.constant(Q[:, : len(Q) - n]) for Q, n in zip(whole, (of_A, of_B), strict=True)]
    found = mean_squares(tf.constant(T), tf.constant(w), *held)
    np.testing.assert_allclose(found, every, rtol=1e-10)


def test_truncated_basis_finds_the_leading_eigenvectors():
    rng = np.random.default_rng(2)
    turn = np.linalg.qr(rng.standard_normal((20, 20)))[0]
    values = np.r_[np.full(15, 0.1), 5.0, 6.0, 7.0, 8.0, 9.0]
    A = tf.constant(turn * values @ turn.T)
    Q = tf.eye(20, 5, dtype=tf.float64)
    for first in (True, False, False):
        Q, spectrum = eigenbasis(A, Q, tf.constant(first))
    np.testing.assert_allclose(spectrum, [5, 6, 7, 8, 9, 0.1], atol=1e-9)
    np.testing.assert_allclose(np.abs(np.diag(Q.numpy().T @ turn[:, 15:])), 1.0, atol=1e-9)
    new = eigenbasis(A + 0.1 * tf.eye(20, dtype=A.dtype), Q, tf.constant(False))[0]
    np.testing.assert_allclose(mixing(new, Q), np.eye(6), atol=1e-9)


@pytest.mark.parametrize("size", [6, 4])
def test_mixing_conserves_the_trace(size):
    rng = np.random.default_rng(3)
    old, new = (np.linalg.qr(rng.standard_normal((6, size)))[0] for _ in range(2))
    weights = np.r_[np.ones(size), [6 - size] * (size < 6)]
    move = mixing(tf.constant(new), tf.constant(old)).numpy()
    np.testing.assert_allclose(move.sum(1), 1.0, atol=1e-12)
    np.testing.assert_allclose(weights @ move, weights, atol=1e-12)


def test_thinned_statistics_average_to_the_whole():
    """Every third sample in turn; over a full round the mean is that of all samples."""
    rng = np.random.default_rng(1)
    a, g = rng.standard_normal((6, 4, 3)), rng.standard_normal((6, 4, 1, 2))
    cap = positions_capture(tf.constant(a), tf.constant(g))
    A, C = factors(cap, "game")
    thin, whole = KFACBlock(max_rows=8, decay=0.999), KFACBlock(max_rows=None)
    state = make_state(thin, cap.layout)
    for step in range(3):
        thin.observe(state, cap, cap.weighted(cap.c), step)
    np.testing.assert_allclose(state["input_factor"].numpy(), A, atol=1e-12)
    np.testing.assert_allclose(state["output_factor"].numpy(), C, atol=1e-12)
    state = make_state(whole, cap.layout)
    whole.observe(state, cap, cap.weighted(cap.c), 0)
    np.testing.assert_allclose(state["input_factor"].numpy(), A, atol=1e-14)


@pytest.mark.parametrize("block", [KFACBlock, EKFACBlock])
@pytest.mark.parametrize("compiled", [False, True])
def test_periods_inside_a_graph(block, compiled):
    """Statistics every second step, bases or inverses every third, both at step 0."""
    if compiled and block is EKFACBlock:
        pytest.skip("XLA's eigendecomposition on the CPU compiles for seconds")
    block = block(update_every=2, refresh_every=3)
    captures = [make_capture(seed=seed) for seed in range(7)]
    state = make_state(block, captures[0].layout)
    basis = "input_basis" if isinstance(block, EKFACBlock) else "input_inverse"

    @tf.function(jit_compile=compiled)
    def update(x, g, step):
        cap = dense_capture(x, g)
        block.observe(state, cap, cap.weighted(cap.c), step)

    changed = []
    for step, cap in enumerate(captures):
        before = [state["input_factor"].numpy(), state[basis].numpy()]
        update(cap.plain_inputs[:, 0], cap.g[:, 0], tf.constant(step, tf.int64))
        after = [state["input_factor"].numpy(), state[basis].numpy()]
        changed.append([np.any(x != y) for x, y in zip(before, after, strict=True)])
    assert [c[0] for c in changed] == [True, False] * 3 + [True]
    assert [c[1] for c in changed] == [True, False, False] * 2 + [True]
    assert state["updates"].numpy() == 4


@pytest.mark.parametrize("block, decay", [(KFACBlock, 0.37), (EKFACBlock, 0.38)])
def test_players_of_equal_shape_share_a_graph_and_nothing_else(block, decay, monkeypatch):
    traced, plain = [], statistics.past_weight
    monkeypatch.setattr(statistics, "past_weight", lambda *x: traced.append(x) or plain(*x))
    block = block(decay=decay)  # no other test's, so that nothing is traced yet
    captures = [make_capture(seed=seed) for seed in range(3)]
    states = [make_state(block, cap.layout) for cap in captures]
    players = [(s, c, c.weighted(c.c), None) for s, c in zip(states, captures, strict=True)]
    tf.function(lambda: [block.observe_all(players, tf.constant(0)), tf.constant(0)][1])()
    assert len(traced) == 1
    for state, cap in zip(states, captures, strict=True):
        alone, _ = fitted(block, cap)
        for name, variable in state.items():
            np.testing.assert_allclose(variable, alone[name], atol=1e-12, err_msg=name)


def test_running_average_starts_as_the_plain_mean():
    variable = tf.Variable(0.0, dtype=tf.float64)
    for k, value in enumerate([3.0, 5.0, 10.0]):
        average(variable, tf.constant(value, tf.float64), tf.constant(float(k)), 0.6)
    np.testing.assert_allclose(variable.numpy(), 0.6 * 4.0 + 0.4 * 10.0, rtol=1e-6)


def test_pi_split_keeps_the_product_and_balances_the_traces():
    A, C = tf.constant(np.diag([4.0, 8.0])), tf.constant(np.diag([1.0, 2.0, 3.0]))
    of_A, of_C = split(A, C, tf.constant(0.01, tf.float64))
    np.testing.assert_allclose(of_A * of_C, 0.01, rtol=1e-12)
    np.testing.assert_allclose(of_A / of_C, (12 / 2) / (6 / 3), rtol=1e-12)
    of_A, of_C = split(0 * A, C, tf.constant(0.01, tf.float64))
    assert np.isfinite([of_A, of_C]).all()


@pytest.mark.parametrize("size", [3, 4, 7, 16, 29])
def test_inverse_by_blocks(size, monkeypatch):
    monkeypatch.setattr(blocks, "WHOLE_UP_TO", 3)
    X = np.random.default_rng(size).standard_normal((size, 2 * size))
    A = X @ X.T + np.eye(size)
    found = blocks.inverse(tf.constant(A)).numpy()
    np.testing.assert_allclose(found, np.linalg.inv(A), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found, found.T, rtol=0, atol=1e-15)


def test_inverse_by_blocks_keeps_the_accuracy_of_triangular_solves():
    """A wide factor in single precision, of condition number 1e5."""
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((400, 400)))[0]
    A = ((Q * np.geomspace(1e-3, 1e2, 400)) @ Q.T).astype("float32")
    exact = np.linalg.inv(A.astype("float64"))
    solved = tf.linalg.cholesky_solve(tf.linalg.cholesky(A), tf.eye(400))
    error, plain = (np.linalg.norm(X - exact) for X in (blocks.inverse(tf.constant(A)), solved))
    assert error < 4.0 * plain < 1e-2 * np.linalg.norm(exact)


def test_levenberg_marquardt():
    damping = tf.Variable(1.0)
    for ratio, factor in ((0.9, 0.95), (0.5, 1.0), (0.1, 1 / 0.95), (float("nan"), 1 / 0.95)):
        before = float(damping)
        levenberg_marquardt(damping, ratio)
        np.testing.assert_allclose(float(damping), before * factor, rtol=1e-6)
    cap = make_capture()
    for block in (KFACBlock(adaptive_damping=True), KFACBlock()):
        state = make_state(block, cap.layout)
        block.adapt(state, 0.9)
        expected = 0.0095 if block.adaptive_damping else 0.01
        np.testing.assert_allclose(state["damping"].numpy(), expected)


@pytest.mark.parametrize("block", [KFACBlock(), EKFACBlock(), GaussNewton()])
def test_a_batch_that_is_not_finite_is_in_the_answer_and_stops_nothing(block):
    """The guard sees it there, and puts the statistics back."""
    cap, bad = make_capture(), make_capture()
    state = make_state(block, cap.layout)
    bad.g *= float("nan")
    block.observe(state, bad, cap.weighted(cap.c), 0)
    assert not np.isfinite(block.on(state, cap, 1).solve(cap.weighted(cap.c))[0]).any()


def test_refusals():
    with pytest.raises(ValueError, match="rank"):
        EKFACBlock(full_basis_up_to=10, rank=20)
    with pytest.raises(ValueError, match="at most 4096"):
        GaussNewton().state_spec(WeightLayout(((100, 50),), 50))


@pytest.mark.parametrize("columns", [6, 3], ids=["whole", "truncated"])
@pytest.mark.parametrize("size", [1e-30, 1e30, 3e37, np.inf, np.nan, 0.0])
def test_a_basis_is_one_as_long_as_the_factor_of_an_exploding_run_is_finite(columns, size):
    rows = np.random.default_rng(2).normal(size=(9, 6)).astype(np.float32)
    with np.errstate(invalid="ignore"):
        A = tf.constant((rows.T @ rows / 40.0).astype(np.float32) * np.float32(size))
    start = tf.eye(6, columns)
    Q, values = eigenbasis(A, start, tf.constant(True))
    if not np.isfinite(size):
        assert np.isnan(Q).all()
        assert np.isnan(values).all()
        return
    np.testing.assert_allclose(tf.matmul(Q, Q, transpose_a=True), np.eye(columns), atol=1e-5)
    assert np.all(np.isfinite(values))
    largest = np.linalg.eigvalsh(rows.T @ rows / 40.0)[-1] * size
    rounding = 1e-4 if columns == 6 else 0.05  # two steps of subspace iteration
    np.testing.assert_allclose(np.max(values), largest, rtol=rounding)


@pytest.mark.parametrize("width", [4, 9])
def test_tensorflow_optimizes_the_graph_of_a_step(width, capfd):
    """Its own inference of shapes fails on some operations, with lines on the terminal."""
    inputs = keras.Input((6,))
    hidden = keras.layers.Dense(width, activation="relu")(inputs)
    model = dgn_tf.GameModel(inputs, keras.layers.Dense(3)(hidden))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(dgn_tf.KFAC(0.01), loss)
    model.train_on_batch(np.ones((8, 6), "float32"), np.zeros(8, "int32"))
    told = capfd.readouterr().err
    assert "tfg" not in told
    assert "optimization failure" not in told
