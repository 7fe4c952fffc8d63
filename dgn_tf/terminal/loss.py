"""The loss of every sample as a function of the final state x_T, and its second derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

FAMILIES = ("softmax", "sigmoid", "square", "generic", "batch")
KINDS = ("rank_one", "gauss_newton", "exact")


@dataclass(frozen=True)
class TerminalLoss:
    """The loss of every sample as a function of the final state.

    Attributes:
        family: ``softmax``: cross-entropy of the softmax over x's last axis; ``sigmoid``: binary
            cross-entropy of the sigmoid of every entry; ``square``: (x - target)² of every entry;
            ``generic``: `fn`; ``batch``: one number for the whole batch, known by its gradient.
        x: ``(B, d...)``, logits, or the prediction for ``square``.
        target: of the shape of x: probabilities that sum to one (softmax), probabilities, values.
        alpha: weight of every elementary loss, of the shape of x, without the last axis for
            ``softmax``.
        phi_x: ``(B, d...)``, the gradient of φ^b, weights included.
        fn: for ``generic``, maps x to φ^b ``(B,)``, twice differentiable and sample by sample.
        weight: ``(B,)``, the weights that alpha and phi_x already contain, a sample's elementary
            losses taken together; ones when None.
        separate: for ``generic``, a scalar bool: whether `fn` leaves the samples apart; None where
            that is known.
        balanced: whether φ_x of ``softmax`` is known to sum to zero, as it does where the labels
            sum to one.
    """

    family: str
    x: tf.Tensor
    target: tf.Tensor | None
    alpha: tf.Tensor | None
    phi_x: tf.Tensor
    fn: Callable[[tf.Tensor], tf.Tensor] | None = None
    weight: tf.Tensor | None = None
    separate: tf.Tensor | None = None
    balanced: bool = True

    @property
    def weights(self) -> tf.Tensor:
        """`alpha`, where the family has one."""
        if self.alpha is None:
            raise ValueError(
                f"The losses of the {self.family} family need weights. Received: none."
            )
        return self.alpha

    @property
    def function(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """`fn`, where the family has one."""
        if self.fn is None:
            raise ValueError(
                "The curvature of a generic loss needs it as a function of the output. Received: "
                "fn=None."
            )
        return self.fn

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a sample's x."""
        return tuple(int(size) for size in self.x.shape[1:])

    @property
    def size(self) -> int:
        """Numbers in a sample's x."""
        return math.prod(self.shape)

    @property
    def gradient(self) -> tf.Tensor:
        """``(B, d)``, φ_x flattened."""
        return flatten(self.phi_x)


def hessian(loss: TerminalLoss) -> tf.Tensor:
    """φ_xx of every sample, ``(B, d, d)`` with d the size of x; φ_x φ_x' where it is not finite."""
    if loss.family == "generic":
        found = tf.reshape(_generic_hessian(loss), (-1, loss.size, loss.size))
        outer = loss.gradient[:, :, None] * loss.gradient[:, None, :]
        finite = tf.reduce_all(tf.math.is_finite(found), axis=(1, 2), keepdims=True)
        return tf.where(finite, found, outer)
    if loss.family == "softmax":
        p = tf.nn.softmax(loss.x)
        blocks = tf.linalg.diag(p) - p[..., :, None] * p[..., None, :]
        blocks = loss.weights[..., None, None] * blocks
        return tf.reshape(across_positions(blocks), (-1, loss.size, loss.size))
    return tf.linalg.diag(diagonal(loss))


def diagonal(loss: TerminalLoss) -> tf.Tensor:
    """The diagonal of φ_xx, ``(B, d)``, of the families without mixed second derivatives."""
    if loss.family == "sigmoid":
        p = tf.sigmoid(loss.x)
        return flatten(loss.weights * p * (1.0 - p))
    return flatten(2.0 * loss.weights)


def quadratic(loss: TerminalLoss) -> tf.Tensor:
    """φ_x'φ_xx φ_x of every sample, ``(B,)``."""
    gradient = loss.phi_x
    if loss.family == "generic":
        return _generic_quadratic(loss)
    if loss.family == "softmax":
        p = tf.nn.softmax(loss.x)
        mean = tf.reduce_sum(p * gradient, axis=-1, keepdims=True)
        terms = loss.weights * tf.reduce_sum(p * tf.square(gradient - mean), axis=-1)
        return tf.reduce_sum(flatten(terms), axis=-1)
    return tf.reduce_sum(diagonal(loss) * tf.square(loss.gradient), axis=-1)


def _generic_hessian(loss: TerminalLoss) -> tf.Tensor:
    with tf.GradientTape() as outer:
        outer.watch(loss.x)
        gradient = _gradient_of(loss.function, loss.x)
    return outer.batch_jacobian(gradient, loss.x, unconnected_gradients="zero")


def _generic_quadratic(loss: TerminalLoss) -> tf.Tensor:
    """By one product with the Hessian."""
    direction = tf.stop_gradient(loss.phi_x)
    with tf.GradientTape() as outer:
        outer.watch(loss.x)
        along = tf.reduce_sum(_gradient_of(loss.function, loss.x) * direction)
    product = outer.gradient(along, loss.x, unconnected_gradients="zero")
    return tf.reduce_sum(flatten(product * direction), axis=-1)


def _gradient_of(fn: Callable, x: tf.Tensor) -> tf.Tensor:
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(fn(x))
    return tape.gradient(total, x, unconnected_gradients="zero")


def across_positions(blocks: tf.Tensor) -> tf.Tensor:
    """``(B, P..., K, K)`` blocks as ``(B, P K, P K)``, block diagonal."""
    K, P = int(blocks.shape[-1]), math.prod(blocks.shape[1:-2])
    blocks = tf.reshape(blocks, (-1, P, K, K))
    if P == 1:
        return blocks[:, 0]
    eye = tf.eye(P, dtype=blocks.dtype)
    return tf.reshape(eye[None, :, None, :, None] * blocks[:, :, :, None, :], (-1, P * K, P * K))


def flatten(tensor: tf.Tensor) -> tf.Tensor:
    """``(B, …)`` as ``(B, d)``."""
    return tf.reshape(tensor, (-1, math.prod(tensor.shape[1:])))
