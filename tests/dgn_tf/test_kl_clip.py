"""The trust region of a step against the dense Fisher matrix, by automatic differentiation."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dgn_tf
from tests.seeds import set_seed

DAMPING, RATE, B = 2.0**-6, 0.75, 5


def network():
    set_seed(3)
    inputs = keras.Input((4,))
    h = keras.layers.Dense(3, activation="tanh")(inputs)
    return inputs, keras.layers.Dense(3)(h)


def batch():
    rng = np.random.default_rng(1)
    return rng.normal(size=(B, 4)), rng.integers(0, 3, B)


def dense(model):
    """The gradient and damped Fisher matrix of every layer, through the Jacobian of the logits."""
    x, y = batch()
    with tf.GradientTape() as tape:
        logits = model(x)
    p = tf.nn.softmax(logits).numpy()
    jacobians = tape.jacobian(logits, model.trainable_variables)
    found = []
    for kernel, bias in zip(jacobians[::2], jacobians[1::2], strict=True):
        J = np.concatenate([np.reshape(j, (B, 3, -1)) for j in (kernel, bias)], 2)
        hessian = np.einsum("bi,ij->bij", p, np.eye(3)) - np.einsum("bi,bj->bij", p, p)
        F = np.einsum("bip,bij,bjq->pq", J, hessian, J) / B
        g = np.einsum("bip,bi->p", J, p - np.eye(3)[y]) / B
        found.append((g, F + DAMPING * np.eye(len(F))))
    return found


def step(kl_clip, **settings):
    """What one step moves, every layer's kernel and bias flattened, and the model before it."""
    model = dgn_tf.GameModel(*network())
    before = model.get_weights()
    block = dgn_tf.curvature.GaussNewton(damping=DAMPING, decay=0.0)
    model.compile(
        dgn_tf.DGNOpt(
            RATE, curvature=block, terminal="exact", guard=None, kl_clip=kl_clip, **settings
        ),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    matrices = dense(model)
    model.train_on_batch(*batch())
    moved = [a - b for a, b in zip(before, model.get_weights(), strict=True)]
    pairs = zip(moved[::2], moved[1::2], strict=True)
    return [np.concatenate([kernel.ravel(), bias]) for kernel, bias in pairs], matrices


@pytest.mark.parametrize("kl_clip", [1e-3, 1e-1, 1e9])
def test_open_loop_step_has_the_length_of_the_dense_fisher(float64, kl_clip):
    moved, matrices = step(kl_clip, information_structure="open_loop")
    natural = [RATE * np.linalg.solve(F, g) for g, F in matrices]
    size = sum(d @ F @ d for d, (_, F) in zip(natural, matrices, strict=True))
    scale = min(1.0, np.sqrt(kl_clip / size))
    assert (scale < 1.0) == (kl_clip < 1.0)
    for got, full in zip(moved, natural, strict=True):
        np.testing.assert_allclose(got, scale * full, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("structure", ["open_loop_cooperative", "feedback", "cooperative"])
def test_open_gains_of_the_game_stay_within_it(float64, structure):
    kl_clip, settings = 1e-3, {"information_structure": structure}
    if structure != "open_loop_cooperative":
        settings["state_feedback"] = False
    moved, matrices = step(kl_clip, **settings)
    free, _ = step(None, **settings)

    def size(steps):
        return sum(d @ F @ d for d, (_, F) in zip(steps, matrices, strict=True))

    assert size(free) > kl_clip
    assert 0.2 * kl_clip < size(moved) <= kl_clip
    scales = [np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(moved, free, strict=True)]
    assert scales[0] == pytest.approx(scales[1], rel=1e-9)  # one factor for all layers


@pytest.mark.parametrize("given", [0.0, -1.0, float("nan"), "1e-3", True])
def test_refusals(given):
    with pytest.raises(ValueError, match="kl_clip"):
        dgn_tf.DGNOpt(kl_clip=given)


def test_it_is_a_setting_of_the_optimizers():
    for kind in (dgn_tf.DGNOpt, dgn_tf.KFAC, dgn_tf.EKFAC):
        made = kind(kl_clip=1e-3)
        assert kind.from_config(made.get_config()).kl_clip == 1e-3
        assert kind().kl_clip is None
