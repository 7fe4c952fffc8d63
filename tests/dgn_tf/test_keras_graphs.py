"""Graphs as Keras runs them: nested inputs, unknown sizes, last layers, masks, freezing."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import dgn_tf
from dgn_tf.game.game import Game
from tests.seeds import set_seed

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(2, 8, 4)).astype("float32")
Y = RNG.normal(size=(8, 2)).astype("float32")


def difference(structure):
    """A nested model a - 2 b with inputs in a structure; `b` may be of another rank and dtype."""
    set_seed(0)
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    if structure == "rank":
        b = keras.Input((4, 1), name="b")
    if structure == "dtype":
        a = keras.Input((4,), name="a", dtype="float64")
    left = layers.Dense(3, name="da")(a if structure != "dtype" else keras.ops.cast(a, "float32"))
    right = layers.Dense(3, name="db")(layers.Flatten()(b))
    inputs = {"dict": {"b": b, "a": a}, "nested": [{"x": b}, (a,)], "ba": [b, a]}
    return keras.Model(inputs.get(structure, [a, b]), left - 2 * right, name="inner")


CALLS = {
    "list by list": ("ba", lambda m, u, v: m([v, u])),
    "list by dictionary": ("ba", lambda m, u, v: m({"a": u, "b": v})),
    "list by dictionary with more": ("ba", lambda m, u, v: m({"0": v, "a": u, "b": v, "c": u})),
    "dictionary": ("dict", lambda m, u, v: m({"a": u, "b": v})),
    "nested": ("nested", lambda m, u, v: m([{"x": v}, (u,)])),
    "by name": ("ab", lambda m, u, v: m(inputs=[u, v])),
    "another rank": ("rank", lambda m, u, v: m([u, v])),
    "another dtype": ("dtype", lambda m, u, v: m([u, v])),
    "training given": ("ba", lambda m, u, v: m([v, u], training=False)),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings("ignore:The structure of `inputs`")
def test_the_training_loss_of_nested_inputs_is_that_of_evaluation(name):
    structure, call = CALLS[name]
    inner = difference(structure)
    u, v = keras.Input((4,), name="u"), keras.Input((4,), name="v")
    model = dgn_tf.GameModel([u, v], layers.Dense(2, name="out")(call(inner, u, v)))
    assert [p.name for p in model.game.players][-1] == "out"
    assert len(model.game.players) == 3
    model.compile(dgn_tf.DGNOpt(1e-9, curvature="identity"), "mse", run_eagerly=True)
    expected = model.evaluate([A, B], Y, verbose=0)
    assert model.train_on_batch([A, B], Y)[0] == pytest.approx(expected, rel=1e-6)


def test_a_nested_model_with_a_call_of_its_own_is_one_call():
    class Doubled(keras.Model):
        def call(self, inputs, training=None, mask=None):
            return 2.0 * super().call(inputs, training=training)

    x = keras.Input((4,))
    inner = Doubled(x, layers.Dense(4, name="in")(x))
    inputs = keras.Input((4,))
    model = dgn_tf.GameModel(inputs, layers.Dense(2, name="out")(inner(inputs)))
    assert [p.name for p in model.game.players] == ["out"]
    assert [type(b.layer) for b in model.game.bystanders] == [Doubled]
    with pytest.raises(ValueError, match="without a graph"):
        dgn_tf.GameModel.from_model(inner)
    model.compile(dgn_tf.DGNOpt(1e-9), "mse", run_eagerly=True)
    expected = model.evaluate(A, Y, verbose=0)
    assert model.train_on_batch(A, Y)[0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", ["dense", "convolution"])
def test_data_of_unknown_size(kind):
    shape = (6,) if kind == "dense" else (6, 6, 2)
    x = RNG.normal(size=(8, *shape)).astype("float32")
    y = RNG.integers(0, 3, 8)
    inputs = keras.Input(shape)
    h = layers.Dense(4)(inputs) if kind == "dense" else layers.Conv2D(3, 3)(inputs)
    model = dgn_tf.GameModel(inputs, layers.Dense(3)(layers.Flatten()(h)))
    model.compile(dgn_tf.DGNOpt(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    weights, losses = model.get_weights(), []
    for size in (None, 8):
        signature = (
            tf.TensorSpec((size,) + (None,) * len(shape), tf.float32),
            tf.TensorSpec((size,), tf.int64),
        )
        elements = tf.data.Dataset.from_generator(lambda: [(x, y)], output_signature=signature)
        model.set_weights(weights)
        losses.append(model.fit(elements.repeat(2), epochs=1, verbose=0).history["loss"][0])
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    assert losses[0] == pytest.approx(model.evaluate(x, y, verbose=0), rel=0.1)


@pytest.mark.parametrize("name", ["x", "y"])
def test_data_of_unknown_rank_are_refused_by_name(name):
    kinds = [None if name == part else (8, size) for part, size in (("x", 4), ("y", 2))]
    elements = tf.data.Dataset.from_generator(
        lambda: [(A, Y)], output_signature=tuple(tf.TensorSpec(shape) for shape in kinds)
    )
    inputs = keras.Input((4,))
    model = dgn_tf.GameModel(inputs, layers.Dense(2)(inputs))
    model.compile(dgn_tf.DGNOpt(curvature="identity"), "mse")
    with pytest.raises(ValueError, match=f"Received: {name} of unknown rank.*ensure_shape"):
        model.fit(elements, verbose=0)


@pytest.mark.parametrize("activation", ["tanh", "softmax"])
@pytest.mark.parametrize("layer", [layers.LSTM, layers.GRU, layers.SimpleRNN])
def test_a_recurrent_layer_may_be_the_last(layer, activation):
    x = RNG.normal(size=(8, 5, 3)).astype("float32")
    inputs = keras.Input((5, 3))
    model = dgn_tf.GameModel(inputs, layer(2, activation=activation)(layers.Dense(4)(inputs)))
    loss = "mse" if activation == "tanh" else "categorical_crossentropy"
    model.compile(dgn_tf.DGNOpt(1e-9), loss, run_eagerly=True)
    y = np.eye(2, dtype="float32")[RNG.integers(0, 2, 8)]
    expected = model.evaluate(x, y, verbose=0)
    assert model.train_on_batch(x, y)[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("handed", ["to nobody", "to a layer", "to a nested model"])
def test_masks_pass_as_in_keras(handed):
    """Through a cut, into a nested model, from `Masking` and from an argument."""
    set_seed(3)
    x = RNG.normal(size=(8, 5, 4)).astype("float32")
    x[:, 3:] = 0.0
    inner_in = keras.Input((5, 4))
    inner = keras.Model(inner_in, layers.LSTM(3)(layers.Dense(4, name="in")(inner_in)))
    inputs = keras.Input((5, 4))
    h = layers.Dense(4, name="first")(layers.Masking()(inputs))
    even = keras.ops.greater(inputs[:, :, 0], 0.0)
    if handed == "to a layer":
        h = layers.LSTM(3)(layers.Dense(4, name="second")(h), mask=even)
    else:
        h = inner(h) if handed == "to nobody" else inner(h, mask=even)
    model = dgn_tf.GameModel(inputs, layers.Dense(2, name="out")(h))
    model.compile(dgn_tf.DGNOpt(1e-9, curvature="identity"), "mse", run_eagerly=True)
    expected = model.evaluate(x, Y, verbose=0)
    assert model.train_on_batch(x, Y)[0] == pytest.approx(expected, rel=1e-5)
    assert [player.name for player in model.game.players][1] in ("in", "second")


def test_slots_follow_the_layers_of_the_model():
    x = keras.Input((4,))
    branches = [layers.Dense(3, name=f"q{i}")(x) for i in range(3)]
    model = keras.Model(x, layers.Dense(2, name="out")(layers.Concatenate()(branches)))
    names = [layer.name for layer in model.layers if layer.name.startswith("q")]
    assert [player.name for player in Game(model).stages[0].players] == names


def test_freezing_after_compile_is_noticed():
    inputs = keras.Input((4,))
    model = dgn_tf.GameModel(inputs, layers.Dense(2, name="b")(layers.Dense(3, name="a")(inputs)))
    model.compile(dgn_tf.DGNOpt(1e-3), "mse")
    model.fit(A, Y, epochs=1, verbose=0)
    model.get_layer("a").trainable = False
    for train in (model.fit, model.train_on_batch):
        with pytest.raises(ValueError, match=r"'a/kernel', 'a/bias'.*frozen, thawed or"):
            train(A, Y)
    model.compile(dgn_tf.DGNOpt(1e-3), "mse", run_eagerly=True)
    before = model.get_layer("a").get_weights()
    model.train_on_batch(A, Y)
    np.testing.assert_array_equal(before[0], model.get_layer("a").get_weights()[0])

    class Thaw(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            model.get_layer("a").trainable = True

    with pytest.raises(ValueError, match="'a/kernel'"):
        model.fit(A, Y, batch_size=4, verbose=0, callbacks=[Thaw()])
    np.testing.assert_array_equal(before[0], model.get_layer("a").get_weights()[0])
    model.compile(dgn_tf.DGNOpt(1e-3), "mse", run_eagerly=True)
    model.train_on_batch(A, Y)
    model.get_layer("b").quantize("int8")  # of which the model and its traced step hear nothing
    with pytest.raises(ValueError, match=r"'b/kernel'.*replaced"):
        model.train_on_batch(A, Y)


def test_sparse_inputs_are_refused():
    inputs = keras.Input((4,), sparse=True)
    with pytest.raises(ValueError, match="sparse or ragged"):
        dgn_tf.GameModel(inputs, layers.Dense(2)(inputs))


def test_the_tangent_budget_knows_the_batch_and_the_summary_says_what_is_approximated():
    """On a sequence, by Dense and by EinsumDense: exact at 8 samples, position sums at 256."""
    inputs = keras.Input((2, 512))
    h = layers.Dense(512, activation="relu", name="wide")(inputs)
    h = layers.EinsumDense("abc,cd->abd", (2, 512), name="einsum")(h)
    model = dgn_tf.GameModel(inputs, layers.Dense(1, name="one")(layers.Flatten()(h)))
    model.compile(dgn_tf.DGNOpt(1e-3, curvature="identity"), "mse", run_eagerly=True)

    def approximated():
        lines = model.game.summary(print_fn=None).splitlines()
        return [line.split()[2] for line in lines if "kernel of position sums" in line]

    x, y = np.zeros((8, 2, 512), "float32"), np.zeros((8, 1))
    model.train_on_batch(x, y)
    traced = model.train_function
    assert (model.expected_batch, approximated()) == (8, [])
    model.train_on_batch(x[:4], y[:4])
    assert model.train_function is traced
    elements = tf.data.Dataset.from_tensor_slices((x, y)).repeat(32).batch(256).prefetch(1)
    model.fit(elements, verbose=0)
    assert (model.expected_batch, approximated()) == (256, ["wide", "einsum"])
    assert model.train_function is not traced
