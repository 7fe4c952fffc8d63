"""The loss of every sample as a function of the final state x_T, and its second derivatives."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from dgn_tf.terminal.leading import softmax_pairs

LARGEST_MATCH = 100.0
"""Upper limit of h: a confidently right sample has a vanishing φ_x and an unbounded quotient."""


@dataclass(frozen=True, kw_only=True)
class TerminalLoss(ABC):
    """φ^b of every sample.

    Attributes:
        x: ``(B, d...)``, the logits or the prediction.
        phi_x: of the same shape, the gradient of φ^b, weights included.
        weight: ``(B,)``, the weights that φ_x contains, a sample's elementary losses taken
            together; ones when None.
        complete: whether φ_x is known to lie in the range of φ_xx, as that of a softmax does where
            labels sum to one.
    """

    x: tf.Tensor
    phi_x: tf.Tensor
    weight: tf.Tensor | None = None
    complete: bool = True

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a sample's x."""
        return tuple(int(size) for size in self.x.shape[1:])

    @property
    def size(self) -> int:
        """d, the numbers in a sample's x."""
        return math.prod(self.shape)

    @property
    def gradient(self) -> tf.Tensor:
        """``(B, d)``, φ_x flattened."""
        return flatten(self.phi_x)

    @property
    def epsilon(self) -> float:
        """The rounding of x's type."""
        return float(np.finfo(self.x.dtype.as_numpy_dtype).eps)

    @abstractmethod
    def hessian(self) -> tf.Tensor:
        """φ_xx, ``(B, d, d)``."""

    def quadratic(self) -> tf.Tensor:
        """φ_x'φ_xx φ_x, ``(B,)``."""
        return tf.einsum("bi,bij,bj->b", self.gradient, self.hessian(), self.gradient)

    def root(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Z ``(B, d, d)`` with φ_xx = Z'Z, and c ``(B, d)`` with φ_x = Z'c as far as it can be.

        The roots that c is divided by are bounded below by the rounding ε, in Z as in c: the
        gradient stays exact where φ_xx underflows, and the Hessian is moved by less than ε².
        """
        values, vectors = self.leading(self.size)
        root = tf.sqrt(tf.maximum(values, self.epsilon**2))
        return root[..., None] * vectors, tf.linalg.matvec(vectors, self.gradient) / root

    def leading(self, rank: int) -> tuple[tf.Tensor, tf.Tensor]:
        """The largest eigenvalues of φ_xx, ``(B, R)`` ascending, and eigenvectors as rows."""
        values, vectors = tf.linalg.eigh(self.hessian())
        return values[:, -rank:], tf.linalg.matrix_transpose(vectors[:, :, -rank:])

    def match(self) -> tf.Tensor:
        """h = φ_x'φ_xx φ_x / |φ_x|⁴ of the unweighted loss, clipped, ``(B,)``; 0 without φ_x, and
        Gauss-Newton's 1 without a finite second derivative."""
        square = tf.reduce_sum(tf.square(self.gradient), axis=-1)
        along = self.quadratic()
        if self.weight is not None:
            along = along * tf.cast(self.weight, along.dtype)
        match = tf.math.divide_no_nan(tf.math.divide_no_nan(along, square), square)
        there = square > np.finfo(square.dtype.as_numpy_dtype).tiny
        match = tf.where(there, tf.clip_by_value(match, 0.0, LARGEST_MATCH), tf.zeros_like(match))
        return tf.where(tf.math.is_finite(along), match, tf.ones_like(match))


@dataclass(frozen=True, kw_only=True)
class Softmax(TerminalLoss):
    """Cross-entropy of the softmax over x's last axis.

    Attributes:
        alpha: the weight of every elementary loss, of the shape of x without the last axis.
    """

    alpha: tf.Tensor

    def hessian(self) -> tf.Tensor:
        p = tf.nn.softmax(self.x)
        blocks = tf.linalg.diag(p) - p[..., :, None] * p[..., None, :]
        return across_positions(self.alpha[..., None, None] * blocks)

    def quadratic(self) -> tf.Tensor:
        p = tf.nn.softmax(self.x)
        mean = tf.reduce_sum(p * self.phi_x, axis=-1, keepdims=True)
        terms = self.alpha * tf.reduce_sum(p * tf.square(self.phi_x - mean), axis=-1)
        return tf.reduce_sum(flatten(terms), axis=-1)

    def root(self) -> tuple[tf.Tensor, tf.Tensor]:
        p = tf.nn.softmax(self.x)
        root = tf.sqrt(tf.maximum(self.alpha, 0.0))[..., None] * tf.maximum(
            tf.sqrt(p), self.epsilon
        )
        # A negative weight has a gradient without curvature.
        root = tf.where(self.phi_x != 0.0, tf.maximum(root, self.epsilon), root)
        eye = tf.eye(int(self.x.shape[-1]), dtype=p.dtype)
        Z = across_positions(root[..., :, None] * (eye - p[..., None, :]))
        return Z, flatten(tf.math.divide_no_nan(self.phi_x, root))

    def leading(self, rank: int) -> tuple[tf.Tensor, tf.Tensor]:
        classes = int(self.x.shape[-1])
        positions = self.size // classes
        p = tf.reshape(tf.nn.softmax(self.x), (-1, positions, classes))
        values, vectors = softmax_pairs(p, min(rank, classes))
        values *= tf.reshape(self.alpha, (-1, positions, 1))
        if positions == 1:
            return values[:, 0], vectors[:, 0]
        # Of all positions, whose blocks do not meet, the largest.
        each = int(values.shape[-1])
        values, where = tf.math.top_k(tf.reshape(values, (-1, positions * each)), rank)
        rows = tf.gather(tf.reshape(vectors, (-1, positions * each, classes)), where, batch_dims=1)
        place = tf.one_hot(where // each, positions, dtype=rows.dtype)
        rows = tf.reshape(place[..., None] * rows[:, :, None, :], (-1, rank, self.size))
        return tf.reverse(values, [1]), tf.reverse(rows, [1])


@dataclass(frozen=True, kw_only=True)
class Separable(TerminalLoss):
    """A sum over the entries of x: squares, or binary cross-entropies of sigmoids.

    Attributes:
        curvature: of the shape of x, the diagonal of φ_xx.
    """

    curvature: tf.Tensor

    def hessian(self) -> tf.Tensor:
        return tf.linalg.diag(flatten(self.curvature))

    def quadratic(self) -> tf.Tensor:
        return tf.reduce_sum(flatten(self.curvature * tf.square(self.phi_x)), axis=-1)

    def root(self) -> tuple[tf.Tensor, tf.Tensor]:
        curvature, gradient = flatten(self.curvature), self.gradient
        # A saturated sigmoid has a gradient without curvature.
        there = tf.logical_or(curvature > 0.0, gradient != 0.0)
        root = tf.where(there, tf.maximum(tf.sqrt(tf.maximum(curvature, 0.0)), self.epsilon), 0.0)
        return tf.linalg.diag(root), tf.math.divide_no_nan(gradient, root)

    def leading(self, rank: int) -> tuple[tf.Tensor, tf.Tensor]:
        values, where = tf.math.top_k(flatten(self.curvature), rank)
        rows = tf.one_hot(where, self.size, dtype=values.dtype)
        return tf.reverse(values, [1]), tf.reverse(rows, [1])


@dataclass(frozen=True, kw_only=True)
class Generic(TerminalLoss):
    """Any loss, by automatic differentiation; Gauss-Newton where that is not finite.

    Attributes:
        fn: maps x to φ^b ``(B,)``, twice differentiable.
        separate: a scalar bool, whether `fn` leaves the samples apart; None where that is known.
    """

    fn: Callable[[tf.Tensor], tf.Tensor]
    separate: tf.Tensor | None = None

    def _slope(self, x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(self.fn(x))
        return tape.gradient(total, x, unconnected_gradients="zero")

    def hessian(self) -> tf.Tensor:
        """φ_xx; φ_x φ_x' where it is not finite. Running it fails where the samples mix."""
        message = (
            "The loss of a sample depends on other samples of the batch, so that it has no second "
            'derivative sample by sample. Use terminal="rank_one" or "gauss_newton".'
        )
        apart = True if self.separate is None else self.separate
        with tf.control_dependencies([tf.debugging.Assert(apart, [message])]):
            x = tf.identity(self.x)
        with tf.GradientTape() as outer:
            outer.watch(x)
            gradient = self._slope(x)
        hessian = outer.batch_jacobian(gradient, x, unconnected_gradients="zero")
        hessian = tf.reshape(hessian, (-1, self.size, self.size))
        finite = tf.reduce_all(tf.math.is_finite(hessian), axis=(1, 2), keepdims=True)
        return tf.where(finite, hessian, self.gradient[:, :, None] * self.gradient[:, None, :])

    def quadratic(self) -> tf.Tensor:
        """By one product with the Hessian."""
        direction = tf.stop_gradient(self.phi_x)
        with tf.GradientTape() as outer:
            outer.watch(self.x)
            along = tf.reduce_sum(self._slope(self.x) * direction)
        product = outer.gradient(along, self.x, unconnected_gradients="zero")
        return tf.reduce_sum(flatten(product * direction), axis=-1)

    def match(self) -> tf.Tensor:
        match = super().match()
        return match if self.separate is None else tf.where(self.separate, match, 1.0)


class Whole(TerminalLoss):
    """One number for the whole batch, known by its gradient: the match is Gauss-Newton's."""

    def match(self) -> tf.Tensor:
        return tf.ones_like(self.gradient[:, 0])

    def hessian(self) -> Any:
        raise ValueError(
            "A loss that is one number for the whole batch has a terminal factor of one column. "
            'Use terminal="rank_one" or "gauss_newton", or a loss that returns a number for every '
            "sample."
        )


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
