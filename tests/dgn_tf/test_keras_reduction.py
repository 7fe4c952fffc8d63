"""Masks, weights, labels and reductions: the terminal cost against autodiff of Keras's own loss."""

import itertools
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import dgn_tf
from dgn_tf.step.observe import observe
from dgn_tf.terminal.leading import softmax_pairs
from tests.seeds import set_seed

B, T, K = 3, 4, 3
losses = keras.losses


@pytest.fixture(autouse=True)
def _double():
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx(before)


def quartic(y_true, y_pred):
    """A user's loss with labels of its own and a scale per position."""
    return tf.reduce_sum((tf.cast(y_true, y_pred.dtype) - y_pred) ** 4, axis=-1)


def ignoring(**kwargs):
    return losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=1, **kwargs)


#: name → (loss, activation of the head, kind of labels)
LOSSES = {
    "sparse": (
        lambda **k: losses.SparseCategoricalCrossentropy(from_logits=True, **k),
        None,
        "labels",
    ),
    "sparse column": (losses.SparseCategoricalCrossentropy, "softmax", "column"),
    "ignore_class": (ignoring, None, "labels"),
    "smoothed": (
        lambda **k: losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1, **k),
        None,
        "one_hot",
    ),
    "no probabilities": (losses.CategoricalCrossentropy, "softmax", "values"),
    "binary": (lambda **k: losses.BinaryCrossentropy(label_smoothing=0.2, **k), "sigmoid", "bits"),
    "binary logits": (lambda **k: losses.BinaryCrossentropy(from_logits=True, **k), None, "bits"),
    "square": (losses.MeanSquaredError, None, "values"),
    "square broadcast": (losses.MeanSquaredError, None, "one value"),
    "log_cosh": (losses.LogCosh, "tanh", "values"),
    "focal": (losses.CategoricalFocalCrossentropy, "softmax", "one_hot"),
    "own function": (quartic, None, "bits"),
}
MASKS = ("none", "mask")
WEIGHTS = ("none", "sample", "position")
REDUCTIONS = ("sum_over_batch_size", "sum", "mean_with_sample_weight")
#: Every pair of loss, mask, weights, reduction and approximate terminal factor at least once.
CASES = [
    (
        name,
        MASKS[(i + j) % 2],
        WEIGHTS[j],
        REDUCTIONS[(i + j) % 3],
        ("rank_one", 2)[(i // 2 + j) % 2],
    )
    for (i, name), j in itertools.product(enumerate(LOSSES), range(3))
]


def data(labels, weights, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(B, T, 2))
    x[0, 2:] = 0.0  # padding
    x[2, 3:] = 0.0
    y = {
        "labels": lambda: rng.integers(K, size=(B, T)),
        "column": lambda: rng.integers(K, size=(B, T, 1)),
        "one_hot": lambda: np.eye(K)[rng.integers(K, size=(B, T))],
        "bits": lambda: rng.integers(2, size=(B, T, K)),
        "values": lambda: rng.uniform(0.1, 1.0, (B, T, K)),
        "one value": lambda: rng.uniform(0.1, 1.0, (B, T, 1)),
    }[labels]()
    w = {
        "none": None,
        "sample": np.array([[2.0], [0.0], [0.5]]),
        "position": rng.uniform(0, 2, (B, T)),
    }
    return x, y, w[weights]


def build(loss, activation, mask, terminal, reduction, loss_weight=0.7):
    set_seed(3)
    inputs = keras.Input((T, 2))
    h = keras.layers.Masking()(inputs) if mask == "mask" else inputs
    outputs = keras.layers.Dense(K, activation=activation, name="head")(h)
    model = dgn_tf.GameModel(inputs, outputs)
    made = loss(reduction=reduction) if loss is not quartic else quartic
    model.compile(dgn_tf.DGNOpt(terminal=terminal), made, loss_weights=[loss_weight])
    return model


def derivatives(model, x, y, w, activation):
    """B times the gradient and the Hessian of Keras's loss by every sample's pre-activations."""
    head = model.get_layer("head")
    linear = keras.Model(model.input, head.input)
    mask = model(x)._keras_mask if hasattr(model(x), "_keras_mask") else None
    z = tf.Variable(linear(x) @ head.kernel.value + head.bias.value)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            y_pred = keras.activations.get(activation)(tf.convert_to_tensor(z))
            if mask is not None:
                y_pred._keras_mask = mask
            loss = model.compute_loss(x, tf.constant(y), y_pred, w)
        gradient = inner.gradient(loss, z)
    hessian = outer.jacobian(gradient, z).numpy().reshape(B, T * K, B, T * K)
    for a, b in itertools.permutations(range(B), 2):
        assert np.abs(hessian[a, :, b]).max() < 1e-14  # the samples are apart
    blocks = np.stack([hessian[b, :, b] for b in range(B)])
    return float(loss), B * gradient.numpy().reshape(B, -1), B * blocks


def factor_of(model, terminal, x, y, w):
    weights = None if w is None else tf.constant(w)
    seen = observe(model, terminal, (tf.constant(x), tf.constant(y), weights), captures=True)
    Z = tf.reshape(seen.factor.Z, (B, seen.factor.Z.shape[1], -1)).numpy()
    C, v = seen.factor.C.numpy(), seen.factor.v.numpy()
    curvature = np.einsum("bri,br,brj->bij", Z, C, Z)
    return float(seen.loss), np.einsum("bri,br->bi", Z, v), curvature, C


@pytest.mark.parametrize("name, mask, weights, reduction, approximate", CASES)
def test_value_gradient_and_curvature(name, mask, weights, reduction, approximate):
    loss, activation, labels = LOSSES[name]
    x, y, w = data(labels, weights)
    model = build(loss, activation, mask, "exact", reduction)
    value, gradient, hessian = derivatives(model, x, y, w, activation)
    # The square and the user's losses end in the head's output, the others in its logits.
    if activation == "tanh" or name == "focal":
        return _outputs(model, name, x, y, w, value)
    for terminal in ("exact", approximate):
        found, slope, curvature, C = factor_of(model, terminal, x, y, w)
        assert found == pytest.approx(value, rel=1e-6)
        np.testing.assert_allclose(slope, gradient, atol=1e-7)
        if terminal == "exact":
            np.testing.assert_allclose(curvature, hessian, atol=2e-6)
        elif terminal == 2:
            best = np.linalg.eigvalsh(hessian)[:, -2:].clip(0)
            mine = np.linalg.eigvalsh(curvature)[:, -2:]
            np.testing.assert_allclose(mine, best, atol=1e-6)
        else:
            square = (gradient**2).sum(1)
            along = np.einsum("bi,bij,bj->b", gradient, hessian, gradient)
            match = np.divide(along, square**2, out=np.zeros(B), where=square > 1e-12)
            np.testing.assert_allclose(C[:, 0], match.clip(0), rtol=2e-5, atol=1e-9)
    return None


def _outputs(model, name, x, y, w, value):
    """Where x_T is the output behind an activation, its own derivatives are the truth."""
    y_pred = tf.Variable(model(x))
    mask = getattr(model(x), "_keras_mask", None)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            seen = tf.convert_to_tensor(y_pred)
            if mask is not None:
                seen._keras_mask = mask
            loss = model.compute_loss(x, tf.constant(y), seen, w)
        gradient = inner.gradient(loss, y_pred)
    hessian = outer.jacobian(gradient, y_pred).numpy().reshape(B, T * K, B, T * K)
    hessian = B * np.stack([hessian[b, :, b] for b in range(B)])
    found, slope, curvature, _ = factor_of(model, "exact", x, y, w)
    assert found == pytest.approx(value, rel=1e-6)
    np.testing.assert_allclose(slope, B * gradient.numpy().reshape(B, -1), atol=1e-7)
    values, vectors = np.linalg.eigh(hessian)
    positive = np.einsum("bir,br,bjr->bij", vectors, values.clip(0), vectors)
    np.testing.assert_allclose(curvature, positive, atol=1e-6)


@pytest.mark.parametrize("scale", [0.0, 1.0, 8.0])
def test_leading_pairs_of_many_classes(scale):
    """The Ritz values against a dense eigendecomposition: flat, ordinary and sharp softmax."""
    p = tf.nn.softmax(scale * np.random.default_rng(1).normal(size=(4, 300)))
    values, rows = softmax_pairs(p, 5)
    dense = np.linalg.eigvalsh(np.stack([np.diag(q) - np.outer(q, q) for q in p.numpy()]))[:, -5:]
    np.testing.assert_allclose(values, dense, rtol=1e-3)
    np.testing.assert_allclose(rows @ tf.transpose(rows, (0, 2, 1)), [np.eye(5)] * 4, atol=1e-9)
    product = tf.einsum("bri,bi,bsi->brs", rows, p, rows) - (
        s := rows @ p[..., None]
    ) * tf.transpose(s, (0, 2, 1))
    np.testing.assert_allclose(product, tf.linalg.diag(values), atol=1e-9)


def scalar(y_true, y_pred):
    return tf.reduce_mean((tf.cast(y_true, y_pred.dtype) - y_pred) ** 2)


class Own(losses.Loss):
    """A loss that reduces by itself."""

    def __call__(self, y_true, y_pred, sample_weight=None):
        return scalar(y_true, y_pred)


def mixing(y_true, y_pred):
    """A number for every sample, which depends on the others."""
    error = (tf.cast(y_true, y_pred.dtype) - y_pred) ** 2
    return tf.reduce_mean(error, axis=[1, 2]) / tf.reduce_mean(error)


@pytest.mark.filterwarnings("ignore:The loss .* (is one number for the whole|mixes the samples)")
@pytest.mark.parametrize("loss", [scalar, Own(), losses.Dice(), losses.Tversky(), mixing])
def test_one_number_for_the_batch_has_the_gauss_newton_match(loss):
    x, y, _ = data("bits", "none")
    model = build(quartic, "sigmoid", "none", "rank_one", "sum")
    model.compile(dgn_tf.DGNOpt(terminal="rank_one"), loss)
    plain = keras.Model(model.input, model.output)
    plain.compile("sgd", loss, run_eagerly=True)
    truth = plain.evaluate(x, y, verbose=0)
    found, slope, curvature, C = factor_of(model, "rank_one", x, y, None)
    assert found == pytest.approx(truth, rel=1e-6)
    np.testing.assert_allclose(C, np.ones((B, 1)), rtol=1e-6)
    np.testing.assert_allclose(curvature, slope[:, :, None] * slope[:, None, :], atol=1e-12)
    for optimizer in (dgn_tf.DGNOpt(0.01), dgn_tf.EKFAC(0.01)):
        model.compile(optimizer, loss, run_eagerly=True)
        assert np.isfinite(model.train_on_batch(x, y, return_dict=True)["loss"])
    text: list = []
    for show in (model.summary, model.game.summary):
        show(print_fn=text.append)
        assert "Gauss-Newton" in text[-1]

    def exact():
        model.compile(dgn_tf.DGNOpt(0.01, terminal="exact"), loss)
        model.train_on_batch(x, y)

    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match="rank_one"):
        exact()


def test_a_number_for_every_unit_is_of_the_whole_batch():
    """In a graph, where the size of the batch is not known."""
    x, y, _ = data("bits", "none")
    model = build(quartic, "sigmoid", "none", "rank_one", "sum")
    model.compile(dgn_tf.DGNOpt(), lambda t, p: tf.reduce_mean((tf.cast(t, p.dtype) - p) ** 2, 0))
    with pytest.warns(UserWarning, match="one number for the whole batch"):
        history = model.fit(x, y, batch_size=2, shuffle=False, verbose=0).history
    assert history["skipped_steps"] == [0]


def test_the_summary_says_at_compile_that_a_loss_has_no_curvature():
    model = build(quartic, "sigmoid", "none", "rank_one", "sum")
    for loss, said in ((losses.Dice(), True), (losses.Dice(axis=(1, 2)), False), ("mse", False)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.compile(dgn_tf.DGNOpt(), loss)
        text = model.game.summary(print_fn=None)
        assert ("one number for the whole batch" in text) == said == bool(caught)
    model.compile(dgn_tf.DGNOpt(information_structure="open_loop", curvature="adam"), "dice")
    assert "Gauss-Newton" not in model.game.summary(print_fn=None)


def overlap(y_true, y_pred):
    """Binary cross-entropy, which reads the logits behind a sigmoid, and Dice, which does not."""
    y = tf.cast(y_true, y_pred.dtype)
    both, all_of = tf.reduce_sum(y * y_pred, -1), tf.reduce_sum(y + y_pred, -1)
    return losses.binary_crossentropy(y, y_pred) - 2 * both / (all_of + 1)


#: name → (loss, activation of the head, kind of labels): Keras goes past the activation.
LOGITS = {
    "binary focal": (losses.BinaryFocalCrossentropy, "sigmoid", "bits"),
    "overlap": (lambda: overlap, "sigmoid", "bits"),
    "logits said of a softmax": (
        lambda: losses.CategoricalCrossentropy(from_logits=True),
        "softmax",
        "one_hot",
    ),
    "softmax of a sigmoid": (losses.CategoricalCrossentropy, "sigmoid", "one_hot"),
}


@pytest.mark.parametrize("name", LOGITS)
@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.filterwarnings("ignore:.*received `from_logits=True`")
def test_losses_that_go_past_the_activation_to_the_logits(name, traced):
    loss, activation, labels = LOGITS[name]
    x, y, w = data(labels, "position")
    model = build(quartic, activation, "none", "exact", "sum")
    model.compile(dgn_tf.DGNOpt(terminal="exact"), loss(), loss_weights=[0.7])
    value, gradient, hessian = derivatives(model, x, y, w, activation)

    def parts():
        data = (tf.constant(x), tf.constant(y), tf.constant(w))
        seen = observe(model, "exact", data, captures=True)
        return seen.loss, seen.factor.Z, seen.factor.C, seen.factor.v

    found, Z, C, v = tf.function(parts, autograph=False)() if traced else parts()
    assert float(found) == pytest.approx(value, rel=1e-6)
    Z = tf.reshape(Z, (B, Z.shape[1], -1)).numpy()
    np.testing.assert_allclose(np.einsum("bri,br->bi", Z, v), gradient, atol=1e-7)
    values, vectors = np.linalg.eigh(hessian)
    positive = np.einsum("bir,br,bjr->bij", vectors, values.clip(0), vectors)
    np.testing.assert_allclose(np.einsum("bri,br,brj->bij", Z, C, Z), positive, atol=1e-6)


def steep(y_true, y_pred):
    """Its second derivative is infinite where a prediction is met."""
    return tf.reduce_mean(tf.abs(tf.cast(y_true, y_pred.dtype) - y_pred) ** 1.5, axis=-1)


def test_where_there_is_no_second_derivative_the_match_is_gauss_newton():
    x, y, _ = data("values", "none")
    model = build(quartic, None, "none", "rank_one", "sum")
    model.compile(dgn_tf.DGNOpt(), steep)
    y[0] = model(x)[0]
    y[0, 0] += 0.1
    _, slope, curvature, C = factor_of(model, "rank_one", x, y, None)
    assert C[0, 0] == pytest.approx(1.0, rel=1e-6)
    np.testing.assert_allclose(curvature[0], np.outer(slope[0], slope[0]), rtol=1e-6, atol=1e-12)


@pytest.mark.filterwarnings("ignore:The loss .ctc. cannot be differentiated twice")
def test_ctc_trains_as_keras_does():
    x, _, _ = data("labels", "none")
    y = np.array([[1, 2], [2, 0], [1, 0]])
    model = build(quartic, None, "none", "rank_one", "sum")
    plain = keras.Model(model.input, model.output)
    plain.compile(keras.optimizers.SGD(1.0), losses.CTC())
    before = model.get_weights()
    model.compile(dgn_tf.DGNOpt(2.0**-16, curvature="identity"), losses.CTC())
    found = model.train_on_batch(x, y, return_dict=True)["loss"]
    moved = [(a - b) * 2.0**16 for a, b in zip(before, model.get_weights(), strict=True)]
    model.set_weights(before)
    assert plain.train_on_batch(x, y) == pytest.approx(found, rel=1e-5)
    for step, a, b in zip(moved, before, plain.get_weights(), strict=True):
        np.testing.assert_allclose(step, a - b, rtol=2e-2, atol=2e-3)
