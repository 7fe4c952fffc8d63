"""The terminal cost of the game, factored per sample.

The recursions start from the loss φ^b of every sample as a function of the network's output x:
``φ_xx^b ≈ Z^b C_T^b Z^b'`` and ``φ_x^b = Z^b v_T^b``, Z^b with R columns. Which Z decides the cost
(R is the number of backward passes) and how much of the curvature is kept:

- ``rank_one``: Z = φ_x and the best match h of φ_xx in that direction, h = φ_x'φ_xx φ_x / |φ_x|⁴;
- ``gauss_newton``: Z = φ_x, h = 1;
- ``exact``: a square root of φ_xx, R = the size of x, and one column more where the labels of a
  softmax need not sum to one, as φ_x then need not lie in the range of φ_xx;
- an integer R: the R largest eigenpairs of φ_xx, and φ_x, which does not lie in their span, as one
  more column, without curvature.

With sample weights w the cotangents are weighted: the match is h / w, 0 where w is 0.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import tensorflow as tf

from dgn_tf.settings import Settings, one_of
from dgn_tf.terminal.loss import TerminalLoss


@dataclass(frozen=True)
class TerminalFactor:
    """``φ_xx^b ≈ Z^b diag(C^b) Z^b'``, ``φ_x^b = Z^b v^b``.

    Attributes:
        Z: ``(B, R, d...)``, the columns of the factor, without 1/B.
        v, C: ``(B, R)``, C the diagonal of C_T, not negative.
        flat: how many of the last columns are known to have no curvature.
    """

    Z: tf.Tensor
    v: tf.Tensor
    C: tf.Tensor
    flat: int = 0

    @property
    def curvature_scale(self) -> tf.Tensor:
        """``(B, R)``, the square root of C."""
        return tf.sqrt(self.C)


class Terminal(Settings, ABC):
    """A kind of factor, one of the names of `DGNOpt(terminal=...)` or of one's own.

    The recursion needs the gradient in the span of the columns, ``φ_x^b = Z^b v^b``, and C not
    negative. Every column is one backward pass. A class that is registered with Keras is saved
    with the optimizer.

    Class attributes:
        along_gradient: whether Z's last column is φ_x, whose cotangents the loss's own backward
            pass makes.
        bends: whether it needs the loss's second derivative.
    """

    along_gradient = False
    bends = False

    @abstractmethod
    def columns(self, shape: tuple[int, ...]) -> int:
        """The number of columns R for a final state x_T of that shape."""

    @abstractmethod
    def factor(self, loss: TerminalLoss) -> TerminalFactor:
        """The factor of a batch, from the loss of every sample as a function of x_T."""


class RankOne(Terminal):
    along_gradient = True
    bends = True

    def columns(self, shape: tuple[int, ...]) -> int:
        return 1

    def match(self, loss: TerminalLoss) -> tf.Tensor:
        """h of every sample, ``(B,)``."""
        return loss.match()

    def factor(self, loss: TerminalLoss) -> TerminalFactor:
        match = self.match(loss)
        if loss.weight is not None:
            weight = tf.maximum(tf.cast(loss.weight, match.dtype), 0.0)
            match = tf.math.divide_no_nan(match, weight)
        return TerminalFactor(loss.phi_x[:, None], tf.ones_like(match)[:, None], match[:, None])


class GaussNewton(RankOne):
    bends = False

    def match(self, loss: TerminalLoss) -> tf.Tensor:
        return tf.ones_like(loss.gradient[:, 0])


class Exact(Terminal):
    bends = True

    def columns(self, shape: tuple[int, ...]) -> int:
        return math.prod(shape)

    def factor(self, loss: TerminalLoss) -> TerminalFactor:
        Z, c = loss.root()
        if not loss.complete:
            return _with_gradient(Z, loss)
        return TerminalFactor(tf.reshape(Z, (-1, loss.size, *loss.shape)), c, tf.ones_like(c))


class Leading(Terminal):
    """R leading eigenpairs; a ValueError for a rank above the size of the network's output."""

    along_gradient = True
    bends = True

    def __init__(self, rank: int):
        self.rank = rank

    def columns(self, shape: tuple[int, ...]) -> int:
        if self.rank > math.prod(shape):
            raise ValueError(
                "The rank of the terminal factor must lie between 1 and the size of the network's "
                f"output, {math.prod(shape)}. Received: {self.rank}."
            )
        return self.rank + 1

    def factor(self, loss: TerminalLoss) -> TerminalFactor:
        values, vectors = loss.leading(self.columns(loss.shape) - 1)
        kept = values > loss.epsilon * tf.maximum(values[:, -1:], loss.epsilon)
        root = tf.where(kept, tf.sqrt(tf.maximum(values, 0.0)), 0.0)
        return _with_gradient(root[..., None] * vectors, loss)


def _with_gradient(Z: tf.Tensor, loss: TerminalLoss) -> TerminalFactor:
    """The factor of columns ``(B, R, d)`` with φ_x as one more, without curvature."""
    curved, last = tf.ones_like(Z[..., 0]), tf.ones_like(Z[:, :1, 0])
    Z = tf.concat([Z, loss.gradient[:, None]], axis=1)
    return TerminalFactor(
        tf.reshape(Z, (-1, Z.shape[1], *loss.shape)),
        tf.concat([tf.zeros_like(curved), last], axis=1),
        tf.concat([curved, tf.zeros_like(last)], axis=1),
        flat=1,
    )


NAMES = {"rank_one": RankOne(), "gauss_newton": GaussNewton(), "exact": Exact()}


def get(terminal: str | int | Terminal) -> Terminal:
    """The kind of factor of a name, a positive rank or a `Terminal`; a ValueError for another."""
    if isinstance(terminal, Terminal):
        return terminal
    if isinstance(terminal, int) and not isinstance(terminal, bool):
        if terminal < 1:
            raise ValueError(f"`terminal` must be a positive rank. Received: terminal={terminal}")
        return Leading(terminal)
    one_of("terminal", terminal, NAMES, ", a positive integer, or a Terminal")
    return NAMES[str(terminal)]
