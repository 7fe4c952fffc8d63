"""A player's inputs and cotangents against per-sample gradients by automatic differentiation."""

import captures
import keras
import numpy as np
import pytest
import tensorflow as tf

from dgn_tf.game import Capture, Player, WeightLayout, read_player, register_player
from dgn_tf.game.game import Game
from dgn_tf.game.passes import FirstPass
from tests.seeds import set_seed


class Scaled(keras.layers.Layer):
    """A layer of one's own: `tanh(x W / √I)`, on any number of positions."""

    activation = staticmethod(keras.activations.tanh)

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 3), initializer="glorot_uniform")

    def call(self, x):
        return self.activation(keras.ops.matmul(x / x.shape[-1] ** 0.5, self.kernel))


@register_player(Scaled)
def read_scaled(layer):
    layout = WeightLayout((tuple(layer.kernel.shape),), outputs=3)

    def inputs(x):
        return tf.reshape(x, (len(x), -1, x.shape[-1])) / x.shape[-1] ** 0.5

    return Player(
        layer=layer,
        variables=(layer.kernel,),
        layout=layout,
        inputs_of=inputs,
        cotangents_of=lambda g: tf.reshape(g, (len(g), -1, 3)),
    )


LAYERS = {
    "dense": ((5,), lambda: keras.layers.Dense(3, activation="tanh")),
    "dense on a sequence": ((4, 5), lambda: keras.layers.Dense(3, use_bias=False)),
    "convolution": (
        (6, 5, 2),
        lambda: keras.layers.Conv2D(3, 3, strides=2, padding="same", activation="tanh"),
    ),
    "dilated": ((7, 6, 2), lambda: keras.layers.Conv2D(2, (2, 3), dilation_rate=2)),
    "even window, same": ((5, 6, 2), lambda: keras.layers.Conv2D(2, (2, 4), padding="same")),
    "pointwise": ((4, 5, 2), lambda: keras.layers.Conv2D(3, 1, strides=2, use_bias=False)),
    "one axis": ((7, 2), lambda: keras.layers.Conv1D(3, 3, padding="same", strides=2)),
    "causal": ((7, 2), lambda: keras.layers.Conv1D(3, 2, padding="causal", dilation_rate=2)),
    "einsum": (
        (4, 6),
        lambda: keras.layers.EinsumDense("abc,cde->abde", (4, 3, 2), bias_axes="de"),
    ),
    "einsum contracting two axes": (
        (3, 4, 2),
        lambda: keras.layers.EinsumDense("abcd,dce->abe", (3, 5), bias_axes="e"),
    ),
    "einsum with ellipsis": ((4, 3), lambda: keras.layers.EinsumDense("...x,xy->...y", 2)),
    "of one's own": ((4, 5), Scaled),
}


@pytest.fixture(params=list(LAYERS))
def observed(request, float64):
    set_seed(1)
    shape, make = LAYERS[request.param]
    inputs = keras.Input(shape)
    layer = make()
    model = keras.Model(inputs, keras.layers.Activation("tanh")(layer(inputs)))
    x = tf.constant(np.random.default_rng(0).normal(size=(3, *shape)))
    game = Game(model)
    target = tf.constant(np.random.default_rng(1).normal(size=(3, *model.output_shape[1:])))

    def losses(y):
        return tf.reduce_sum(tf.reshape((y - target) ** 2, (3, -1)), 1)

    first = FirstPass(game)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(losses(first.run([x], True)[0]))
    index = game.players[0].call_indices[0]
    g = tape.gradient(loss, first.preactivations[index])
    capture = game.players[0].capture([first.inputs[index]], [[g]])
    variables = [variable.value for variable in game.players[0].variables]
    with tf.GradientTape() as tape:
        per_sample = losses(model(x))
    return capture, tape.jacobian(per_sample, variables)


def test_tangents_are_the_per_sample_gradients(observed):
    capture, jacobians = observed
    by_sample = [capture.matrix([j[b] for j in jacobians]) for b in range(3)]
    np.testing.assert_allclose(capture.tangents(), tf.stack(by_sample), rtol=1e-12, atol=1e-12)


def test_weighted_gradients_and_pullbacks_without_tangents(observed):
    capture, jacobians = observed
    w = tf.constant([[0.3], [-1.0], [2.0]], tf.float64)
    for found, jacobian in zip(capture.weighted(w), jacobians, strict=True):
        expected = tf.tensordot(w[:, 0], jacobian, 1) / 3
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)
    X = [tf.random.stateless_normal(j.shape[1:], (1, 2), dtype=tf.float64) for j in jacobians]
    pulled = sum(
        tf.reduce_sum(tf.reshape(j * x, (3, -1)), 1) for j, x in zip(jacobians, X, strict=True)
    )
    np.testing.assert_allclose(capture.pullback(X), pulled, rtol=1e-11, atol=1e-12)
    capture.tangents()
    np.testing.assert_allclose(capture.pullback(X), pulled, rtol=1e-11, atol=1e-12)
    for found, jacobian in zip(capture.weighted(w), jacobians, strict=True):
        expected = tf.tensordot(w[:, 0], jacobian, 1) / 3
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)


def test_a_matrix_and_the_variables_it_stands_for(observed):
    capture, jacobians = observed
    tensors = [j[0] for j in jacobians]
    for back, tensor in zip(capture.tensors(capture.matrix(tensors)), tensors, strict=True):
        np.testing.assert_array_equal(back, tensor)


def test_thinning_keeps_every_stride_th_sample(observed):
    capture, jacobians = observed
    thin = capture.thinned(2, 1)
    expected = capture.matrix([j[1] for j in jacobians])
    np.testing.assert_allclose(thin.tangents()[0], expected, rtol=1e-12, atol=1e-12)
    assert thin.tangents().shape[0] == 1


def test_thinned_statistics_share_the_tangents_that_are_made():
    rng = np.random.default_rng(3)
    a, g = tf.constant(rng.normal(size=(5, 4, 3))), tf.constant(rng.normal(size=(5, 4, 2, 6)))
    layout = WeightLayout(((6, 6), (6,)), 6)
    whole = Capture([a], g, layout, rows=lambda x: tf.concat([x, x**2], -1))
    apart = whole.thinned(2, 1)
    expected = apart.plain_inputs, apart.tangents()
    whole.tangents()
    thin = whole.thinned(2, 1)
    assert thin._rows is None
    for found, value in zip((thin.plain_inputs, thin.tangents()), expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-12, atol=1e-12)


def test_columns_are_sample_major():
    x, g = np.ones((2, 3)), np.arange(2 * 2 * 4.0).reshape(2, 2, 4)
    capture = captures.dense(tf.constant(x), tf.constant(g), has_bias=False)
    np.testing.assert_array_equal(capture.tangents()[1, 0], g[0, 1])
    w = tf.constant([[1.0, 2.0], [0.5, -1.0]], tf.float64)
    expected = np.einsum("br,bi,bro->io", w, x, g) / 2
    np.testing.assert_allclose(capture.weighted(w)[0], expected)


def test_what_is_registered_must_be_a_layer_with_an_activation(monkeypatch):
    with pytest.raises(TypeError, match="class of Keras layers"):
        register_player(keras.Model.fit)
    layer = Scaled()
    layer.build((None, 4))
    monkeypatch.delattr(Scaled, "activation")
    with pytest.raises(ValueError, match=r"self\.activation"):
        read_player(layer)
