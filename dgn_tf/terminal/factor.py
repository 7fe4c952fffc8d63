"""The terminal cost of the game, factored per sample.

The recursions start from the loss φ^b of every sample as a function of the network's output x:
``φ_xx^b ≈ Z^b C_T^b Z^b'`` and ``φ_x^b = Z^b v_T^b``, Z^b with R columns. Which Z decides the cost
(R is the number of backward passes) and how much of the curvature is kept:

- ``rank_one``: Z = φ_x and the best match h of φ_xx in that direction, h = φ_x'φ_xx φ_x / |φ_x|⁴;
- ``gauss_newton``: Z = φ_x, h = 1;
- ``exact``: a square root of φ_xx, R = the size of x, and one column more where the labels of a
  softmax need not sum to one, as φ_x then need not lie in the range of φ_xx;
- an integer R: the R largest eigenpairs of φ_xx, and one column of zero curvature that carries what
  is left of φ_x, which does not lie in that eigenspace.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from dgn_tf.terminal.leading import leading_pairs
from dgn_tf.terminal.loss import (
    FAMILIES,
    KINDS,
    TerminalLoss,
    across_positions,
    diagonal,
    hessian,
    quadratic,
)
from dgn_tf.terminal.own import Terminal

LARGEST_MATCH = 100.0
"""Upper limit of h: a confidently right sample has a vanishing φ_x and an unbounded quotient."""


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


def columns(kind: str | int | Terminal, family: str, classes: int | Sequence[int]) -> int:
    """The number of columns R of the factor.

    Args:
        kind: ``rank_one``, ``gauss_newton``, ``exact``, a rank or a `Terminal`.
        family: of the loss.
        classes: the size of x's last axis, or the whole shape of x without the batch.

    Raises:
        TypeError: for a rank that is no integer.
        ValueError: for an unknown kind or family, and for a rank outside 1 to the size of x.
    """
    size = classes if isinstance(classes, int) else math.prod(classes)
    if family not in FAMILIES:
        raise ValueError(f"`family` must be one of {', '.join(FAMILIES)}. Received: {family!r}.")
    if isinstance(kind, Terminal):
        return kind.columns((classes,) if isinstance(classes, int) else tuple(classes))
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


def factor(kind: str | int | Terminal, loss: TerminalLoss) -> TerminalFactor:
    """The factor of the terminal Hessian.

    With sample weights the cotangents are weighted, so that the match of ``rank_one`` is h / w, h
    of the unweighted loss clipped to [0, 100], and of ``gauss_newton`` 1 / w; both 0 where w is 0,
    and h is 0 where φ_x vanishes. A loss that mixes the samples has the Gauss-Newton match in the
    place of h, and so have the samples at which a ``generic`` loss has no finite second derivative.

    Raises:
        TypeError, ValueError: as :func:`columns`; for a ``generic`` loss without `fn`, another
            without `alpha`, and for a loss of the ``batch`` with more than one column.
    """
    columns(kind, loss.family, loss.shape)
    if isinstance(kind, Terminal):
        return kind.factor(loss)
    if kind in ("rank_one", "gauss_newton"):
        ones = tf.ones_like(loss.gradient[:, :1])
        known = kind == "gauss_newton" or loss.family == "batch"
        match = ones[:, 0] if known else _match(loss)
        return TerminalFactor(loss.phi_x[:, None], ones, _unweighted(match, loss)[:, None])
    if loss.family == "batch":
        raise ValueError(
            "A loss that is one number for the whole batch has a terminal factor of one column. "
            f'Received: terminal={kind!r}. Use "rank_one" or "gauss_newton", or a loss that '
            "returns a number for every sample."
        )
    return _exact(_apart(loss)) if kind == "exact" else _top(int(kind), _apart(loss))


def _apart(loss: TerminalLoss) -> TerminalLoss:
    """The same loss; running it fails where the loss mixes samples."""
    if loss.separate is None:
        return loss
    message = (
        "The loss of a sample depends on other samples of the batch, so that it has no second "
        'derivative sample by sample. Use terminal="rank_one" or "gauss_newton".'
    )
    with tf.control_dependencies([tf.debugging.Assert(loss.separate, [message])]):
        return replace(loss, x=tf.identity(loss.x))


def _match(loss: TerminalLoss) -> tf.Tensor:
    """h of the weighted loss times the weight, clipped: ``(B,)``."""
    square = tf.reduce_sum(tf.square(loss.gradient), axis=-1)
    along = quadratic(loss)
    if loss.weight is not None:
        along = along * tf.cast(loss.weight, along.dtype)
    match = tf.math.divide_no_nan(tf.math.divide_no_nan(along, square), square)
    vanishes = square <= np.finfo(square.dtype.as_numpy_dtype).tiny
    match = tf.where(vanishes, tf.zeros_like(match), tf.clip_by_value(match, 0.0, LARGEST_MATCH))
    if loss.family == "generic":
        match = tf.where(tf.math.is_finite(along), match, tf.ones_like(match))
    return match if loss.separate is None else tf.where(loss.separate, match, tf.ones_like(match))


def _unweighted(match: tf.Tensor, loss: TerminalLoss) -> tf.Tensor:
    """match / w, 0 where w is not positive."""
    if loss.weight is None:
        return match
    return tf.math.divide_no_nan(match, tf.maximum(tf.cast(loss.weight, match.dtype), 0.0))


def _exact(loss: TerminalLoss) -> TerminalFactor:
    """A square root of φ_xx of full width, with Z c = φ_x in any precision.

    The roots that c is divided by are bounded below by the machine's ε, in Z as in c: the gradient
    stays exact, where p underflows too, and the Hessian is moved by less than ε².
    """
    epsilon = float(np.finfo(loss.x.dtype.as_numpy_dtype).eps)
    if loss.family == "softmax":
        p = tf.nn.softmax(loss.x)
        scale = tf.sqrt(loss.weights)[..., None]
        root = tf.maximum(tf.sqrt(p), epsilon)
        c = tf.reshape(tf.math.divide_no_nan(loss.phi_x, scale * root), (-1, loss.size))
        eye = tf.eye(int(loss.x.shape[-1]), dtype=p.dtype)
        Z = across_positions((scale * root)[..., :, None] * (eye - p[..., None, :]))
    elif loss.family == "generic":
        values, vectors = tf.linalg.eigh(hessian(loss))
        root = tf.sqrt(tf.maximum(values, epsilon**2))
        Z = root[..., None] * tf.linalg.matrix_transpose(vectors)
        c = tf.linalg.matvec(vectors, loss.gradient, transpose_a=True) / root
    else:
        curvature = diagonal(loss)
        root = tf.where(curvature > 0.0, tf.maximum(tf.sqrt(curvature), epsilon), 0.0)
        if loss.family == "sigmoid":  # a saturated sigmoid has a gradient without curvature
            root = tf.where(loss.gradient != 0.0, tf.maximum(root, epsilon), root)
        Z, c = tf.linalg.diag(root), tf.math.divide_no_nan(loss.gradient, root)
    if not loss.balanced:
        return _with_rest(Z, c, loss)
    return TerminalFactor(tf.reshape(Z, (-1, loss.size, *loss.shape)), c, tf.ones_like(c))


def _top(rank: int, loss: TerminalLoss) -> TerminalFactor:
    """The largest eigenpairs of φ_xx, and the rest of φ_x in a column without curvature."""
    values, vectors = leading_pairs(loss, rank)
    epsilon = float(np.finfo(values.dtype.as_numpy_dtype).eps)
    kept = values > epsilon * tf.maximum(values[:, -1:], epsilon)
    root = tf.where(kept, tf.sqrt(tf.maximum(values, 0.0)), 0.0)
    c = tf.math.divide_no_nan(tf.linalg.matvec(vectors, loss.gradient), root)
    return _with_rest(root[..., None] * vectors, c, loss)


def _with_rest(Z: tf.Tensor, c: tf.Tensor, loss: TerminalLoss) -> TerminalFactor:
    """The factor ``(B, R, d)`` with what is left of φ_x in a column without curvature."""
    rest = loss.gradient - tf.linalg.matvec(Z, c, transpose_a=True)
    one = tf.ones_like(c[:, :1])
    return TerminalFactor(
        tf.reshape(tf.concat([Z, rest[:, None]], axis=1), (-1, c.shape[1] + 1, *loss.shape)),
        tf.concat([c, one], axis=1),
        tf.concat([tf.ones_like(c), tf.zeros_like(one)], axis=1),
    )
