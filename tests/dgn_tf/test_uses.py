"""Every use of a weight counts."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import dgn_tf
from dgn_tf.game.game import Game, trace
from tests.dgn_tf.captures import batch, observed
from tests.seeds import set_seed


class Transposed(keras.layers.Layer):
    """A decoder that uses another layer's kernel."""

    def __init__(self, dense, **kwargs):
        super().__init__(**kwargs)
        self.dense = dense

    def build(self, shape):
        self.b = self.add_weight(shape=(self.dense.kernel.shape[0],), name="b")

    def call(self, x):
        return ops.matmul(x, ops.transpose(self.dense.kernel)) + self.b


def tied(inputs):
    dense = layers.Dense(4, activation="tanh", name="enc")
    return Transposed(dense, name="dec")(layers.Dense(4, name="mid")(dense(inputs)))


def tied_by_closure(inputs):
    dense = layers.Dense(4, activation="tanh", name="enc")
    h = layers.Dense(4, name="mid")(dense(inputs))
    return layers.Lambda(lambda z: ops.matmul(z, ops.transpose(dense.kernel)))(h)


def tied_by_argument(inputs):
    dense = layers.Dense(4, activation="tanh", name="enc")
    h = layers.Dense(6, name="mid")(dense(inputs))
    return layers.Dense(6, name="out")(ops.matmul(h, dense.kernel))


def tied_in_an_activation(inputs):
    dense = layers.Dense(4, activation="tanh", name="enc")
    h = dense(inputs)
    head = layers.Dense(4, name="head", activation=lambda z: z * ops.sum(dense.kernel))
    return layers.Dense(6, name="mid")(head(h))


def own_kernel_in_an_activation(inputs):
    dense = layers.Dense(4, name="enc")
    dense.activation = lambda z: ops.tanh(z) * ops.mean(dense.kernel)
    return layers.Dense(6, name="mid")(dense(inputs))


def wrapper_and_direct(inputs):
    dense = layers.Dense(6, name="enc")
    series = layers.Reshape((2, 3))(layers.Dense(6, name="mid")(inputs))
    first = layers.Dense(6, name="other")(series)
    both = layers.TimeDistributed(dense)(first)
    return layers.Add()([layers.Flatten()(layers.Dense(3, name="out")(both)), dense(inputs)])


def spectral_and_direct(inputs):
    dense = layers.Dense(6, name="enc")
    wrapped = layers.SpectralNormalization(dense)
    return layers.Dense(6, name="mid")(layers.Add()([wrapped(inputs), dense(inputs)]))


def bidirectional(inputs):
    series = layers.Reshape((2, 3))(layers.Dense(6, name="mid")(inputs))
    return layers.Dense(6, name="head")(layers.Bidirectional(layers.SimpleRNN(3))(series))


def shared_variable(inputs):
    first, second = layers.Dense(6, name="enc"), layers.Dense(6, name="second")
    first.build((None, 6))
    second.build((None, 6))
    object.__setattr__(second, "_kernel", first.kernel)
    return layers.Dense(6, name="mid")(second(ops.tanh(first(inputs))))


def siamese(inputs):
    tower = keras.Sequential([keras.Input((3,)), layers.Dense(4, activation="tanh", name="t")])
    left, right = tower(inputs[:, :3]), tower(inputs[:, 3:])
    return layers.Dense(6, name="mid")(layers.Subtract()([left, right]))


def inside_and_outside(inputs):
    shared = layers.Dense(6, activation="tanh", name="s")
    inner_in = keras.Input((6,))
    inner = keras.Model(inner_in, layers.Dense(6, name="in")(shared(inner_in)))
    return layers.Dense(6, name="mid")(layers.Add()([inner(inputs), shared(inputs)]))


def merged(inputs):
    """Rows of a layer that are steps of samples."""
    h = layers.Dense(3, activation="tanh", name="enc")(ops.reshape(inputs, (-1, 3)))
    return layers.Dense(6, name="mid")(ops.reshape(h, (-1, 6)))


def time_major(inputs):
    """As many steps as samples, so that no shape shows which is which."""
    series = layers.Reshape((8, 2))(layers.Dense(16, name="mid")(inputs))
    h = layers.Dense(2, activation="tanh", name="enc")(ops.transpose(series, (1, 0, 2)))
    return layers.Dense(6, name="out")(layers.Flatten()(ops.transpose(h, (1, 0, 2))))


def repeated(inputs):
    h = ops.repeat(layers.Dense(4, name="mid")(inputs), 3, axis=0)
    h = ops.reshape(layers.Dense(4, activation="tanh", name="enc")(h), (-1, 3, 4))
    return layers.Dense(6, name="out")(ops.mean(h, 1))


class Even(layers.Layer):
    def call(self, x):
        halves = ops.reshape(x, (2, -1, 6)) if x.shape[0] is None else ops.split(x, 2)
        return ops.concatenate([halves[0], halves[1]])

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)


def in_halves(inputs):
    """A layer that can only be traced at an even number of samples, or at an open one."""
    return layers.Dense(6, name="mid")(Even()(layers.Dense(6, name="enc")(inputs)))


def pooled(inputs):
    h = layers.Dense(4, name="mid")(inputs)
    mean = ops.mean(h, 0, keepdims=True)
    return layers.Dense(6, name="out")(ops.tanh(h + layers.Dense(4, name="enc")(mean)))


AXIS = {"enc": "the first axis of what it reads or makes is not that of the samples"}
KINDS = {
    tied: {"enc": "its kernel is also used by 'dec'"},
    tied_by_closure: {"enc": "its kernel is also used by 'lambda"},
    tied_by_argument: {"enc": "its kernel is also used by "},
    tied_in_an_activation: {"enc": "its kernel is also used by 'head'"},
    own_kernel_in_an_activation: {"enc": "its kernel is also used by an activation"},
    wrapper_and_direct: {"enc": "its kernel is also used by 'time_distributed"},
    spectral_and_direct: {"enc": "its kernel is also used by 'spectral"},
    bidirectional: {"bidirectional": "has no matrix of its own"},
    shared_variable: {"enc": "its kernel is also used by 'second'", "second": "used by 'enc'"},
    siamese: {},
    inside_and_outside: {},
    in_halves: {},
    merged: AXIS,
    time_major: AXIS,
    repeated: AXIS,
    pooled: AXIS,
}


def tied_by_a_regularizer(inputs):
    dense = layers.Dense(4, name="enc")
    h = dense(inputs)
    norm = layers.Dense(4, activity_regularizer=lambda z: ops.sum(z * dense.bias), name="head")
    return layers.Dense(6, name="mid")(norm(h))


def tied_by_a_layer_as_activation(inputs):
    dense = layers.Dense(4, name="enc")
    h = dense(inputs)
    scaled = layers.Lambda(lambda z: z * ops.sum(dense.bias))
    return layers.Dense(6, name="mid")(layers.Dense(4, name="head", activation=scaled)(h))


def masked(inputs):
    """A weight that is used where there is a mask, behind a layer that passes it on."""

    class Masked(layers.Layer):
        def call(self, x, mask=None):
            return x if mask is None else x * ops.mean(dense.kernel)

    dense = layers.Dense(2, name="enc")
    h = layers.Masking()(layers.Reshape((3, 2))(dense(layers.Dense(6, name="in")(inputs)) @ FIXED))
    return layers.Dense(6, name="mid")(layers.Flatten()(Masked()(layers.Dense(2)(h))))


FIXED = np.ones((2, 6), "float32")
UNSEEN = (tied_by_a_regularizer, tied_by_a_layer_as_activation, masked)


@pytest.mark.parametrize("kind", [*KINDS, *UNSEEN], ids=lambda kind: kind.__name__)
def test_what_is_not_traced_does_what_a_trace_would_find(kind, monkeypatch):
    set_seed(1)
    inputs = keras.Input((6,))
    model = keras.Model(inputs, kind(inputs))
    _, found = trace(model)
    monkeypatch.setattr("dgn_tf.game.uses._is_plain", lambda call: False)
    assert dataclasses.replace(found, global_seed=None) == dataclasses.replace(
        trace(model)[1], global_seed=None
    )


def built(kind):
    set_seed(1)
    inputs = keras.Input((6,))
    return dgn_tf.GameModel(inputs, kind(inputs))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_players_are_covered_by_their_captures_and_the_others_say_why_not(kind):
    model = built(kind)
    seen = observed(model)
    reasons = {bystander.name: bystander.reason for bystander in model.game.bystanders}
    for start, reason in KINDS[kind].items():
        name = next(name for name in reasons if name.startswith(start))
        assert reason in reasons[name]
        assert name in model.game.summary(print_fn=None)
    if not KINDS[kind]:
        assert reasons == {}
    assert model.game.players
    for player in model.game.players:
        captured = seen.captures[player.name].weighted(seen.factor.v)
        for variable, own in zip(player.variables, captured, strict=True):
            whole = seen.gradients[id(variable)]
            np.testing.assert_allclose(own, whole, rtol=1e-4, atol=1e-5 * np.abs(whole).max())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_small_step_is_that_of_gradient_descent(kind):
    x, y = batch()
    model, plain = built(kind), built(kind)
    plain = keras.Model(plain.input, plain.output)
    before = np.concatenate([v.numpy().ravel() for v in model.trainable_variables])
    plain.compile(keras.optimizers.SGD(1e-3), "mse", run_eagerly=True)
    model.compile(dgn_tf.DGNOpt(1e-3, "cooperative", "identity"), "mse", run_eagerly=True)
    losses = [m.train_on_batch(x, y, return_dict=True)["loss"] for m in (model, plain)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    after = [
        np.concatenate([v.numpy().ravel() for v in m.trainable_variables]) for m in (model, plain)
    ]
    assert np.linalg.norm(after[0] - after[1]) < 0.02 * np.linalg.norm(before - after[1])


def test_states_and_outputs_are_by_sample():
    x, y = batch()
    inputs = keras.Input((6,))
    h = layers.Dense(6, name="a")(inputs)
    mean = layers.Lambda(lambda z: ops.mean(z, 0, keepdims=True), name="pool")(h)
    model = dgn_tf.GameModel(inputs, layers.Dense(6, name="b")(h) + mean)
    with pytest.raises(ValueError, match=r"layer 'pool'.*samples to the front.*state_feedback"):
        model.compile(dgn_tf.DGNOpt(1e-3), "mse")
    model.compile(dgn_tf.DGNOpt(1e-3, state_feedback=False), "mse", run_eagerly=True)
    assert model.train_on_batch(x, y, return_dict=True)["skipped_steps"] == 0
    with pytest.raises(ValueError, match="layer 'pool'"):
        dgn_tf.GameModel(inputs, mean).compile(dgn_tf.KFAC(1e-3), "mse")


def test_a_model_without_players_is_trained_by_diagonal_blocks():
    set_seed(1)
    inputs = keras.Input((6,))
    dense = layers.Dense(4, activation="tanh", name="enc")
    model = dgn_tf.GameModel(inputs, Transposed(dense, name="dec")(dense(inputs)))
    assert (model.game.players, model.game.horizon) == ((), 1)
    x, _ = batch()
    weights = model.get_weights()
    for optimizer, rate in ((dgn_tf.KFAC(1e5, damping=1e8), 1.0), (dgn_tf.DGNOpt(1e-3), None)):
        model.set_weights(weights)
        model.compile(optimizer, "mse", run_eagerly=True)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(x, training=True) - x) ** 2)
        gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
        model.train_on_batch(x, x)
        if rate is not None:
            for old, new, g in zip(weights, model.get_weights(), gradients, strict=True):
                np.testing.assert_allclose(old - new, 1e-3 * g.numpy(), rtol=1e-3, atol=1e-7)


def test_weights_outside_the_graph_are_left_to_a_diagonal_block():
    plain = built(siamese)
    model = keras.Model(plain.input, plain.output)
    model.extra = layers.Dense(2)
    model.extra.build((None, 2))
    game = Game(model)
    assert [(b.reason, len(b.variables)) for b in game.bystanders] == [
        ("no layer of the graph owns them", 2)
    ]


def test_layers_of_one_name_in_nested_models_are_told_apart():
    inputs = h = keras.Input((4,))
    for name in ("first", "second"):
        h = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="d")], name=name)(h)
    model = dgn_tf.GameModel(inputs, layers.Dense(2, name="out")(h))
    model.compile(dgn_tf.DGNOpt(0.1), "mse")
    assert [player.name for player in model.game.players] == ["d", "d/2", "out"]
    model.train_on_batch(np.ones((3, 4)), np.ones((3, 2)))


def test_layers_compute_in_the_type_of_the_weights(float64):
    inputs = keras.Input((4,))
    outputs = layers.Softmax(dtype="float32", name="head")(layers.Dense(2)(inputs))
    model = dgn_tf.GameModel(inputs, outputs)
    with pytest.raises(ValueError, match=r"of one type.*'float32': \"by 'head'\"[^$]*`dtype`"):
        model.compile(dgn_tf.DGNOpt(0.1), "categorical_crossentropy")
