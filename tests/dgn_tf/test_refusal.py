"""A step that the guard refuses leaves no trace, and the error names the layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dgn_tf
from dgn_tf.curvature import Diagonal
from tests.seeds import set_seed

SPARSE = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(12, 5)).astype("float32"), rng.integers(0, 3, 12)


def network(middle=None):
    set_seed(2)
    inputs = keras.Input((5,))
    h = keras.layers.Dense(4, name="D0")(inputs)
    h = h if middle is None else middle(h)
    h = keras.layers.BatchNormalization(name="norm")(h)
    h = keras.layers.Dropout(0.3, seed=1)(keras.layers.ReLU()(h))
    return inputs, keras.layers.Dense(3, name="D1")(h)


def compiled(optimizer, net=None, **kwargs):
    model = dgn_tf.GameModel(*(net or network()))
    model.compile(optimizer, SPARSE, metrics=["accuracy"], **kwargs)
    return model


def state(model):
    """All that a step moves, but the counts of the guard and the metrics, which Keras resets."""
    optimizer = model.optimizer
    left = [optimizer.guard_rejections, optimizer.guard_streak, *model.metrics_variables]
    kept = [*model.variables, *optimizer.variables]
    return [(v.path, v.numpy()) for v in kept if not any(v is other for other in left)]


def assert_no_trace(before, after):
    assert len(before) == len(after)
    for (name, value), (_, found) in zip(before, after, strict=True):
        np.testing.assert_array_equal(found, value, err_msg=name)


SETTINGS = {
    "open loop adam": ("open_loop", "adam"),
    "open loop diagonal": ("open_loop", Diagonal()),
    "open loop ekfac": ("open_loop", "ekfac"),
    "cooperative kfac": ("cooperative", "kfac"),
    "cooperative adam": ("cooperative", "adam"),
    "feedback gauss_newton": ("feedback", "gauss_newton"),
    "cooperative exact": ("cooperative", "exact"),
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("kind", ["not finite", "too large"])
def test_a_refused_step_leaves_no_trace(name, kind):
    structure, curvature = SETTINGS[name]
    guard = dgn_tf.StepGuard(retries=1) if kind == "not finite" else {"largest": 1e-9}
    optimizer = dgn_tf.DGNOpt(0.01, structure, curvature, weight_decay=0.1, guard=guard)
    model = compiled(optimizer, run_eagerly=True)
    if kind == "not finite":
        model.train_on_batch(X, Y)
    before, bad = state(model), X.copy()
    bad[0, 0] = np.nan
    found = model.train_on_batch(bad if kind == "not finite" else X, Y, return_dict=True)
    assert found["skipped_steps"] == 1
    assert_no_trace(before, state(model))


@pytest.mark.parametrize("settings", [
    {"run_eagerly": False}, pytest.param({"jit_compile": True}, marks=pytest.mark.release),
], ids=str)  # fmt: skip
def test_nor_in_a_graph_or_under_xla(settings):
    """The steps after it are those of a run that never saw the batch."""
    runs = []
    for batches in ((X, np.full_like(X, np.nan), X), (X, X)):
        optimizer = dgn_tf.DGNOpt(0.01, "cooperative", "kfac", use_ema=True)
        model = compiled(optimizer, **settings)
        for x in batches:
            logs = model.train_on_batch(x, Y, return_dict=True)
        runs.append((state(model), logs["loss"], logs["accuracy"]))
    assert_no_trace(runs[1][0], runs[0][0])
    assert runs[0][1:] == runs[1][1:]


@pytest.mark.parametrize("structure", ["open_loop", "cooperative"])
def test_a_step_that_is_too_large_is_made_at_the_first_rate_that_is_not(structure):
    def moved(rate, guard):
        model = compiled(dgn_tf.DGNOpt(rate, structure, "kfac", guard=guard), run_eagerly=True)
        before = np.concatenate([v.numpy().ravel() for v in model.trainable_variables])
        skipped = model.train_on_batch(X, Y, return_dict=True).get("skipped_steps", 0)
        after = np.concatenate([v.numpy().ravel() for v in model.trainable_variables])
        return after - before, skipped, np.sqrt(1.0 + before @ before)

    rate, shrink = 4.0, 0.5
    (first, _, scale), (second, _, _) = (moved(rate * shrink**k, None) for k in (1, 2))
    largest = np.sqrt(np.linalg.norm(first) * np.linalg.norm(second)) / scale
    for retries, steps in ((2, second), (1, 0.0 * second)):
        guard = dgn_tf.StepGuard(largest=largest, retries=retries, shrink=shrink)
        found, skipped, _ = moved(rate, guard)
        np.testing.assert_allclose(found, steps, atol=1e-6)
        assert skipped == (retries == 1)


def test_the_mean_of_an_epoch_leaves_out_a_refused_batch():
    found = []
    for x in (X, np.concatenate([X, np.full_like(X, np.nan)])):
        model = compiled(dgn_tf.DGNOpt(0.01, "open_loop", "identity"), run_eagerly=True)
        y = np.resize(Y, len(x))
        history = model.fit(x, y, batch_size=12, shuffle=False, verbose=0).history
        found.append((history["loss"], history["accuracy"]))
    assert found[0] == found[1]


@pytest.mark.parametrize("name", ["open loop adam", "cooperative kfac"])
def test_a_batch_without_samples_is_no_step(name):
    """It counts nowhere, and in a row of refused steps it neither ends the row nor is one."""
    guard = dgn_tf.StepGuard(retries=0, patience=2)
    model = compiled(dgn_tf.DGNOpt(0.01, *SETTINGS[name], guard=guard))
    model.train_on_batch(X, Y)
    before = state(model)
    for x, skipped in ((X[:0], 0), (np.full_like(X, np.nan), 1), (X[:0], 1)):
        logs = model.train_on_batch(x, Y[: len(x)], return_dict=True)
        assert logs["skipped_steps"] == skipped
    assert_no_trace(before, state(model))
    with pytest.raises(tf.errors.InvalidArgumentError, match="2 steps in a row"):
        model.train_on_batch(np.full_like(X, np.nan), Y)


def test_nor_where_its_gradient_is_zero():
    """Momentum and weight decay would move the weights."""
    inputs = keras.Input((5,))
    model = dgn_tf.GameModel(inputs, keras.layers.Dense(3)(inputs))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
    model.compile(dgn_tf.DGNOpt(0.01, "open_loop", "adam", weight_decay=0.1), loss)
    model.train_on_batch(X, Y)
    before = state(model)
    assert model.train_on_batch(X[:0], Y[:0], return_dict=True)["skipped_steps"] == 0
    assert_no_trace(before, state(model))


def test_a_refused_step_takes_back_what_the_forward_pass_did_to_trained_weights():
    middle = keras.layers.SpectralNormalization(keras.layers.Dense(4))
    model = compiled(dgn_tf.DGNOpt(0.01, "open_loop", "adam"), network(middle))
    before = state(model)
    assert model.train_on_batch(np.full_like(X, np.nan), Y, return_dict=True)["skipped_steps"] == 1
    assert_no_trace(before, state(model))


@pytest.mark.parametrize(("curvature", "eagerly"), [("exact", 0), ("exact", 1), ("kfac", 1)])
def test_nor_is_it_a_game(curvature, eagerly):
    """With exact curvature, and where a step runs eagerly."""
    model = compiled(dgn_tf.DGNOpt(0.01, curvature=curvature), run_eagerly=bool(eagerly))
    model.train_on_batch(X, Y)
    kind = ValueError if eagerly else tf.errors.InvalidArgumentError  # of a graph that runs
    with pytest.raises(kind, match=r"needs samples.*an empty batch.*Drop it from the data"):
        model.train_on_batch(X[:0], Y[:0])


@pytest.mark.parametrize("name", ["open loop adam", "cooperative kfac"])
def test_training_does_not_begin_with_a_batch_without_samples(name):
    model = compiled(dgn_tf.DGNOpt(0.01, *SETTINGS[name]))
    with pytest.raises(ValueError, match=r"needs samples.*an empty batch.*Drop it from the data"):
        model.train_on_batch(X[:0], Y[:0])
    assert np.isfinite(model.train_on_batch(X, Y)[0])


def test_the_loss_of_a_first_step_that_is_refused_is_its_own():
    found = []
    for guard in (dgn_tf.StepGuard(largest=1e-9, retries=0), None):
        model = compiled(dgn_tf.DGNOpt(0.01, "open_loop", "identity", guard=guard))
        found.append(model.train_on_batch(X, Y, return_dict=True))
    assert found[0]["skipped_steps"] == 1
    assert found[0]["loss"] == found[1]["loss"] > 0.0


def test_a_gradient_that_is_not_finite_beside_a_finite_loss():
    @keras.saving.register_keras_serializable("tests")
    class Root(keras.layers.Layer):
        def call(self, x):
            return keras.ops.sqrt(keras.ops.abs(x))

    middle = Root(name="root")
    guard = dgn_tf.StepGuard(retries=0, patience=2)
    model = compiled(dgn_tf.DGNOpt(0.01, "open_loop", "rmsprop", guard=guard), network(middle))
    model.train_on_batch(X, Y)
    before = state(model)
    bad = X.copy()
    model.get_layer("D0").bias.assign(tf.zeros(4))
    before = state(model)
    bad[3] = 0.0  # the root of zero has no slope
    found = model.train_on_batch(bad, Y, return_dict=True)
    assert np.isfinite(found["loss"])
    assert found["skipped_steps"] == 1
    assert_no_trace(before, state(model))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"gradient through stage 0.*'root'"):
        model.train_on_batch(bad, Y)


class Poison(keras.layers.Layer):
    def call(self, x):
        return x / keras.ops.zeros_like(x) * 0.0


def test_newton_steps_without_a_bound_say_what_bounds_them():
    """A regulariser's own second derivative, and a loss with a gradient and next to no curvature,
    as that of a label whose probability is 2e-9."""
    guard = dgn_tf.StepGuard(retries=0, patience=1)
    found = []
    for settings in ({}, {"weight_decay": 0.1}, {"terminal": "gauss_newton"}):
        set_seed(2)
        inputs = keras.Input((5,))
        sure = keras.initializers.Constant([20.0, 0.0, 0.0])
        head = keras.layers.Dense(3, bias_initializer=sure)
        model = dgn_tf.GameModel(inputs, head(keras.layers.Dense(4)(inputs)))
        optimizer = dgn_tf.DGNOpt(0.01, "feedback", "exact", guard=guard, **settings)
        model.compile(optimizer, SPARSE, run_eagerly=True)
        try:
            logs = model.train_on_batch(0.1 * X, np.maximum(Y, 1), return_dict=True)
            found.append(logs["skipped_steps"])
        except tf.errors.InvalidArgumentError as error:
            found.append(str(error))
    assert 'weight_decay, which is ℓ_uu; terminal="gauss_newton"' in found[0]
    assert found[1:] == [0, 0]
    heads = [{"kernel_regularizer": "l2"}, {"activity_regularizer": "l2"}]
    for head in heads:
        inputs = keras.Input((5,))
        model = dgn_tf.GameModel(inputs, keras.layers.Dense(3, name="head", **head)(inputs))
        model.compile(dgn_tf.DGNOpt(0.1, "feedback", "exact"), "mse", run_eagerly=True)
        with pytest.raises(ValueError, match=r"\['head'\]. Use `weight_decay`"):
            model.train_on_batch(X, np.eye(3)[Y])


@pytest.mark.parametrize("eager", [True, False])
def test_the_error_names_the_layer_player_or_not(eager):
    guard = dgn_tf.StepGuard(retries=0, patience=1)
    poisoned, plain = (
        compiled(dgn_tf.DGNOpt(0.01, curvature="identity", guard=guard), net, run_eagerly=eager)
        for net in (network(Poison(name="poison")), network())
    )
    sound = plain.get_weights()
    norm, last = plain.get_layer("norm").gamma, plain.get_layer("D1").bias
    names = {
        "layer 'poison'": (poisoned, None, X),
        "layer 'norm'": (plain, (norm, np.full(4, np.nan)), X),
        r"inputs of the batch.*stage 0, player 'D0'": (plain, None, np.full_like(X, np.inf)),
        r"stage 1, player 'D1' \(slot 0\)": (plain, (last, np.full(3, np.inf)), X),
    }
    for name, (model, fault, x) in names.items():
        plain.set_weights(sound)
        if fault is not None:
            fault[0].assign(fault[1])
        with pytest.raises(tf.errors.InvalidArgumentError, match=name + "[^$]*scaled to about one"):
            model.train_on_batch(x, Y)
