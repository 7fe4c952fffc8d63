"""A terminal factor of one's own against the built-in one that it repeats; its way to disk."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dgn_tf
from dgn_tf.terminal import Terminal, TerminalFactor
from tests.seeds import set_seed


@keras.saving.register_keras_serializable("tests")
class Spectral(Terminal):
    """All eigenpairs of the Hessian, and a column without curvature for what they leave of φ_x."""

    def __init__(self, floor=1e-12):
        self.floor = floor

    def columns(self, shape):
        return int(np.prod(shape)) + 1

    def factor(self, loss):
        values, vectors = tf.linalg.eigh(loss.hessian())
        C = tf.where(values > self.floor, values, 0.0)
        Z = tf.where(C[..., None] > 0.0, tf.linalg.matrix_transpose(vectors), 0.0)
        v = tf.linalg.matvec(Z, loss.gradient)
        rest = loss.gradient - tf.linalg.matvec(Z, v, transpose_a=True)
        one = tf.ones_like(v[:, :1])
        return TerminalFactor(
            tf.concat([Z, rest[:, None]], 1), tf.concat([v, one], 1), tf.concat([C, 0 * one], 1)
        )

    def get_config(self):
        return {"floor": self.floor}


def model_with(terminal):
    set_seed(0)
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(4, activation="tanh")(inputs)
    model = dgn_tf.GameModel(inputs, keras.layers.Dense(3)(hidden))
    model.compile(
        dgn_tf.DGNOpt(0.1, curvature="identity", terminal=terminal),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


def test_all_eigenpairs_are_the_exact_hessian(float64):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 3)), rng.integers(0, 3, 6)
    moved = []
    for terminal in ("exact", Spectral(), "gauss_newton"):
        model = model_with(terminal)
        model.train_on_batch(x, y)
        moved.append(np.concatenate([weight.ravel() for weight in model.get_weights()]))
    np.testing.assert_allclose(moved[1], moved[0], rtol=1e-9)
    assert np.abs(moved[2] - moved[0]).max() > 1e-4


def test_it_is_saved_with_the_optimizer(tmp_path):
    model = model_with(Spectral(1e-9))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras").optimizer.terminal
    assert isinstance(again, Spectral)
    assert again.floor == 1e-9


def test_what_is_no_terminal_is_refused():
    with pytest.raises(ValueError, match="or a Terminal"):
        dgn_tf.DGNOpt(terminal=Spectral)
