"""The second pass of a step repeats the first, or the model is refused by the layer's name."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import dgn_tf
from dgn_tf.game.passes import SecondPass
from tests.dgn_tf.captures import batch, observed
from tests.seeds import set_seed


class Noisy(keras.layers.Layer):
    """Adds noise from `draw(shape)`."""

    def __init__(self, draw, **kwargs):
        super().__init__(**kwargs)
        self.draw = draw

    def call(self, x):
        return x + self.draw(ops.shape(x))


class Counter(keras.layers.Layer):
    """Scales by the number of its calls, which it counts in a weight."""

    def build(self, shape):
        self.count = self.add_weight(shape=(), initializer="ones", trainable=False, name="count")

    def call(self, x):
        self.count.assign(self.count + 1.0)
        return x / self.count


class Frozen(keras.layers.BatchNormalization):
    """Normalises by the moving statistics, in training too."""

    def call(self, inputs, training=None, mask=None):
        return super().call(inputs, training=False, mask=mask)


class Scaled(keras.layers.BatchNormalization):
    """Normalises twice as much."""

    def call(self, inputs, training=None, mask=None):
        return 2.0 * super().call(inputs + 1.0, training=training, mask=mask)


def noise(seed=None):
    return lambda: Noisy(lambda shape: keras.random.normal(shape, seed=seed), name="noisy")


REPEATED = {
    "a generator that nobody tracks": lambda: noise(keras.random.SeedGenerator(3))(),
    "Keras's own generator": noise(),
    "dropout in a wrapper": lambda: layers.Bidirectional(
        layers.LSTM(3, dropout=0.4, return_sequences=True)
    ),
    "noise": lambda: layers.GaussianNoise(1.0),
    "a layer that counts": Counter,
    "frozen batch normalisation": Frozen,
    "scaled batch normalisation": Scaled,
    "renormalisation": lambda: layers.BatchNormalization(renorm=True),
    "batch normalisation in a wrapper": lambda: layers.TimeDistributed(layers.BatchNormalization()),
    "spectral normalisation": lambda: layers.SpectralNormalization(layers.Dense(6)),
}


def around(middle):
    set_seed(2)
    inputs = keras.Input((6,))
    h = layers.Reshape((2, 3))(layers.Dense(6, name="a")(inputs))
    h = layers.Flatten()(middle()(h))
    return dgn_tf.GameModel(inputs, layers.Dense(6, name="b")(layers.Dense(5, name="c")(h)))


@pytest.mark.parametrize("name", REPEATED)
def test_an_unmoved_second_pass_is_the_first(name):
    model = around(REPEATED[name])
    x, y = batch()
    model.compile(dgn_tf.DGNOpt(1e-3, curvature="identity"), "mse", run_eagerly=True)
    model.train_on_batch(x, y)
    seen = observed(model)
    states = [v.numpy() for v in model.variables]
    second = SecondPass(seen.first)
    for stage in model.game.stages:
        second.run_stage(stage, [])
    output = second.values[model.game.graph.outputs[0]]
    np.testing.assert_allclose(output, seen.y_pred, rtol=1e-6, atol=1e-6)
    for before, variable in zip(states, model.variables, strict=True):
        np.testing.assert_array_equal(before, variable.numpy())


GENERATORS = (tf.random.Generator.from_seed(1), np.random.default_rng(0))


def in_a_branch(shape):
    return tf.cond(shape[0] > 0, lambda: tf.random.uniform(shape), lambda: tf.zeros(shape))


@pytest.mark.parametrize(
    ("draw", "reason"),
    [
        (lambda shape: tf.random.normal(shape), "it draws by RandomStandardNormal"),
        (lambda shape: GENERATORS[0].normal(shape), "it draws by RngReadAndSkip"),
        (in_a_branch, "it draws by RandomUniform"),
        (lambda shape: float(GENERATORS[1].random()), "traced twice it is not the same"),
    ],
    ids=["tf.random", "a generator of TensorFlow", "in a branch", "NumPy"],
)
def test_what_a_second_pass_cannot_repeat_is_refused_by_name(draw, reason):
    model = around(lambda: Noisy(draw, name="noisy"))
    with pytest.raises(ValueError, match=rf"layer 'noisy'.*{reason}.*SeedGenerator"):
        model.compile(dgn_tf.DGNOpt(1e-3), "mse")
    for optimizer in (dgn_tf.EKFAC(1e-3), dgn_tf.DGNOpt(1e-3, state_feedback=False)):
        model.compile(optimizer, "mse")
    last = dgn_tf.GameModel(model.input, Noisy(draw)(model.get_layer("a").output))
    last.compile(dgn_tf.DGNOpt(1e-3), "mse")


def test_a_layer_that_cannot_be_traced_is_named():
    class Eager(keras.layers.Layer):
        def call(self, x):
            return x * float(np.asarray(ops.sum(x)))

        def compute_output_spec(self, x):
            return keras.KerasTensor(x.shape, x.dtype)

    with pytest.raises(ValueError, match=r"layer 'eager' \(Eager\), which cannot be traced"):
        around(lambda: Eager(name="eager"))
