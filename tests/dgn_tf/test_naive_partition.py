"""The naive partition computes the same function, and with M = I trains as one player."""

import keras
import numpy as np
import pytest

import dgn_tf
from tests.seeds import set_seed


def network():
    set_seed(4)
    inputs = keras.Input((6, 6, 2))
    h = keras.layers.Conv2D(5, 3, strides=2, padding="same", activation="relu", name="C0")(inputs)
    h = keras.layers.Conv2D(4, 3, padding="same", name="C1")(h)
    h = keras.layers.Flatten()(keras.layers.Activation("tanh")(h))
    h = keras.layers.Dense(7, activation="tanh", name="D0")(h)
    return keras.Model(inputs, keras.layers.Dense(3, name="D1")(h))


def data(size=12):
    rng = np.random.default_rng(0)
    return rng.normal(size=(size, 6, 6, 2)), rng.integers(0, 3, size)


def trained(model):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(dgn_tf.DGNOpt(0.5, curvature="identity"), loss, run_eagerly=True)
    model.train_on_batch(*data())
    return model(data()[0]).numpy()


@pytest.mark.parametrize("parts", [1, 3])
def test_the_filters_of_a_convolution_are_divided(parts, float64):
    model = network()
    split = dgn_tf.naive_partition(model, parts)
    assert len(split.game.players) == parts * 4
    np.testing.assert_allclose(split(data()[0]), model(data()[0]), rtol=1e-12)
    before = model(data()[0]).numpy()
    whole = trained(dgn_tf.GameModel.from_model(model))
    np.testing.assert_allclose(trained(split), whole, rtol=1e-9, atol=1e-10)
    assert np.abs(whole - before).max() > 1e-2


def test_a_layer_used_twice_is_divided_once(float64):
    set_seed(4)
    inputs = keras.Input((4,))
    twice = keras.layers.Dense(4, activation="tanh", name="twice")
    model = keras.Model(inputs, keras.layers.Dense(3, name="last")(twice(twice(inputs))))
    split = dgn_tf.naive_partition(model, 2)
    assert [layer.name for layer in split.layers if layer.weights] == [
        "twice_part0", "twice_part1", "last_part0", "last_part1",
    ]  # fmt: skip
    x = np.random.default_rng(0).normal(size=(5, 4))
    np.testing.assert_allclose(split(x), model(x), rtol=1e-12)


def test_what_mixes_its_units_stays_whole():
    inputs = keras.Input((4, 4, 4))
    h = keras.layers.Conv2D(4, 1, groups=2, name="grouped")(inputs)
    h = keras.layers.DepthwiseConv2D(3, name="depthwise")(h)
    h = keras.layers.Flatten()(h)
    model = keras.Model(inputs, keras.layers.Dense(4, activation="softmax", name="soft")(h))
    names = [layer.name for layer in dgn_tf.naive_partition(model, 2).layers if layer.weights]
    assert names == ["grouped", "depthwise", "soft"]


def test_more_parts_than_filters_are_refused():
    with pytest.raises(ValueError, match=r"filters of layer 'C1', 4\. Received: parts=5"):
        dgn_tf.naive_partition(network(), 5)
