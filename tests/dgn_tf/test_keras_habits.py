"""What Keras users rely on, in a `GameModel`; and bad input, each a clear error."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

import dgn_tf
from dgn_tf.game import checks
from dgn_tf.game.passes import SecondPass
from dgn_tf.step.observe import observe
from tests.seeds import set_seed


def data(size=37, classes=3):
    rng = np.random.default_rng(0)
    return rng.normal(size=(size, 5)).astype("float32"), rng.integers(0, classes, size)


def network(dropout=0.0, normal=False, **head):
    set_seed(2)
    inputs = keras.Input((5,))
    h = keras.layers.Dense(4, activation="relu", name="a")(inputs)
    h = keras.layers.BatchNormalization(momentum=0.9, name="n")(h) if normal else h
    h = keras.layers.Dropout(dropout, seed=1, name="drop")(h) if dropout else h
    h = keras.layers.Add()([h, keras.layers.Dense(4, activation="tanh", name="b")(h)])
    return inputs, keras.layers.Dense(3, name="c", **head)(h)


def crossentropy(from_logits=True):
    return keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)


def compiled(optimizer=None, loss=None, net=None, **kwargs):
    """Run eagerly unless asked otherwise: tracing is what takes time here."""
    model = dgn_tf.GameModel(*(net or network()))
    kwargs.setdefault("run_eagerly", not kwargs.get("jit_compile", False))
    model.compile(optimizer or dgn_tf.DGNOpt(0.1, curvature="identity"), loss or crossentropy(),
                  **kwargs)  # fmt: skip
    return model


def after(model, steps=2, size=12, **kwargs):
    x, y = data(size)
    for _ in range(steps):
        model.train_on_batch(x, y, **kwargs)
    return model.get_weights()


def same(first, second, atol=1e-6):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=atol)


def test_the_shown_defaults():
    optimizer = dgn_tf.DGNOpt()
    config = optimizer.get_config()
    assert config["learning_rate"] == pytest.approx(0.03)
    assert (optimizer.information_structure, optimizer.form) == ("cooperative", "proximal")
    assert (optimizer.terminal, optimizer.solver) == ("rank_one", "sample_space")
    assert (optimizer.absent_players, optimizer.weight_decay) == ("dummy", 0.0)
    block = optimizer.curvature
    assert (type(block), block.damping, block.refresh_every) == (
        dgn_tf.curvature.EKFACBlock,
        0.01,
        10,
    )


def test_eager_graph_and_xla_agree():
    results = []
    for run in ({"run_eagerly": True}, {"run_eagerly": False}, {"jit_compile": True}):
        curvature = dgn_tf.curvature.KFACBlock(update_every=2, refresh_every=2)
        optimizer = dgn_tf.DGNOpt(0.02, curvature=curvature, weight_decay=0.01)
        model = compiled(optimizer, net=network(normal=True), **run)
        results.append(after(model, 3))
    same(results[0], results[1], 2e-5)
    same(results[0], results[2], 2e-5)


@pytest.mark.parametrize("metrics", [["accuracy"], [keras.metrics.SparseCategoricalAccuracy()]])
def test_a_step_is_traced_once_and_its_metrics_are_those_of_keras(metrics, monkeypatch):
    x, y = data(16)
    seen = []
    whole = dgn_tf.GameModel.train_step
    monkeypatch.setattr(
        dgn_tf.GameModel, "train_step", lambda self, batch: seen.append(1) or whole(self, batch)
    )
    model = compiled(metrics=metrics, run_eagerly=False)
    for _ in range(2):
        expected = (model.predict(x, verbose=0).argmax(-1) == y).mean()
        assert model.train_on_batch(x, y)[1] == pytest.approx(expected)
    assert len(seen) == 1


def test_fit_with_validation_callbacks_and_a_smaller_last_batch(tmp_path):
    x, y = data()
    model = compiled(metrics=["accuracy"], run_eagerly=False)
    history = model.fit(
        x, y, batch_size=16, epochs=3, verbose=0, validation_split=0.2, shuffle=False,
        callbacks=[
            keras.callbacks.ReduceLROnPlateau(patience=1),
            keras.callbacks.EarlyStopping(patience=50),
            keras.callbacks.CSVLogger(tmp_path / "log.csv"),
            keras.callbacks.ModelCheckpoint(tmp_path / "best.keras"),
            keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (1 + epoch)),
            keras.callbacks.TerminateOnNaN(),
        ],
    ).history  # fmt: skip
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "skipped_steps"} <= set(history)
    assert history["loss"][-1] < history["loss"][0]
    assert isinstance(keras.saving.load_model(tmp_path / "best.keras"), dgn_tf.GameModel)


def test_a_sample_of_weight_zero_does_not_exist():
    """With reduction by the sum the batch size plays no part in the gradient, only in 1/B."""
    x, y = data(6)
    loss = keras.losses.SparseCategoricalCrossentropy(True, reduction="mean_with_sample_weight")
    for curvature in ("identity", "kfac"):
        results = []
        for drop in (False, True):
            model = compiled(dgn_tf.DGNOpt(0.5, curvature=curvature), loss)
            if drop:
                model.train_on_batch(x[:4], y[:4], sample_weight=np.ones(4))
            else:
                weight = np.array([1.0, 1, 1, 1, 0, 0])
                model.train_on_batch(x, y, sample_weight=weight)
            results.append(model.get_weights())
        if curvature == "identity":
            same(*results)
        else:
            assert all(np.isfinite(w).all() for w in results[0])


def test_integer_weights_are_copies_of_samples():
    x, y = data(4)
    loss = keras.losses.SparseCategoricalCrossentropy(True, reduction="mean_with_sample_weight")
    weighted, copied = compiled(loss=loss), compiled(loss=loss)
    weighted.train_on_batch(x, y, sample_weight=np.array([2.0, 1.0, 1.0, 1.0]))
    order = [0, 0, 1, 2, 3]
    copied.train_on_batch(x[order], y[order], sample_weight=np.ones(5))
    same(weighted.get_weights(), copied.get_weights())


@pytest.mark.parametrize("family", ["softmax", "sigmoid"])
def test_a_final_activation_is_the_loss_from_logits(family):
    x, y = data(12)
    results = []
    for from_logits in (True, False):
        activation = None if from_logits else family
        net = network(activation=activation)
        if family == "softmax":
            loss, labels = crossentropy(from_logits), y
        else:
            loss = keras.losses.BinaryCrossentropy(from_logits=from_logits, label_smoothing=0.1)
            labels = np.eye(3)[y].astype("float32")
        model = compiled(loss=loss, net=net)
        model.train_on_batch(x, labels)
        results.append(model.get_weights())
    same(*results)


def test_losses_without_a_family_use_their_own_hessian():
    """A hand-written cross-entropy takes the steps of Keras's."""

    def handwritten(y_true, y_pred):
        picked = tf.gather(y_pred, tf.cast(tf.reshape(y_true, [-1]), "int32"), batch_dims=1)
        return tf.reduce_logsumexp(y_pred, -1) - picked

    same(after(compiled()), after(compiled(loss=handwritten)))
    x, y = data(12)
    for loss in ("mse", "huber"):
        model = compiled(loss=loss)
        values = [model.train_on_batch(x, np.eye(3)[y]) for _ in range(5)]
        assert values[-1][0] < values[0][0]


def test_frozen_layers_do_not_move():
    inputs, outputs = network()
    plain = keras.Model(inputs, outputs)
    plain.get_layer("a").trainable = False
    model = dgn_tf.GameModel.from_model(plain)
    model.compile(dgn_tf.DGNOpt(0.1, curvature="identity"), crossentropy(), run_eagerly=True)
    before = plain.get_layer("a").get_weights()
    after(model)
    same(before, plain.get_layer("a").get_weights(), 0.0)
    assert [player.name for player in model.game.players] == ["b", "c"]


def test_compiling_again_keeps_the_optimizer_and_its_state():
    model = compiled(dgn_tf.DGNOpt(0.1, curvature="kfac"))
    after(model)
    kept = model.optimizer
    model.compile(kept, crossentropy(), metrics=["accuracy"], run_eagerly=True)
    after(model)
    assert int(kept.iterations.numpy()) == 4


def test_constraints_hold_and_regularisers_enter_the_gradient():
    net = network(kernel_constraint=keras.constraints.UnitNorm())
    model = compiled(net=net)
    after(model)
    norms = np.linalg.norm(model.get_layer("c").kernel.numpy(), axis=0)
    np.testing.assert_allclose(norms, 1.0, rtol=1e-5)
    decayed = compiled(dgn_tf.DGNOpt(0.1, "open_loop", "identity", weight_decay=0.02))
    regular = keras.regularizers.L2(0.01)
    for layer in decayed.layers:
        assert getattr(layer, "kernel_regularizer", None) is None
    inputs = keras.Input((5,))
    set_seed(2)
    kinds = {"kernel_regularizer": regular, "bias_regularizer": regular}
    h = keras.layers.Dense(4, activation="relu", name="a", **kinds)(inputs)
    both = keras.layers.Add()([h, keras.layers.Dense(4, activation="tanh", name="b", **kinds)(h)])
    other = compiled(
        dgn_tf.DGNOpt(0.1, "open_loop", "identity"),
        net=(inputs, keras.layers.Dense(3, name="c", **kinds)(both)),
    )
    other.set_weights(decayed.get_weights())
    same(after(decayed), after(other))


def test_dropout_and_batch_statistics_of_the_first_pass_are_used_again():
    """On unchanged weights the second pass is the first, and it moves no state."""
    model = compiled(net=network(0.5, True))
    x, y = data(12)
    args = (tf.constant(x), tf.constant(y), None)
    seen = observe(model, "rank_one", args, captures=True, feedback=True)
    states = [v.numpy() for v in model.non_trainable_variables]
    second = SecondPass(seen.first)
    for stage in model.game.stages:
        second.run_stage(stage, [])
        for key in stage.cut:
            np.testing.assert_allclose(second.values[key], seen.first.values[key], atol=2e-6)
    output = second.values[model.game.graph.outputs[0]]
    np.testing.assert_allclose(output, seen.y_pred, atol=2e-6)
    same(states, [v.numpy() for v in model.non_trainable_variables], 0.0)


def test_batch_norm_statistics_move_once():
    """After a step they are what one forward pass of the plain model leaves."""
    x, _ = data(12)
    model, plain = compiled(net=network(0.3, True)), keras.Model(*network(0.3, True))
    after(model, 1)
    plain(x, training=True)
    for name in ("moving_mean", "moving_variance"):
        found = getattr(model.get_layer("n"), name).numpy()
        np.testing.assert_allclose(found, getattr(plain.get_layer("n"), name), rtol=1e-5)
    generator = model.get_layer("drop").seed_generator
    assert int(generator.state.numpy()[1]) == 1


def test_solving_moves_nothing():
    x, y = data(12)
    model = compiled(dgn_tf.DGNOpt(0.1), net=network(0.3, True))
    model.train_on_batch(x, y)
    before = [*model.variables, *model.optimizer.variables]
    values = [v.numpy() for v in before]
    solution = model.game.solve(x, y)
    same(values, [v.numpy() for v in before], 0.0)
    assert solution[0][0].k.shape == (24,)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"information_structure": "closed"}, "information_structure"),
        ({"curvature": "newton"}, "curvature"),
        ({"form": "implicit"}, "form"),
        ({"terminal": "first"}, "terminal"),
        ({"terminal": 0}, "rank"),
        ({"solver": "lu"}, "solver"),
        ({"solver": "prop5", "curvature": "identity"}, "Kronecker"),
        ({"khatri_rao_iterations": -1}, "at least 0"),
        ({"absent_players": "none"}, "absent_players"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"weight_decay": float("inf")}, "weight_decay"),
        ({"clipnorm": -1.0}, "clipnorm"),
        ({"clipvalue": 0.0}, "clipvalue"),
        ({"global_clipnorm": float("nan")}, "global_clipnorm"),
        ({"kl_clip": -1e-3}, "kl_clip"),
        ({"use_ema": True, "ema_momentum": float("nan")}, "ema_momentum"),
        ({"gradient_accumulation_steps": 2}, "gradient_accumulation_steps"),
        ({"loss_scale_factor": 2.0}, "loss_scale_factor"),
        ({"guard": {"shrink": 2.0}}, "shrink"),
        ({"guard": {"largest": 0.0}}, "largest"),
        ({"guard": {"retries": -1}}, "retries"),
        ({"guard": {"patience": 0}}, "patience"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        dgn_tf.DGNOpt(**settings)


@pytest.mark.parametrize(
    "settings", [{"damping": 0.0}, {"update_every": 0}, {"refresh_every": 1.5}, {"decay": 1.0}]
)
def test_curvature_out_of_range_is_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        dgn_tf.EKFAC(**settings)


def test_models_and_losses_that_do_not_fit_are_refused():
    plain = keras.Model(*network())
    plain.compile(dgn_tf.DGNOpt(), crossentropy())
    with pytest.raises(ValueError, match="GameModel"):
        plain.fit(*data(), verbose=0)
    with pytest.raises(ValueError, match="trained by a"):
        compiled("adam")
    with pytest.raises(ValueError, match="second derivative"):
        compiled(loss="mae")
    compiled(dgn_tf.DGNOpt(terminal="gauss_newton"), loss="mae")
    with pytest.raises(ValueError, match="between 1 and the size"):
        compiled(dgn_tf.DGNOpt(terminal=4))
    with pytest.raises(ValueError, match="needs a loss"):
        dgn_tf.GameModel(*network()).compile(dgn_tf.DGNOpt())
    inputs, outputs = network()
    two = dgn_tf.GameModel(inputs, [outputs, keras.layers.Dense(2)(inputs)])
    with pytest.raises(ValueError, match="one output and one loss"):
        two.compile(dgn_tf.DGNOpt(), loss=["mse", "mse"])
    with pytest.raises(ValueError, match="compiled model"):
        dgn_tf.GameModel(*network()).game.solve(*data())
    with pytest.raises(ValueError, match="belongs to the model"):
        compiled(compiled().optimizer)
    with pytest.raises(ValueError, match="not only gradients"):
        compiled().optimizer.apply_gradients([(1.0, plain.weights[0])])
    with pytest.raises(TypeError, match="Keras model"):
        dgn_tf.GameModel.from_model("model")
    with pytest.raises(TypeError, match="StepGuard"):
        dgn_tf.DGNOpt(guard=3)


def test_mixed_precision_and_replicas_are_refused(monkeypatch):
    inputs = keras.Input((5,))
    half = keras.layers.Dense(3, dtype="mixed_float16")
    with pytest.raises(ValueError, match="mixed precision"):
        compiled(net=(inputs, half(inputs)))
    for kinds in (["float16"] * 2, ["bfloat16"] * 2, ["float64", "float32"]):
        h = keras.layers.Dense(3, dtype=kinds[0])(inputs)
        with pytest.raises(ValueError, match="one type, float32 or float64"):
            compiled(net=(inputs, keras.layers.Dense(3, dtype=kinds[1])(h)))
    two = types.SimpleNamespace(num_replicas_in_sync=2)
    monkeypatch.setattr(tf.distribute, "get_strategy", lambda: two)
    with pytest.raises(ValueError, match="2 replicas"):
        checks.one_replica()


def test_one_replica_is_the_single_device():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        model = compiled(run_eagerly=False)
    x, y = data(12)
    model.fit(x, y, batch_size=12, epochs=2, shuffle=False, verbose=0)
    same(model.get_weights(), after(compiled()))


def test_ekfac_warns_under_xla_and_takes_the_same_steps():
    def net():
        inputs = keras.Input((5,))
        return inputs, keras.layers.Dense(3, kernel_initializer="zeros")(inputs)

    with pytest.warns(UserWarning, match="eigendecomposition"):
        fast = compiled(dgn_tf.DGNOpt(0.1), net=net(), jit_compile=True)
    same(after(fast), after(compiled(dgn_tf.DGNOpt(0.1), net=net())), 2e-5)
