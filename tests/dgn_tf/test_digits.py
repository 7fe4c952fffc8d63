"""Every information structure and curvature trains the digits' residual network from `fit`."""

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

import dgn_tf
from dgn_tf.rules import STRUCTURES
from tests.thin import thinned

RATES = {
    "identity": 0.3,
    "rmsprop": 0.01,
    "adam": 0.01,
    "kfac": 0.03,
    "ekfac": 0.03,
    "gauss_newton": 0.1,
}
"""Learning rate by curvature; the structures share it."""


@pytest.fixture(scope="module")
def digits():
    bunch = load_digits()
    x = bunch.data.astype("float32") / 16.0
    return x[:960], bunch.target[:960], x[960:], bunch.target[960:]


def accuracy(digits, batch_size, epochs, *settings, **more):
    """The share of right answers on digits not trained on; the guard is off and rescues nothing."""
    x, y, x_test, y_test = digits
    keras.utils.set_random_seed(0)
    inputs = keras.Input((64,))
    h = keras.layers.Dense(10, activation="relu")(inputs)
    h = keras.layers.Add()([h, keras.layers.Dense(10, activation="relu")(h)])
    model = dgn_tf.GameModel(inputs, keras.layers.Dense(10)(h))
    model.compile(
        dgn_tf.DGNOpt(*settings, guard=None, **more),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0)
    return np.mean(model(x_test).numpy().argmax(-1) == y_test)


@pytest.mark.parametrize(("structure", "curvature"), thinned(STRUCTURES, list(RATES), strength=1))
def test_it_trains_the_digits(structure, curvature, digits):
    """90 steps; chance is 10 %."""
    assert accuracy(digits, 32, 3, RATES[curvature], structure, curvature) > 0.65


@pytest.mark.parametrize(
    ("structure",),
    thinned(list(STRUCTURES)[::-1], strength=0),
)
def test_the_exact_curvature_trains_the_digits(structure, digits):
    """Undamped but for the weight decay, which the dense Q_uu needs to be well conditioned."""
    settings = {"terminal": "exact", "weight_decay": 0.1}
    assert accuracy(digits, 20, 1, 0.1, structure, "exact", **settings) > 0.6
