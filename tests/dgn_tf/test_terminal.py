"""Factors of the terminal Hessian against automatic differentiation of Keras's own losses."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from dgn_tf.rules import Rules
from dgn_tf.terminal.factor import get
from dgn_tf.terminal.loss import Generic, Separable, Softmax

B = 4
SHAPES = {"vector": (5,), "sequence": (3, 4)}


def per_sample(family):
    """Keras's loss of one sample as a function of the output."""
    if family == "softmax":
        return lambda y, x: keras.losses.categorical_crossentropy(
            y, x, from_logits=True, label_smoothing=0.1
        )
    if family == "sigmoid":
        return lambda y, x: keras.losses.binary_crossentropy(y, x, from_logits=True)
    if family == "square":
        return keras.losses.mean_squared_error
    return lambda y, x: tf.reduce_mean(keras.ops.logaddexp(x - y, y - x), axis=-1)


def make(family, shape, weighted, dtype="float64", scale=2.0, seed=0):
    """The loss as the package sees it, its gradient, and its Hessian by autodiff."""
    rng = np.random.default_rng(seed)
    x = tf.constant(scale * rng.standard_normal((B, *shape)), dtype)
    if family == "softmax":
        labels = np.eye(shape[-1])[rng.integers(shape[-1], size=(B, *shape[:-1]))]
        y = tf.constant(labels, dtype)
    else:
        y = tf.constant(rng.uniform(size=(B, *shape)), dtype)
    w = tf.constant(rng.uniform(0.2, 3.0, B) if weighted else np.ones(B), dtype)

    def fn(x, y=y, w=w):
        loss = per_sample(family)(y, x)
        return w * tf.reduce_mean(tf.reshape(loss, (tf.shape(x)[0], -1)), axis=-1)

    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            total = tf.reduce_sum(fn(x))
        phi_x = inner.gradient(total, x)
    d = int(np.prod(shape))
    exact = tf.reshape(outer.batch_jacobian(phi_x, x), (B, d, d)).numpy()
    places = shape[:-1] if family == "softmax" else shape
    alpha = tf.reshape(w, (B,) + (1,) * len(places)) * tf.ones((B, *places), dtype)
    alpha /= max(1, np.prod(places))
    settings = {"x": x, "phi_x": phi_x, "weight": w if weighted else None}
    if family == "softmax":
        loss = Softmax(alpha=alpha, **settings)
    elif family == "generic":
        loss = Generic(fn=fn, **settings)
    else:
        p = tf.sigmoid(x)
        bend = p * (1.0 - p) if family == "sigmoid" else tf.constant(2.0, dtype)
        loss = Separable(curvature=alpha * bend, **settings)
    return loss, tf.reshape(phi_x, (B, d)).numpy(), exact


def product(terminal):
    """Z C Z' and Z v of every sample."""
    Z = tf.reshape(terminal.Z, (B, terminal.Z.shape[1], -1)).numpy()
    C, v = terminal.C.numpy(), terminal.v.numpy()
    return np.einsum("bri,br,brj->bij", Z, C, Z), np.einsum("bri,br->bi", Z, v)


FAMILIES = ["softmax", "sigmoid", "square", "generic"]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("weighted", [False, True])
def test_against_automatic_differentiation(family, shape, weighted):
    loss, gradient, exact = make(family, SHAPES[shape], weighted)
    size = np.prod(SHAPES[shape])
    np.testing.assert_allclose(loss.hessian(), exact, atol=1e-13)

    root = get("exact").factor(loss)
    assert root.Z.shape[1] == size
    curvature, slope = product(root)
    np.testing.assert_allclose(curvature, exact, atol=1e-13)
    np.testing.assert_allclose(slope, gradient, atol=1e-13)

    match = get("rank_one").factor(loss)
    w = np.ones(B) if loss.weight is None else loss.weight.numpy()
    square = (gradient**2).sum(1)
    h = np.einsum("bi,bij,bj->b", gradient, exact, gradient) / square**2 * w
    np.testing.assert_allclose(match.C.numpy()[:, 0], np.clip(h, 0, 100) / w, rtol=1e-11)
    np.testing.assert_array_equal(match.Z.numpy()[:, 0], loss.phi_x)
    np.testing.assert_array_equal(match.v, np.ones((B, 1)))

    plain = get("gauss_newton").factor(loss)
    np.testing.assert_allclose(plain.C.numpy()[:, 0], 1 / w, rtol=1e-14)

    for rank in (1, 3):
        top = get(rank).factor(loss)
        assert top.Z.shape[1] == rank + 1
        curvature, slope = product(top)
        values, vectors = np.linalg.eigh(exact)
        best = np.einsum(
            "bir,br,bjr->bij", vectors, values * (values >= values[:, [-rank]]), vectors
        )
        if values[0, -rank] > values[0, -rank - 1] + 1e-9:  # a unique best approximation
            np.testing.assert_allclose(curvature[0], best[0], atol=1e-12)
        np.testing.assert_allclose(slope, gradient, atol=1e-13)


def test_best_rank_one_match_is_the_nearest_multiple():
    """h minimises |φ_xx - h φ_x φ_x'| in Frobenius norm."""
    loss, gradient, exact = make("softmax", (5,), False)
    h = get("rank_one").factor(loss).C.numpy()[:, 0]
    for b in range(B):
        outer = np.outer(gradient[b], gradient[b])
        error = [np.linalg.norm(exact[b] - t * outer) for t in (h[b], h[b] * 1.01, h[b] * 0.99)]
        assert error[0] < min(error[1:])


def test_without_the_residual_column_most_of_the_gradient_is_lost():
    loss, gradient, _ = make("softmax", (5,), False, seed=1)
    top = get(1).factor(loss)
    Z, v = top.Z.numpy()[:, :1], top.v.numpy()[:, :1]
    lost = np.linalg.norm(gradient - np.einsum("bri,br->bi", Z, v), axis=1)
    assert (lost / np.linalg.norm(gradient, axis=1)).max() > 0.5


@pytest.mark.parametrize("family", ["softmax", "sigmoid"])
@pytest.mark.parametrize("kind", ["exact", "rank_one", "gauss_newton", 2])
def test_saturated_outputs_in_single_precision(family, kind):
    """Probabilities that underflow: finite, and the gradient is not lost."""
    loss, gradient, exact = make(family, (5,), False, "float32", scale=150.0)
    terminal = get(kind).factor(loss)
    curvature, slope = product(terminal)
    assert np.isfinite(terminal.Z).all()
    assert np.isfinite(terminal.v).all()
    np.testing.assert_allclose(slope, gradient, atol=1e-5 * np.abs(gradient).max())
    if kind == "exact":
        np.testing.assert_allclose(curvature, exact, atol=1e-6)
    assert 0 <= terminal.C.numpy().min() <= terminal.C.numpy().max() <= 100


def test_vanishing_gradients_and_weights_have_no_curvature():
    x = tf.constant([[200.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    target = tf.constant([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    w = tf.constant([1.0, 0.0])
    phi_x = w[:, None] * (tf.nn.softmax(x) - target)
    loss = Softmax(x=x, alpha=w, phi_x=phi_x, weight=w)
    for kind in ("rank_one", "exact", "gauss_newton", 1):
        terminal = get(kind).factor(loss)
        curvature = np.einsum("bri,br,brj->bij", terminal.Z, terminal.C, terminal.Z)
        assert np.abs(curvature).max() < 1e-12
    assert get("rank_one").factor(loss).C.numpy().tolist() == [[0.0], [0.0]]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_negative_weight_keeps_its_gradient_and_has_no_curvature(family):
    loss, _, exact = make(family, SHAPES["sequence"], False)
    sign = tf.constant([-1.0, 1.0, 1.0, 1.0], "float64")
    each = {"phi_x": sign[:, None, None] * loss.phi_x, "weight": sign}
    if family == "generic":
        turned = replace(loss, fn=lambda x: sign * loss.fn(x), **each)
    else:
        name = "alpha" if family == "softmax" else "curvature"
        weights = getattr(loss, name)
        shape = (-1,) + (1,) * (len(weights.shape) - 1)
        turned = replace(loss, **each, **{name: tf.reshape(sign, shape) * weights})
    exact[0] = 0.0
    for kind in ("rank_one", "exact", 2):
        curvature, slope = product(get(kind).factor(turned))
        np.testing.assert_allclose(slope, turned.gradient, atol=1e-13)
        np.testing.assert_allclose(curvature[0], exact[0], atol=1e-13)
        if kind == "exact":
            np.testing.assert_allclose(curvature, exact, atol=1e-13)


def test_views_of_the_curvature():
    terminal = get(2).factor(make("softmax", (5,), True)[0])
    np.testing.assert_allclose(terminal.curvature_scale.numpy() ** 2, terminal.C)


@pytest.mark.parametrize(
    "terminal, message",
    [("best", "terminal"), (0, "positive rank"), (1.5, "terminal"), (True, "terminal")],
)
def test_kinds_that_are_none(terminal, message):
    with pytest.raises(ValueError, match=message):
        Rules(terminal=terminal)


def test_a_rank_above_the_size_of_the_output_is_refused():
    with pytest.raises(ValueError, match="between 1 and"):
        get(6).factor(make("softmax", (5,), False)[0])
