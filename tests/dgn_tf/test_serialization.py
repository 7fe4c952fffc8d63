"""Saving, loading and going on: bit-equal to an uninterrupted run, dropout included."""

import keras
import numpy as np
import pytest

import dgn_tf
from tests.seeds import set_seed

EPOCHS = 4


def build(dropout=True, **settings):
    set_seed(5)
    inputs = keras.Input((6,))
    h = keras.layers.Dense(5, activation="relu", name="a")(inputs)
    h = keras.layers.BatchNormalization(name="n")(h)
    h = keras.layers.Dropout(0.3, name="drop")(h) if dropout else h
    h = keras.layers.Add()([h, keras.layers.Dense(5, activation="tanh", name="b")(h)])
    model = dgn_tf.GameModel(
        inputs, keras.layers.Dense(3, name="c")(h), alignment={"b": 1}, name="net"
    )
    curvature = settings.pop("curvature", None) or dgn_tf.curvature.EKFACBlock(
        damping=0.02, refresh_every=3
    )
    model.compile(
        dgn_tf.DGNOpt(learning_rate=0.02, curvature=curvature, weight_decay=1e-3, **settings),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        run_eagerly=True,
    )
    return model


def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(40, 6)).astype("float32"), rng.integers(0, 3, 40)


def fit(model, epochs, start=0, **kwargs):
    x, y = data()
    model.fit(
        x, y, batch_size=16, epochs=epochs, initial_epoch=start, shuffle=False, verbose=0, **kwargs
    )


def state(model):
    return [*model.get_weights(), *[v.numpy() for v in model.optimizer.variables]]


def assert_equal(first, second):
    for a, b in zip(state(first), state(second), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def uninterrupted():
    model = build()
    fit(model, EPOCHS)
    return model


def test_a_keras_file_goes_on_bit_equal(tmp_path, uninterrupted):
    model = build()
    fit(model, 2)
    model.save(tmp_path / "net.keras")
    loaded = keras.saving.load_model(tmp_path / "net.keras")
    assert isinstance(loaded, dgn_tf.GameModel)
    assert loaded.game.alignment == {"b": 1}
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    assert_equal(loaded, model)
    fit(loaded, EPOCHS, 2)
    assert_equal(loaded, uninterrupted)


def test_backup_and_restore_goes_on_bit_equal(tmp_path, uninterrupted):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise InterruptedError

    def backup():
        return keras.callbacks.BackupAndRestore(str(tmp_path / "backup"))

    with pytest.raises(InterruptedError):
        fit(build(), EPOCHS, callbacks=[backup(), Stop()])
    resumed = build()
    resumed.get_layer("drop").seed_generator.state.assign([7, 7])
    fit(resumed, EPOCHS, callbacks=[backup()])
    assert_equal(resumed, uninterrupted)


def test_a_config_makes_the_same_model():
    model = build()
    again = dgn_tf.GameModel.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    assert [p.name for p in again.game.players] == [p.name for p in model.game.players]


def test_state_that_does_not_fit_is_left_and_the_optimizer_starts_anew():
    source, store = build(), {}
    fit(source, 1)
    source.optimizer.save_own_variables(store)
    short = {k: v for k, v in store.items() if "seed" not in k}
    key = next(i for i, v in enumerate(source.optimizer.variables) if len(v.shape) == 2)
    cut = {**store, str(key): np.zeros((1, 1))}
    plain = {k: v for k, v in store.items() if k != "kind"}
    for other in (build(curvature=dgn_tf.curvature.KFACBlock()), source):
        fresh = build(curvature=other.optimizer.curvature).optimizer
        for saved in [short, cut, plain] if other is source else [store]:
            with pytest.warns(UserWarning, match="the optimizer starts anew"):
                other.optimizer.load_own_variables(saved)
            for a, b in zip(other.optimizer.variables, fresh.variables, strict=True):
                np.testing.assert_array_equal(a, b)


def test_weights_of_plain_keras_and_of_another_block_are_loaded(tmp_path):
    x, y = data()

    def make(kind, optimizer):
        set_seed(5)
        inputs = keras.Input((6,))
        h = keras.layers.Dense(5, activation="relu", name="a")(inputs)
        model = kind(inputs, keras.layers.Dense(3, name="b")(h))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer, loss, run_eagerly=True)
        return model

    path = tmp_path / "net.weights.h5"
    for source in (
        make(keras.Model, "adam"),
        make(keras.Model, keras.optimizers.SGD(0.1, momentum=0.9)),
        make(dgn_tf.GameModel, dgn_tf.KFAC(0.1)),
        make(dgn_tf.GameModel, dgn_tf.DGNOpt(0.1, curvature=dgn_tf.curvature.GaussNewton())),
    ):
        source.train_on_batch(x, y)
        source.save_weights(path)
        model = make(dgn_tf.GameModel, dgn_tf.DGNOpt(0.1, curvature="rmsprop"))
        with pytest.warns(UserWarning, match="the optimizer starts anew"):
            model.load_weights(path)
        for a, b in zip(source.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        assert int(model.optimizer.iterations.numpy()) == 0
        model.train_on_batch(x, y)


def test_a_game_is_cloned_by_its_configuration_and_clone_model_says_so():
    model = build()
    with pytest.raises(ValueError, match=r"from_config\(game.get_config\(\)\)"):
        keras.models.clone_model(model)
    clone = dgn_tf.GameModel.from_config(model.get_config())
    assert clone.settings() == model.settings()
    assert clone.game.placement() == model.game.placement()
    clone.set_weights(model.get_weights())
    x = data()[0]
    np.testing.assert_array_equal(clone(x), model(x))
    plain = keras.models.clone_model(clone)  # not compiled: Keras makes a model without a game
    plain.compile(dgn_tf.DGNOpt(), "mse")
    with pytest.raises(ValueError, match="train a `dgn_tf"):
        fit(plain, 1)


@pytest.mark.parametrize("name", ["KFAC", "EKFAC"])
def test_a_block_and_an_optimizer_cannot_be_mixed_up(name):
    """The old names of the blocks warn, and what was saved under them is still read."""
    block = getattr(dgn_tf.curvature, f"{name}Block")
    with pytest.warns(DeprecationWarning, match=f"{name}Block"):
        assert getattr(dgn_tf.curvature, name) is block
    assert name not in dgn_tf.curvature.__all__
    saved = {
        "module": f"dgn_tf.curvature.{name.lower()}",
        "class_name": name,
        "config": {"damping": 0.25},
        "registered_name": f"dgn_tf>{name}",
    }
    read = keras.saving.deserialize_keras_object(saved)
    assert (type(read), read.damping) == (block, 0.25)
    with pytest.raises(TypeError, match="name or a Curvature block"):
        dgn_tf.curvature.get(getattr(dgn_tf, name)())
