"""The open loop is the ordinary optimizer: Keras's own SGD, RMSprop and Adam, twenty steps."""

import keras
import numpy as np
import pytest

import dgn_tf
from tests.seeds import set_seed

BASELINES = {
    "identity": keras.optimizers.SGD,
    "rmsprop": keras.optimizers.RMSprop,
    "adam": keras.optimizers.Adam,
}


def network(regularizer="l2"):
    """Every kind of weight: convolution, normalisation, embedding-free bystanders, Dense."""
    set_seed(0)
    inputs = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(3, 3, padding="same", use_bias=False)(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.DepthwiseConv2D(3, activation="relu")(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dropout(0.2, seed=3)(x)
    head = keras.layers.Dense(3, kernel_regularizer=regularizer, kernel_constraint="max_norm")
    return inputs, head(x)


def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(48, 6, 6, 2)).astype("float32"), rng.integers(0, 3, 48)


def train(model, optimizer, **fit):
    x, y = data()
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(x, y, batch_size=12, epochs=5, shuffle=False, verbose=0, **fit).history
    return history["loss"]


@pytest.mark.parametrize(
    ("curvature", "settings"),
    [
        ("rmsprop", {}),
        ("adam", {}),
        ("identity", {}),
        ("identity", {"clipnorm": 0.3}),
        ("identity", {"clipvalue": 0.02}),
        ("identity", {"global_clipnorm": 0.4}),
    ],
)
def test_twenty_steps_equal_keras(curvature, settings):
    rate = 0.05 if curvature == "identity" else 0.005
    regularizer = "l2" if curvature == "identity" else None
    model, plain = dgn_tf.GameModel(*network(regularizer)), keras.Model(*network(regularizer))
    found = train(model, dgn_tf.DGNOpt(rate, "open_loop", curvature, **settings))
    expected = train(plain, BASELINES[curvature](rate, **settings))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    for a, b in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_sample_and_class_weights_and_schedules_equal_keras():
    weights = np.random.default_rng(1).uniform(0, 2, 48)
    for fit in ({"sample_weight": weights}, {"class_weight": {0: 0.5, 1: 2.0, 2: 1.0}}):
        schedule = keras.optimizers.schedules.ExponentialDecay(0.05, 4, 0.7)
        model, plain = dgn_tf.GameModel(*network()), keras.Model(*network())
        train(model, dgn_tf.DGNOpt(schedule, "open_loop", "identity"), **fit)
        train(plain, keras.optimizers.SGD(schedule), **fit)
        for a, b in zip(model.get_weights(), plain.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_weight_averaging_equals_keras():
    settings = {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 7}
    model, plain = dgn_tf.GameModel(*network()), keras.Model(*network())
    train(model, dgn_tf.DGNOpt(0.05, "open_loop", "identity", **settings))
    train(plain, keras.optimizers.SGD(0.05, **settings))
    for a, b in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
