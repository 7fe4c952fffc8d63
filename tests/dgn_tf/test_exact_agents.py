"""Exact curvature with fictitious agents and clipping, and ℓ_uu in every block's gain."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from captures import joint_matrix, linearise
from test_exact_cases import res_late

import dgn_tf
from dgn_tf.recursion import dense, khatri_rao
from dgn_tf.step.observe import observe
from tests.seeds import set_seed

SPARSE = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def batch(size=3):
    rng = np.random.default_rng(1)
    return tf.constant(rng.normal(size=(size, 3))), tf.constant(rng.integers(0, 3, size))


def compiled(net, structure, curvature, agents=1, form=None, **settings):
    set_seed(3)
    model = dgn_tf.GameModel(*net(), alignment="alap", agents=agents, agents_form=form)
    loss = settings.pop("loss", SPARSE)
    optimizer = dgn_tf.DGNOpt(0.5, structure, curvature, guard=None, **settings)
    model.compile(optimizer, loss, run_eagerly=True)
    return model


def close(found, expected, tolerance=1e-9):
    expected = np.asarray(expected)
    np.testing.assert_allclose(
        found, expected, rtol=0, atol=tolerance * max(np.abs(expected).max(), 1e-12)
    )


@pytest.mark.parametrize("structure", ["open_loop", "open_loop_cooperative", "feedback",
                                       "cooperative"])  # fmt: skip
@pytest.mark.parametrize("form", [None, "coupled"])
def test_agents_are_players_of_the_dense_game(structure, form, float64):
    """N agents of each player as N players with its Jacobian; the sum of their gains is applied."""
    N, settings = 3, {"weight_decay": 0.05, "terminal": "exact"}
    one = compiled(res_late, structure, "exact", **settings)
    many = compiled(res_late, structure, "exact", N, form, **settings)
    found = linearise(one, (*batch(), None))
    copied = [
        dense.DenseStage(
            stage.F_x,
            [F for F in stage.F_n for _ in range(N)],
            [u for u in stage.l_u for _ in range(N)],
            [u for u in stage.l_uu for _ in range(N)],
        )
        for stage in found.stages
    ]
    results = dense.solve(copied, found.phi_x, found.phi_xx, structure)
    solution = many.solve(*batch())
    for t, stage in enumerate(many.game.stages):
        for player in stage.players:
            own = [results[t].players[player.slot * N + i] for i in range(N)]
            close(solution[t][player.slot].k, sum(g.k for g in own))
            close(solution[t][player.slot].K, sum(g.K for g in own))


def test_the_global_norm_is_that_of_all_weights(float64):
    """Bystanders too: with the limit far below it, the norm of the whole step is lr · limit."""

    def net():
        inputs = keras.Input((3,))
        h = keras.layers.LayerNormalization()(keras.layers.Dense(4, activation="tanh")(inputs))
        return inputs, keras.layers.Dense(3)(h)

    for curvature in ("exact", "identity"):
        model = compiled(net, "feedback", curvature, global_clipnorm=1e-3, state_feedback=False)
        before = model.get_weights()
        model.train_on_batch(*batch())
        moved = [a - b for a, b in zip(before, model.get_weights(), strict=True)]
        np.testing.assert_allclose(np.sqrt(sum((m**2).sum() for m in moved)), 0.5e-3, rtol=1e-9)


def narrow():
    """Weights in one column per layer: M² has rank one, and the kernel of a diagonal M is exact."""
    inputs = keras.Input((3,))
    h = keras.layers.Dense(1, activation="tanh", name="a")(inputs)
    return inputs, keras.layers.Dense(1, name="b")(h)


@pytest.mark.parametrize("curvature", ["identity", "rmsprop", "adam", "diagonal", "gauss_newton"])
@pytest.mark.parametrize("structure", ["feedback", "cooperative"])
def test_the_running_costs_second_derivative_is_in_every_blocks_gain(structure, curvature, float64):
    """Q_uu = M / lr + ℓ_uu + F'V_xx F of the proximal form, against the dense game."""
    x, y = batch()
    model = compiled(narrow, structure, curvature, weight_decay=0.4, loss="mse")
    exact = compiled(narrow, structure, "exact", weight_decay=0.4, loss="mse")
    exact.set_weights(model.get_weights())
    data = (x, tf.cast(y[:, None], "float64"), None)
    found = linearise(exact, data)
    start = model.get_weights()
    model.train_on_batch(*data[:2])
    optimizer, step = model.optimizer, 0
    M = [
        [optimizer.curvature.to_dense(optimizer.states.players[p.name], p.layout, step)]
        for p in model.game.players
    ]
    results = dense.solve(
        found.stages, found.phi_x, found.phi_xx, structure, M=M, form="proximal", lr=0.5
    )
    first = results[0].players[0].k
    moved = np.concatenate([(a - b).ravel() for a, b in zip(start, model.get_weights(),
                                                            strict=True)])  # fmt: skip
    close(moved[:4], first)
    hidden = np.tanh(x @ start[0] + start[1])
    after = np.tanh(x @ (start[0] - moved[:3, None]) + (start[1] - moved[3:4]))
    gain = results[1].players[0]
    close(moved[4:], gain.k + tf.linalg.matvec(gain.K, (after - hidden).ravel()))


@pytest.mark.parametrize(
    ("form", "solver"),
    [("explicit", "khatri_rao"), ("coupled", "khatri_rao"), ("coupled", "prop5")],
)
def test_joint_solvers_refuse_forms_with_another_q_uu(form, solver):
    with pytest.raises(ValueError, match="brings its own Q_uu"):
        dgn_tf.DGNOpt(curvature="kfac", form=form, solver=solver)


@pytest.mark.parametrize("form", ["proximal", "feedback_only"])
def test_a_joint_solver_looks_at_the_value_function_ahead(form, float64):
    """Of three stages: V_x there by the dense game, H by the factors of the stage's players."""

    def net():
        inputs = keras.Input((3,))
        x1 = keras.layers.Dense(2, activation="tanh", name="first")(inputs)
        both = [keras.layers.Dense(2, name=n, activation="tanh")(x1) for n in ("left", "right")]
        return inputs, keras.layers.Dense(3, name="last")(keras.layers.Concatenate()(both))

    block = dgn_tf.curvature.KFACBlock(damping=0.2, decay=0.0, refresh_every=1)
    model = compiled(
        net, "cooperative", block, form=form, solver="khatri_rao", khatri_rao_iterations=60
    )
    exact = compiled(net, "cooperative", "exact")
    exact.set_weights(model.get_weights())
    data = (*batch(1), None)
    found, seen = linearise(exact, data), observe(model, "rank_one", data, captures=True)
    solution = model.solve(*batch(1))
    last = found.stages[2]
    model.optimizer.iterations.assign(0)
    captures = {p.name: seen.captures[p.name] for p in model.game.players}
    name = model.game.stages[2].players[0].name
    state = {
        key: tf.Variable(np.eye(*s) if i == "identity" else np.full(s, 0.0 if i == "zeros" else i))
        for key, (s, i) in block.state_spec(captures[name].layout).items()
    }
    block.observe(state, captures[name], captures[name].weighted(captures[name].c), 0)
    M = block.to_dense(state, captures[name].layout, 1)
    F, phi_xx = last.F_n[0], found.phi_xx
    V_x = tf.linalg.matvec(last.F_x, found.phi_x, transpose_a=True)
    if form == "proximal":
        Q_uu = M / 0.5 + tf.transpose(F) @ phi_xx @ F
        k = tf.linalg.solve(Q_uu, tf.linalg.matvec(F, found.phi_x, transpose_a=True)[:, None])
        V_x -= (tf.transpose(last.F_x) @ phi_xx @ F @ k)[:, 0]
    pair = [captures[p.name] for p in model.game.stages[1].players]
    right = [
        tf.reshape(tf.linalg.matvec(F_n, V_x, transpose_a=True), cap.layout.shape)
        for F_n, cap in zip(found.stages[1].F_n, pair, strict=True)
    ]
    H = joint_matrix(khatri_rao.joint_factors(pair, 0.2))
    stacked = tf.concat([tf.reshape(y, [-1]) for y in right], 0)
    k = 0.5 * tf.linalg.solve(H, stacked[:, None])[:, 0]
    close(tf.concat([solution[1][n].k for n in (0, 1)], 0), k)


@pytest.mark.parametrize("structure", ["feedback", "cooperative"])
def test_integer_inputs_are_no_state_and_the_game_is_that_of_floats(structure, float64):
    def net(dtype):
        inputs = keras.Input((3,), dtype=dtype)
        return inputs, keras.layers.Dense(3)(keras.layers.Dense(4, activation="tanh")(inputs))

    x, y = np.random.default_rng(0).integers(0, 3, (3, 3)), batch()[1]
    after = []
    for dtype in ("int32", "float64"):
        model = compiled(lambda dtype=dtype: net(dtype), structure, "exact", weight_decay=0.05)
        model.train_on_batch(x.astype(dtype), y)
        after.append(np.concatenate([weight.ravel() for weight in model.get_weights()]))
    close(*after)


@pytest.mark.parametrize("terminal", ["exact", "rank_one", 2])
def test_gauss_newton_stands_where_a_loss_has_a_slope_and_no_curvature(terminal, float64):
    """Huber's linear part, of one entry or of all, by φ_xx in closed form; the quadratic part is
    as it was."""
    model = compiled(res_late, "feedback", "exact", loss="huber", terminal=terminal)
    x = batch()[0]
    y = model(x).numpy()
    labels = y - [[0.3, -0.2, 0.1], [3.0, 4.0, -5.0], [0.2, 0.4, 7.0]]
    found = linearise(model, (x, tf.constant(labels), None))
    slope = np.clip(y - labels, -1.0, 1.0) / 3.0
    size, bend = (slope**2).sum(1), np.diag([1.0, 1.0, 0.0]) / 3.0
    outer = slope[:, :, None] * slope[:, None, :]
    expected = [np.eye(3) / 3.0, outer[1], bend + size[2] * np.diag([0.0, 0.0, 1.0])]
    if terminal == "rank_one":
        match = size[0] / 3.0, slope[2] @ bend @ slope[2]
        expected = [
            match[0] / size[0] ** 2 * outer[0],
            outer[1],
            match[1] / size[2] ** 2 * outer[2],
        ]
    blocks = tf.reshape(found.phi_xx, (3, 3, 3, 3)).numpy() * 3.0
    # Of three equal eigenvectors two are no two in particular.
    for b in range(int(terminal == 2), 3):
        close(blocks[b, :, b], expected[b])


def test_exact_curvature_goes_downhill_where_a_loss_bends_down(float64):
    model = compiled(res_late, "cooperative", "exact", loss="cosine_similarity", terminal="exact")
    model.run_eagerly = False
    x = batch(16)[0]
    y = tf.constant(np.random.default_rng(2).normal(scale=5.0, size=(16, 3)))
    losses = []
    for _ in range(16):
        model.reset_metrics()
        losses.append(model.train_on_batch(x, y, return_dict=True)["loss"])
    assert losses[-1] < losses[0] - 0.1 * abs(losses[0])
    assert max(losses[1:]) < losses[0] + 0.1 * abs(losses[0])


def test_a_compiled_exact_step_takes_batches_of_any_size(float64):
    """Its weights after two batches are those of the eager steps."""
    found = []
    for eager in (True, False):
        model = compiled(res_late, "cooperative", "exact", weight_decay=0.1)
        model.run_eagerly = eager
        for size in (3, 5, 2):
            model.train_on_batch(*batch(size))
        found.append(np.concatenate([v.numpy().ravel() for v in model.trainable_variables]))
    close(found[1], found[0])
