"""The compiled loss, a function of the output alone, is all that ends a game."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import dgn_tf


@pytest.mark.parametrize("structure", ["open_loop", "cooperative"])
def test_a_loss_knows_the_weights_through_the_output_alone(structure):
    """Elsewhere a player's capture would not show all that its weights do."""
    inputs = keras.Input((6,))
    dense = layers.Dense(4, name="enc")
    h = layers.BatchNormalization(name="norm")(dense(inputs))
    model = dgn_tf.GameModel(inputs, layers.Dense(2)(h))
    x, y = np.ones((3, 6)), np.ones((3, 2))
    norm = model.get_layer("norm")
    losses = {
        "enc/kernel": lambda y, p: ops.mean((y - p) ** 2, -1) + ops.sum(dense.kernel**2),
        "": lambda y, p: ops.mean((y - p * ops.mean(norm.gamma)) ** 2, -1),
    }
    for name, loss in losses.items():
        model.compile(dgn_tf.DGNOpt(0.1, structure, "kfac"), loss)
        if name:
            with pytest.raises(ValueError, match=r"function of the output.*enc/kernel.*add_loss"):
                model.train_on_batch(x, y)
        else:  # what is no player's is led by the tape's gradient
            model.train_on_batch(x, y)
    model.compile(dgn_tf.DGNOpt(0.1, "open_loop", "identity"), losses["enc/kernel"])
    model.train_on_batch(x, y)


def test_the_terminal_cost_is_the_compiled_loss_alone():
    class Own(dgn_tf.GameModel):
        def compute_loss(self, *args, **kwargs):
            return super().compute_loss(*args, **kwargs) + ops.sum(self.layers[1].kernel ** 2)

    inputs = keras.Input((6,))
    model = Own(inputs, layers.Dense(2)(inputs))
    with pytest.raises(ValueError, match=r"compiled loss alone.*Own with a `compute_loss`"):
        model.compile(dgn_tf.DGNOpt(0.1), "mse")
    model.compile(dgn_tf.DGNOpt(0.1, "open_loop", "identity"), "mse")  # by the tape's gradient


@pytest.mark.parametrize(
    "settings", [{"curvature": "kfac"}, {"curvature": "exact"}, {"state_feedback": False}], ids=str
)
def test_a_loss_without_a_gradient_is_refused(settings):
    inputs = keras.Input((6,))
    model = dgn_tf.GameModel(inputs, layers.Dense(2)(inputs))
    model.compile(dgn_tf.DGNOpt(0.1, **settings), lambda y, p: ops.mean(ops.round(y), -1))
    with pytest.raises(ValueError, match="must have a gradient by the trained weights"):
        model.train_on_batch(np.ones((3, 6)), np.ones((3, 2)))


class Half(layers.Layer):
    """Weights of which one takes no part."""

    def build(self, shape):
        self.used = self.add_weight(shape=(shape[-1],), initializer="ones", name="used")
        self.idle = self.add_weight(shape=(shape[-1],), initializer="ones", name="idle")

    def call(self, x):
        return x * self.used


@pytest.mark.parametrize("regularised", [False, True])
def test_weights_without_a_gradient_are_named_once(regularised, recwarn):
    inputs = keras.Input((6,))
    half = Half(name="half")
    outputs = layers.Dense(2)(half(layers.Dense(6)(inputs)))
    if regularised:
        half.idle.regularizer = keras.regularizers.L2(0.1)
    model = dgn_tf.GameModel(inputs, outputs)
    model.compile(dgn_tf.DGNOpt(0.01), "mse")
    idle, used = half.idle.numpy(), half.used.numpy()
    for _ in range(2):
        model.train_on_batch(np.ones((3, 6)), np.ones((3, 2)))
    told = [str(w.message) for w in recwarn if "no gradient" in str(w.message)]
    assert told == (
        [] if regularised else [f"The loss has no gradient by trained weights: {[half.idle.path]}."]
    )
    assert (half.idle.numpy() == idle).all() != regularised
    assert (half.used.numpy() != used).any()
