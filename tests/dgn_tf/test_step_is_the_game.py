"""A training step against the dense game of the same batch, by Jacobians, with M = I."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from captures import linearise

import dgn_tf
from dgn_tf.game.passes import SecondPass
from dgn_tf.recursion import dense
from dgn_tf.step.observe import flat_state, observe
from tests.seeds import set_seed
from tests.thin import thinned

LR = 0.7


def chain():
    inputs = keras.Input((3,))
    x1 = keras.layers.Dense(4, activation="tanh")(inputs)
    x2 = keras.layers.Add()([x1, keras.layers.Dense(4, activation="tanh")(x1)])
    return inputs, keras.layers.Dense(3)(x2)


def residual():
    inputs = keras.Input((3,))
    x1 = keras.layers.Dense(4, activation="tanh", name="D0")(inputs)
    h = keras.layers.Dense(4, activation="tanh", name="D1")(x1)
    both = [keras.layers.Dense(4, name="D2a")(h), keras.layers.Dense(4, name="D2b")(x1)]
    x3 = keras.layers.Activation("tanh")(keras.layers.Add()(both))
    return inputs, keras.layers.Dense(3, name="D3")(x3)


def inception():
    inputs = keras.Input((3,))
    x1 = keras.layers.Dense(3, activation="tanh")(inputs)
    branches = [keras.layers.Dense(2, activation="tanh")(x1) for _ in range(3)]
    return inputs, keras.layers.Dense(3)(keras.layers.Concatenate()(branches))


def block():
    """A convolutional block whose two players share input and output gradient."""
    inputs = keras.Input((3, 3, 1))
    x1 = keras.layers.Conv2D(2, 2, padding="same", activation="tanh")(inputs)
    both = [keras.layers.Conv2D(2, 2)(x1), keras.layers.Conv2D(2, 2, use_bias=False)(x1)]
    x2 = keras.layers.Activation("tanh")(keras.layers.Add()(both))
    return inputs, keras.layers.Dense(3)(keras.layers.Flatten()(x2))


NETWORKS = {
    "chain": (chain, "asap"),
    "residual, asap": (residual, "asap"),
    "residual, alap": (residual, "alap"),
    "inception": (inception, "asap"),
    "cooperative block": (block, "asap"),
}


def compiled(network, **settings):
    set_seed(3)
    make, alignment = NETWORKS[network]
    model = dgn_tf.GameModel(*make(), alignment=alignment)
    model.compile(
        dgn_tf.DGNOpt(LR, curvature="identity", guard=None, **settings),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=True,
    )
    return model


def batch(model, size):
    rng = np.random.default_rng(size)
    x = tf.constant(rng.normal(size=(size, *model.input_shape[1:])))
    return x, tf.constant(rng.integers(0, 3, size))


LINEARISED: dict = {}
WEIGHTS: dict = {}


def dense_step(network, model, x, y, form, absent_players="dummy"):
    """Algorithm 1 with dense gains, stage by stage on the updated state.

    The Jacobians do not depend on the structure, so models of equal weights share them.
    """
    optimizer = model.optimizer
    key = (network, len(x), optimizer.terminal, optimizer.weight_decay)
    if key not in LINEARISED:
        LINEARISED[key] = model.game, linearise(model, (x, y, None))
    game, found = LINEARISED[key]
    M = [[None if F is None else tf.eye(F.shape[1], dtype=F.dtype) for F in stage.F_n]
         for stage in found.stages]  # fmt: skip
    results = dense.solve(
        found.stages,
        found.phi_x,
        found.phi_xx,
        optimizer.information_structure,
        absent_players=absent_players,
        M=M,
        form=form,
        lr=LR,
    )
    second, pairs, expected = SecondPass(found.observation.first), [], {}
    start_weights = {id(v): w for v, w in zip(game.trainable, WEIGHTS[network], strict=True)}
    for stage, result in zip(game.stages, results, strict=True):
        change = tf.zeros([found.stages[stage.index].F_x.shape[1]], tf.float64)
        if stage.index:
            copies = found.observation.first.cuts[stage.index]
            moved = [second.values[key] - copy for key, copy in copies.items()]
            change = tf.reshape(flat_state(moved, len(x)), [-1])
        for player in stage.players:
            gain = result.players[player.slot]
            step = gain.k + tf.linalg.matvec(gain.K, change)
            start = 0
            for variable in player.variables:
                size = int(np.prod(variable.shape))
                part = tf.reshape(step[start : start + size], variable.shape)
                pairs.append((variable, start_weights[id(variable)] - part))
                expected[variable.path] = pairs[-1][1]
                start += size
        if stage.index + 1 < game.horizon:
            second.run_stage(stage, pairs)
    return [expected[variable.path] for variable in game.trainable]


def close(found, expected):
    """Equal to 1e-9 of the largest entry."""
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found / scale, expected / scale, rtol=0, atol=1e-9)


CASES = thinned(
    list(NETWORKS), ("feedback", "cooperative"), ("explicit", "proximal"), ("rank_one", "exact")
)


@pytest.mark.parametrize(("network", "structure", "form", "terminal"), CASES)
def test_a_step_in_sample_space_is_the_dense_step(network, structure, form, terminal, float64):
    decay = 0.05 if terminal == "exact" else 0.0
    model = compiled(
        network,
        information_structure=structure,
        form=form,
        terminal=terminal,
        weight_decay=decay,
    )
    weights = WEIGHTS.setdefault(network, model.get_weights())
    for size in (1, 3, 5):
        model.set_weights(weights)
        x, y = batch(model, size)
        expected = dense_step(network, model, x, y, form)
        model.train_on_batch(x, y)
        for variable, value in zip(model.trainable_variables, expected, strict=True):
            close(variable.numpy(), value)


@pytest.mark.parametrize(
    "settings",
    [
        {"form": "feedback_only"},
        {"form": "coupled"},
        {"information_structure": "feedback", "absent_players": "duplicated"},
        {"terminal": 2},
        {"terminal": "gauss_newton"},
    ],
    ids=str,
)
def test_the_other_settings_are_dense_steps_too(settings, float64):
    model = compiled("residual, alap", **settings)
    x, y = batch(model, 3)
    WEIGHTS.setdefault("residual, alap", model.get_weights())
    form = settings.get("form", "proximal")
    absent = settings.get("absent_players", "dummy")
    expected = dense_step("residual, alap", model, x, y, form, absent)
    model.train_on_batch(x, y)
    for variable, value in zip(model.trainable_variables, expected, strict=True):
        close(variable.numpy(), value)


def test_tangents_made_where_they_are_needed_give_the_dense_step_too(monkeypatch, float64):
    monkeypatch.setattr("dgn_tf.game.capture.KEPT_TANGENTS", 0)
    model = compiled("cooperative block")
    model.run_eagerly = False
    x, y = batch(model, 3)
    expected = dense_step("cooperative block", model, x, y, "proximal")
    model.train_on_batch(x, y)
    for variable, value in zip(model.trainable_variables, expected, strict=True):
        close(variable.numpy(), value)


def test_proposition_2_the_hamiltonians_gradient_is_the_losss(float64):
    """p_T = φ_x, p_t = F_x'p_{t+1}, H_θ = F_n'p_{t+1}: against a complex step of the loss."""
    model = compiled("residual, alap")
    x, y = batch(model, 3)
    found = linearise(model, (x, y, None))
    weights = [w.astype("complex128") for w in model.get_weights()]
    order = [variable.path for variable in model.weights]

    def loss(values):
        w = dict(zip(order, values, strict=True))
        h0 = np.tanh(x.numpy() @ w["D0/kernel"] + w["D0/bias"])
        h1 = np.tanh(h0 @ w["D1/kernel"] + w["D1/bias"])
        both = h1 @ w["D2a/kernel"] + w["D2a/bias"] + h0 @ w["D2b/kernel"] + w["D2b/bias"]
        logits = np.tanh(both) @ w["D3/kernel"] + w["D3/bias"]
        picked = logits[np.arange(3), y.numpy()]
        return np.mean(np.log(np.exp(logits).sum(1)) - picked)

    costate = found.phi_x
    for stage, dense_stage in zip(model.game.stages[::-1], found.stages[::-1], strict=True):
        for player in stage.players:
            H = tf.linalg.matvec(dense_stage.F_n[player.slot], costate, transpose_a=True).numpy()
            slopes = []
            for variable in player.variables:
                i = order.index(variable.path)
                for index in np.ndindex(weights[i].shape):
                    moved = [w.copy() for w in weights]
                    moved[i][index] += 1e-30j
                    slopes.append(loss(moved).imag / 1e-30)
            np.testing.assert_allclose(H, slopes, rtol=0, atol=1e-14)
        costate = tf.linalg.matvec(dense_stage.F_x, costate, transpose_a=True)


def test_cut_gradients_exclude_paths_through_earlier_stages(float64):
    """D_t against central differences of the loss in one tensor of the cut, the others held."""
    model = compiled("residual, alap")
    x, y = batch(model, 2)
    seen = observe(model, "rank_one", (x, y, None), captures=True, feedback=True)
    stage = model.game.stages[2]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")

    def rest(values):
        second = SecondPass(seen.first)
        second.values.update(values)
        for later in model.game.stages[2:]:
            second.run_stage(later, [])
        return loss(y, second.values[model.game.graph.outputs[0]])

    cut = {key: copy.numpy() for key, copy in seen.first.cuts[2].items()}
    for key in stage.cut:
        for index in np.ndindex(cut[key].shape):
            sides = []
            for sign in (1.0, -1.0):
                values = {k: v.copy() for k, v in cut.items()}
                values[key][index] += sign * 1e-5
                sides.append(rest({k: tf.constant(v) for k, v in values.items()}))
            slope = float(sides[0] - sides[1]) / 2e-5
            np.testing.assert_allclose(seen.costates[2][key][:, 0][index], slope, atol=1e-8)
