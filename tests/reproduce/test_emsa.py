"""EMSA against automatic differentiation, dense solves and what its definition says."""

import functools

import keras
import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf
from sklearn.datasets import load_digits

from reproduce.baselines import hamiltonian
from reproduce.baselines.emsa import EMSAModel, emsa_model
from reproduce.baselines.hamiltonian import Moments, curvature_product, maximise
from tests.seeds import set_seed

layers = keras.layers


def cross_entropy():
    """In the precision that Keras has now."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def branched():
    """A residual block of strided, dilated and unpadded convolutions, and a dense residual end."""
    inputs = keras.Input((9, 8, 2))
    h = layers.Conv2D(3, 3, strides=2, padding="same", activation="tanh", name="stem")(inputs)
    z = layers.Conv2D(3, (3, 2), padding="same", activation="relu", name="same")(h)
    z = layers.Conv2D(3, 3, dilation_rate=(2, 1), padding="same", use_bias=False, name="dilated")(z)
    h = layers.Add()([layers.Conv2D(3, 1, name="shortcut")(h), z])
    left = layers.Conv2D(4, (2, 3), strides=2, name="valid")(h)
    right = layers.Conv2D(4, 2, strides=(2, 3), padding="same", name="strided")(h)
    right = layers.GlobalAveragePooling2D()(right)
    h = layers.Concatenate()([layers.Flatten()(left), layers.BatchNormalization()(right)])
    h = layers.Dense(6, activation="tanh", name="dense")(h)
    h = layers.Add()([h, layers.Dense(6, name="block")(h)])
    return keras.Model(inputs, layers.Dense(3, name="head")(h)), (9, 8, 2)


def sequence():
    """Convolutions along time, a layer used twice, and a matrix with positions."""
    inputs = keras.Input((7, 2))
    h = layers.Conv1D(3, 2, padding="causal", dilation_rate=2, name="first")(inputs)
    shared = layers.Conv1D(3, 3, padding="same", activation="tanh", name="shared")
    h = layers.Add()([h, shared(shared(h))])
    h = layers.Conv1D(3, 2, padding="causal", strides=2, name="causal")(h)
    h = layers.EinsumDense("bpc,cd->bpd", (4, 5), bias_axes="d", name="einsum")(h)
    h = layers.Dense(2, name="rows")(h)
    return keras.Model(inputs, layers.Dense(3, name="head")(layers.Flatten()(h))), (7, 2)


def build(make, batch=5, iterations=5, rate=0.1):
    set_seed(1)
    plain, shape = make()
    model = emsa_model(plain, iterations)
    model.compile(keras.optimizers.SGD(rate), cross_entropy())
    rng = np.random.default_rng(2)
    for variable in model.trainable_variables:
        variable.assign_add(0.3 * rng.standard_normal(variable.shape))
    x, y = rng.standard_normal((batch, *shape)), rng.integers(0, 3, batch)
    return model, tf.constant(x, keras.config.floatx()), tf.constant(y)


@functools.cache
def in_double(make):
    """A built case for tests that change nothing, and its moments; traced once."""
    model, x, y = build(make)
    return model, x, y, observed(model, x, y)


def small():
    inputs = keras.Input((4,))
    h = layers.BatchNormalization()(layers.Dense(5, activation="tanh")(inputs))
    return keras.Model(inputs, layers.Dense(3)(h)), (4,)


def observed(model, x, y):
    """Player name → (player, moments)."""
    players = model._held.game.players
    return {
        p.name: (p, m) for p, m in zip(players, model.observe((x, y))[1], strict=True)
    }  # fmt: skip


def uses_of(model, layer, x, y):
    """(input, cotangent of the per-sample loss at the pre-activation) of every use of a layer.

    A noise of zero is added behind the affine map, so that the loss's gradient by it is the
    cotangent: Keras's own forward pass and one tape.
    """
    plain = keras.Model(model.inputs, model.outputs)
    own, inputs, noises = layer.call, [], []

    def call(value, **kwargs):
        activation, layer.activation = layer.activation, None
        z = own(value, **kwargs)
        layer.activation = activation
        noise = tf.zeros_like(z)
        tape.watch(noise)
        inputs.append(value)
        noises.append(noise)
        return z + noise if activation is None else activation(z + noise)

    layer.call = call
    try:
        with tf.GradientTape() as tape:
            losses = cross_entropy()(y, plain(x, training=True)) * len(x)
        return list(zip(inputs, tape.gradient(losses, noises), strict=True))
    finally:
        layer.call = own


def augmented(player, uses, moving, rho, D):
    """H̃ at the weights plus D, by its definition: forward passes and derivatives of the layer."""
    layer = player.layer
    activation, layer.activation = layer.activation, None
    old = [v.numpy() for v in player.variables]

    def shown():
        found = []
        for x, cotangent in uses:
            with tf.GradientTape() as tape:
                tape.watch(x)
                z = layer(x)
                H = -tf.reduce_sum(z * cotangent)
            found.append((z, H, tape.gradient(H, x)))
        return found

    before = shown()
    for variable, part in zip(player.variables, player.layout.tensors(D), strict=True):
        variable.assign_add(part)
    after = shown()
    for variable, value in zip(player.variables, old, strict=True):
        variable.assign(value)
    layer.activation = activation
    total = 0.0
    for (z0, H0, p0), (z1, H1, p1), moves in zip(before, after, moving, strict=True):
        total += H1 - H0 - 0.5 * rho * tf.reduce_sum((z1 - z0) ** 2)
        if moves:
            total -= 0.5 * rho * tf.reduce_sum((p1 - p0) ** 2)
    return float(total) / len(uses[0][0])


#: Layers whose input no weight can move.
_FIRST = {"stem", "first"}


@pytest.mark.parametrize("make", [branched, sequence])
def test_the_quadratic_is_the_augmented_hamiltonian_of_the_definition(make, float64):
    model, x, y, found = in_double(make)
    rng = np.random.default_rng(3)
    for name, (player, m) in found.items():
        uses = uses_of(model, player.layer, x, y)
        moving = [name not in _FIRST] * len(uses)
        D, rho = 0.7 * rng.standard_normal(m.G.shape), 1.3
        S = None if m.S is None else m.S.numpy()
        assert (S is None) == (name in _FIRST)
        curved = np.sum(D * curvature_product(D, m.A.numpy(), S, m.has_bias))
        quadratic = np.sum(m.G * D) - 0.5 * rho * curved
        expected = augmented(player, uses, moving, rho, D)
        np.testing.assert_allclose(quadratic, expected, rtol=1e-10, err_msg=name)


@pytest.mark.parametrize("make", [branched, sequence])
def test_gradient_of_the_hamiltonian_is_minus_that_of_the_loss(make, float64):
    """Proposition 2: by backpropagation, and by differences of H̃ with the costates of the test."""
    model, x, y, found = in_double(make)
    plain = keras.Model(model.inputs, model.outputs)
    with tf.GradientTape() as tape:
        loss = cross_entropy()(y, plain(x, training=True))
    weights = plain.trainable_variables
    backprop = dict(
        zip([id(v) for v in weights], tape.gradient(loss, [v.value for v in weights]), strict=True)
    )
    for name, (player, m) in found.items():
        for variable, part in zip(player.variables, player.layout.tensors(m.G), strict=True):
            np.testing.assert_allclose(part, -backprop[id(variable)], rtol=1e-10, atol=1e-13)
        uses = uses_of(model, player.layer, x, y)
        D = np.random.default_rng(4).standard_normal(m.G.shape)
        both = [augmented(player, uses, [True] * len(uses), 1.0, sign * D) for sign in (1, -1)]
        slope = (both[0] - both[1]) / 2  # exact for a quadratic
        np.testing.assert_allclose(slope, np.sum(m.G * D), rtol=1e-10, atol=1e-13, err_msg=name)


def test_many_iterations_reach_the_dense_solution(float64):
    """ρ (A D + D̂ S) = G, one linear system; small, so that L-BFGS converges."""
    player, m = in_double(branched)[3]["block"]
    rho = 0.4
    size = m.G.shape[0] * m.G.shape[1]
    basis = np.eye(size).reshape(size, *m.G.shape)
    assert player.layout.outputs == 6
    A, S = m.A.numpy(), m.S.numpy()
    without_bias = np.diag([1.0] * 6 + [0.0])
    hessian = rho * (np.kron(A, np.eye(6)) + np.kron(without_bias, S))
    by_columns = [curvature_product(e, A, S, True).ravel() for e in basis]
    np.testing.assert_allclose(rho * np.stack(by_columns), hessian, atol=1e-14)
    # G plus a multiple of the identity on the left keeps the system well conditioned.
    damped = Moments(m.G, A + np.eye(7), S, True)
    hessian += rho * np.kron(np.eye(7), np.eye(6))
    expected = np.linalg.solve(hessian, np.ravel(m.G)).reshape(m.G.shape)
    found = maximise(damped, rho, 500)
    assert not found.failed
    np.testing.assert_allclose(found.change, expected, rtol=0, atol=1e-7 * np.abs(expected).max())
    np.testing.assert_allclose(found.gain, 0.5 * np.sum(m.G * expected) * rho, rtol=1e-8)
    assert maximise(damped, rho, 1).gain < maximise(damped, rho, 3).gain < found.gain


def test_one_iteration_is_the_gradient_step_of_the_best_length(float64):
    for player, m in in_double(branched)[3].values():
        G = m.G.numpy()
        S = None if m.S is None else m.S.numpy()
        product = curvature_product(G, m.A.numpy(), S, player.has_bias)
        best = G * (np.sum(G * G) / (2.5 * np.sum(G * product)))
        np.testing.assert_allclose(maximise(m, 2.5, 1).change, best, rtol=1e-9, atol=1e-15)


def test_the_step_is_proportional_to_one_over_rho(float64):
    """Why there is one knob: a relaxation of the step is another ρ."""
    for _, m in in_double(branched)[3].values():
        one, other = (maximise(m, rho, 4).change for rho in (0.01, 100.0))
        np.testing.assert_allclose(one, 1e4 * other, rtol=1e-9)


def test_a_step_moves_players_by_their_maximisers_and_the_others_by_the_gradient(float64):
    model, x, y = build(branched, rate=0.25)
    assert model.rho == 4.0
    found = observed(model, x, y)
    rest = model.observe((x, y))[2]
    expected = {}
    for player, m in found.values():
        D = tf.constant(maximise(m, 4.0, 5).change)
        for variable, part in zip(player.variables, player.layout.tensors(D), strict=True):
            expected[variable.path] = variable.numpy() + part.numpy()
    normal = next(b for b in model._held.game.bystanders)
    for variable, gradient in zip(normal.variables, rest, strict=True):
        expected[variable.path] = variable.numpy() - 0.25 * gradient.numpy()
    assert len(expected) == len(model.trainable_variables)
    model.train_on_batch(x, y)
    for variable in model.trainable_variables:
        np.testing.assert_allclose(variable, expected[variable.path], rtol=1e-12, atol=1e-14)
    assert int(model.optimizer.iterations) == 1


def test_large_matrices_are_multiplied_alike_by_tensorflow(float64, monkeypatch):
    found = in_double(branched)[3]
    here = [maximise(m, 1.0, 3).change for _, m in found.values()]
    monkeypatch.setattr(hamiltonian, "_LARGE", 0)
    for change, (_, m) in zip(here, found.values(), strict=True):
        np.testing.assert_allclose(maximise(m, 1.0, 3).change, change, rtol=1e-9, atol=1e-14)


def test_what_is_not_finite_leaves_the_weights_and_is_counted():
    model, x, y = build(small)
    before = [v.numpy() for v in model.trainable_variables]
    poisoned = x.numpy()
    poisoned[0] = np.nan
    history = model.fit(poisoned, y, batch_size=5, epochs=2, verbose=0).history
    for variable, value in zip(model.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    players, normal = len(model._held.game.players), 2
    assert history["failed_updates"] == [players + normal, 2 * (players + normal)]
    flat = maximise(Moments(np.ones((2, 2)), np.zeros((2, 2)), None, False), 1.0, 3)
    assert flat.failed
    assert not flat.change.any()
    still = maximise(Moments(np.zeros((2, 2)), np.eye(2), None, False), 1.0, 3)
    assert not still.failed
    assert not still.change.any()


def test_it_learns_digits_through_fit():
    keras.utils.set_random_seed(0)
    data = load_digits()
    x, y = (data.data / 16.0).astype("float32"), data.target
    inputs = keras.Input((64,))
    h = layers.Dense(32, activation="relu")(inputs)
    h = layers.ReLU()(layers.Add()([h, layers.Dense(32)(h)]))
    model = emsa_model(keras.Model(inputs, layers.Dense(10)(h)))
    model.compile(keras.optimizers.SGD(0.5), cross_entropy(), metrics=["accuracy"])
    decay = keras.callbacks.LearningRateScheduler(lambda epoch: 0.5 if epoch < 3 else 0.1)
    history = model.fit(x[:1400], y[:1400], batch_size=128, epochs=4, verbose=0, callbacks=[decay])
    assert model.rho == pytest.approx(10.0)
    assert history.history["failed_updates"][-1] == 0
    assert model.evaluate(x[1400:], y[1400:], verbose=0, return_dict=True)["accuracy"] > 0.85
    assert model.predict(x[:3], verbose=0).shape == (3, 10)


@pytest.mark.parametrize(
    "optimizer",
    ["adam", keras.optimizers.SGD(0.1, momentum=0.9), keras.optimizers.SGD(0.1, clipnorm=1.0)],
)
def test_other_optimizers_are_refused(optimizer):
    model, _, _ = build(small)
    with pytest.raises(ValueError, match="takes a plain"):
        model.compile(optimizer, cross_entropy())


def test_other_refusals():
    plain = small()[0]
    with pytest.raises(ValueError, match="`iterations` must be a positive integer"):
        EMSAModel(plain.input, plain.output, iterations=0)
    inputs = keras.Input((3,))
    with pytest.raises(ValueError, match="at least one trainable"):
        emsa_model(keras.Model(inputs, layers.ReLU()(inputs)))


@pytest.mark.parametrize("value, place", [(0.0, 1.0), (np.nan, 1.0), (-1.0, np.inf)])
def test_a_search_without_a_better_point_is_a_failure(monkeypatch, value, place):
    result = scipy.optimize.OptimizeResult(x=np.full(4, place), fun=value)
    monkeypatch.setattr(scipy.optimize, "minimize", lambda *_, **__: result)
    found = maximise(Moments(np.ones((2, 2)), np.eye(2), None, False), 1.0, 3)
    assert found.failed
    assert not found.change.any()
