"""The terminal cost of the game, factored per sample.

The recursions start from the loss φ^b of every sample as a function of the network's output x:
``φ_xx^b ≈ Z^b C_T^b Z^b'`` and ``φ_x^b = Z^b v_T^b``, Z^b with R columns. Which Z decides the cost
(R is the number of backward passes) and how much of the curvature is kept:

- ``rank_one``: Z = φ_x and the best match h of φ_xx in that direction, h = φ_x'φ_xx φ_x / |φ_x|⁴;
- ``gauss_newton``: Z = φ_x, h = 1;
- ``exact``: a square root of φ_xx, R = the size of x;
- an integer R: the R largest eigenpairs of φ_xx, and one column of zero curvature that carries what
  is left of φ_x, which does not lie in that eigenspace.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

FAMILIES = ("softmax", "sigmoid", "square", "generic")
KINDS = ("rank_one", "gauss_newton", "exact")
LARGEST_MATCH = 100.0
"""Upper limit of h: a confidently right sample has a vanishing φ_x and an unbounded quotient."""


@dataclass(frozen=True)
class TerminalLoss:
    """The loss of every sample as a function of the final state.

    Attributes:
        family: ``softmax``: cross-entropy of the softmax over x's last axis; ``sigmoid``: binary
            cross-entropy of the sigmoid of every entry; ``square``: (x - target)² of every entry;
            ``generic``: `fn`.
        x: ``(B, d...)``, logits, or the prediction for ``square``.
        target: of the shape of x: probabilities that sum to one (softmax), probabilities, values.
        alpha: weight of every elementary loss, of the shape of x, without the last axis for
            ``softmax``.
        phi_x: ``(B, d...)``, the gradient of φ^b, weights included.
        fn: for ``generic``, maps x to φ^b ``(B,)``, twice differentiable and sample by sample.
        weight: ``(B,)``, the sample weights, which alpha and phi_x already contain; ones when None.
    """

    family: str
    x: tf.Tensor
    target: tf.Tensor | None
    alpha: tf.Tensor | None
    phi_x: tf.Tensor
    fn: Callable[[tf.Tensor], tf.Tensor] | None = None
    weight: tf.Tensor | None = None


@dataclass(frozen=True)
class TerminalFactor:
    """``φ_xx^b ≈ Z^b diag(C^b) Z^b'``, ``φ_x^b = Z^b v^b``.

    Attributes:
        Z: ``(B, R, d...)``, the columns of the factor, without 1/B.
        v: ``(B, R)``.
        C: ``(B, R)``, the diagonal of C_T, not negative.
    """

    Z: tf.Tensor
    v: tf.Tensor
    C: tf.Tensor
    is_diagonal: bool = True

    @property
    def curvature_scale(self) -> tf.Tensor:
        """``(B, R)``, the square root of C."""
        return tf.sqrt(self.C)

    def root(self) -> tf.Tensor:
        """``(B R,)``, the diagonal of S with C_T = S S'."""
        return tf.reshape(self.curvature_scale, [-1])

    def dense_C(self) -> tf.Tensor:
        """``(B R, B R)``, C_T as a matrix."""
        return tf.linalg.diag(tf.reshape(self.C, [-1]))


def columns(kind: str | int, family: str, classes: int | Sequence[int]) -> int:
    """The number of columns R of the factor.

    Args:
        kind: ``rank_one``, ``gauss_newton``, ``exact`` or a rank.
        family: of the loss.
        classes: the size of x's last axis, or the whole shape of x without the batch.

    Raises:
        TypeError: for a rank that is no integer.
        ValueError: for an unknown kind or family, and for a rank outside 1 to the size of x.
    """
    size = classes if isinstance(classes, int) else math.prod(classes)
    if family not in FAMILIES:
        raise ValueError(f"`family` must be one of {', '.join(FAMILIES)}. Received: {family!r}.")
    if isinstance(kind, str):
        if kind not in KINDS:
            raise ValueError(
                f"`terminal` must be one of {', '.join(KINDS)} or a rank. Received: {kind!r}."
            )
        return size if kind == "exact" else 1
    if isinstance(kind, bool) or not isinstance(kind, int):
        raise TypeError(f"`terminal` must be a name or an integer rank. Received: {kind!r}.")
    if not 1 <= kind <= size:
        raise ValueError(
            "The rank of the terminal factor must lie between 1 and the size of the network's "
            f"output, {size}. Received: {kind}."
        )
    return kind + 1


def factor(kind: str | int, loss: TerminalLoss) -> TerminalFactor:
    """The factor of the terminal Hessian.

    With sample weights the cotangents are weighted, so that the match of ``rank_one`` is h / w, h
    of the unweighted loss clipped to [0, 100], and of ``gauss_newton`` 1 / w; both 0 where w is 0,
    and h is 0 where φ_x vanishes.

    Raises:
        TypeError, ValueError: as :func:`columns`; for a ``generic`` loss without `fn` and another
            without `alpha`.
    """
    columns(kind, loss.family, _shape(loss))
    if loss.family == "generic" and loss.fn is None and kind != "gauss_newton":
        raise ValueError(
            "The curvature of a generic loss needs it as a function of the output. Received: "
            "fn=None."
        )
    if loss.family != "generic" and loss.alpha is None:
        raise ValueError(
            f"The losses of the {loss.family} family need weights. Received: alpha=None."
        )
    if kind in ("rank_one", "gauss_newton"):
        ones = tf.ones_like(loss.phi_x[:, :1] if loss.phi_x.shape.rank == 2 else _flat(loss)[:, :1])
        match = ones[:, 0] if kind == "gauss_newton" else _match(loss)
        return TerminalFactor(loss.phi_x[:, None], ones, _unweighted(match, loss)[:, None])
    if kind == "exact":
        return _exact(loss)
    return _top(int(kind), loss)


def hessian(loss) -> tf.Tensor:
    """φ_xx of every sample of a :class:`TerminalLoss`, ``(B, d, d)`` with d the size of x."""
    d = math.prod(_shape(loss))
    if loss.family == "generic":
        return tf.reshape(_generic_hessian(loss), (-1, d, d))
    if loss.family == "sigmoid":
        p = tf.sigmoid(loss.x)
        return tf.linalg.diag(tf.reshape(loss.alpha * p * (1.0 - p), (-1, d)))
    if loss.family == "square":
        return tf.linalg.diag(tf.reshape(2.0 * loss.alpha, (-1, d)))
    p = tf.nn.softmax(loss.x)
    blocks = tf.linalg.diag(p) - p[..., :, None] * p[..., None, :]
    classes = int(loss.x.shape[-1])
    blocks = tf.reshape(loss.alpha[..., None, None] * blocks, (-1, d // classes, classes, classes))
    return tf.reshape(_across_positions(blocks), (-1, d, d))


def _match(loss):
    """h of the weighted loss times the weight, clipped: ``(B,)``."""
    gradient = loss.phi_x
    if loss.family == "generic":
        quadratic = _generic_quadratic(loss)
    else:
        if loss.family == "softmax":
            p = tf.nn.softmax(loss.x)
            mean = tf.reduce_sum(p * gradient, axis=-1, keepdims=True)
            terms = loss.alpha * tf.reduce_sum(p * tf.square(gradient - mean), axis=-1)
        elif loss.family == "sigmoid":
            p = tf.sigmoid(loss.x)
            terms = loss.alpha * p * (1.0 - p) * tf.square(gradient)
        else:
            terms = 2.0 * loss.alpha * tf.square(gradient)
        quadratic = tf.reduce_sum(_flatten(terms), axis=-1)
    square = tf.reduce_sum(tf.square(_flat(loss)), axis=-1)
    if loss.weight is not None:
        quadratic = quadratic * tf.cast(loss.weight, quadratic.dtype)
    match = tf.math.divide_no_nan(tf.math.divide_no_nan(quadratic, square), square)
    vanishes = square <= np.finfo(square.dtype.as_numpy_dtype).tiny
    return tf.where(vanishes, tf.zeros_like(match), tf.clip_by_value(match, 0.0, LARGEST_MATCH))


def _unweighted(match, loss: TerminalLoss):
    """match / w, 0 where w is not positive."""
    if loss.weight is None:
        return match
    return tf.math.divide_no_nan(match, tf.maximum(tf.cast(loss.weight, match.dtype), 0.0))


def _exact(loss):
    """A square root of φ_xx of full width, with Z c = φ_x in any precision.

    The roots that c is divided by are bounded below by the machine's ε, in Z as in c: the gradient
    stays exact, where p underflows too, and the Hessian is moved by less than ε².
    """
    shape, d = _shape(loss), math.prod(_shape(loss))
    epsilon = float(np.finfo(loss.x.dtype.as_numpy_dtype).eps)
    if loss.family == "softmax":
        p = tf.nn.softmax(loss.x)
        classes = int(loss.x.shape[-1])
        scale = tf.sqrt(loss.alpha)[..., None]
        root = tf.maximum(tf.sqrt(p), epsilon)
        c = tf.math.divide_no_nan(loss.phi_x, scale * root)
        eye = tf.eye(classes, dtype=p.dtype)
        blocks = (scale * root)[..., :, None] * (eye - p[..., None, :])
        Z = _across_positions(tf.reshape(blocks, (-1, d // classes, classes, classes)))
        c = tf.reshape(c, (-1, d))
    elif loss.family == "generic":
        values, vectors = tf.linalg.eigh(hessian(loss))
        root = tf.sqrt(tf.maximum(values, epsilon**2))
        Z = root[..., None] * tf.linalg.matrix_transpose(vectors)
        c = tf.linalg.matvec(vectors, _flat(loss), transpose_a=True) / root
    else:
        curvature = tf.linalg.diag_part(hessian(loss))
        root = tf.where(curvature > 0.0, tf.maximum(tf.sqrt(curvature), epsilon), 0.0)
        if loss.family == "sigmoid":  # a saturated sigmoid has a gradient without curvature
            root = tf.where(_flat(loss) != 0.0, tf.maximum(root, epsilon), root)
        Z, c = tf.linalg.diag(root), tf.math.divide_no_nan(_flat(loss), root)
    return TerminalFactor(tf.reshape(Z, (-1, d, *shape)), c, tf.ones_like(c))


def _top(rank, loss):
    """The largest eigenpairs of φ_xx, and the rest of φ_x in a column without curvature."""
    shape, d = _shape(loss), math.prod(_shape(loss))
    values, vectors = tf.linalg.eigh(hessian(loss))
    values, vectors = values[:, d - rank :], vectors[:, :, d - rank :]
    epsilon = float(np.finfo(values.dtype.as_numpy_dtype).eps)
    kept = values > epsilon * tf.maximum(values[:, -1:], epsilon)
    root = tf.where(kept, tf.sqrt(tf.maximum(values, 0.0)), 0.0)
    gradient = _flat(loss)
    c = tf.math.divide_no_nan(tf.linalg.matvec(vectors, gradient, transpose_a=True), root)
    Z = root[..., None] * tf.linalg.matrix_transpose(vectors)
    rest = gradient - tf.linalg.matvec(Z, c, transpose_a=True)
    one = tf.ones_like(c[:, :1])
    return TerminalFactor(
        tf.reshape(tf.concat([Z, rest[:, None]], axis=1), (-1, rank + 1, *shape)),
        tf.concat([c, one], axis=1),
        tf.concat([tf.ones_like(c), tf.zeros_like(one)], axis=1),
    )


def _generic_hessian(loss):
    with tf.GradientTape() as outer:
        outer.watch(loss.x)
        gradient = _gradient_of(loss.fn, loss.x)
    return outer.batch_jacobian(gradient, loss.x, unconnected_gradients="zero")


def _generic_quadratic(loss):
    """φ_x'φ_xx φ_x by one product with the Hessian: ``(B,)``."""
    direction = tf.stop_gradient(loss.phi_x)
    with tf.GradientTape() as outer:
        outer.watch(loss.x)
        along = tf.reduce_sum(_gradient_of(loss.fn, loss.x) * direction)
    product = outer.gradient(along, loss.x, unconnected_gradients="zero")
    return tf.reduce_sum(_flatten(product * direction), axis=-1)


def _gradient_of(fn, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(fn(x))
    return tape.gradient(total, x)


def _across_positions(blocks):
    """``(B, P, K, K)`` blocks as ``(B, P K, P K)``, block diagonal."""
    P, K = int(blocks.shape[1]), int(blocks.shape[2])
    if P == 1:
        return blocks[:, 0]
    eye = tf.eye(P, dtype=blocks.dtype)
    return tf.reshape(eye[None, :, None, :, None] * blocks[:, :, :, None, :], (-1, P * K, P * K))


def _shape(loss: TerminalLoss) -> tuple[int, ...]:
    return tuple(int(size) for size in loss.x.shape[1:])


def _flatten(tensor):
    return tf.reshape(tensor, (-1, math.prod(tensor.shape[1:])))


def _flat(loss: TerminalLoss):
    return _flatten(loss.phi_x)
