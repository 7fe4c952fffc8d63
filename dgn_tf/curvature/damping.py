"""Damping: of the Kronecker factors, its adaptation by the reduction ratio, its blocks."""

from typing import Any

import numpy as np
import tensorflow as tf

from dgn_tf.curvature.base import Curvature, State, read
from dgn_tf.curvature.elementwise import Diagonal
from dgn_tf.linalg import inverse, lifted
from dgn_tf.settings import fraction, period, positive

ADAPTATION = 0.95
"""Factor by which one step changes an adaptive damping."""
LIMITS = (1e-8, 1e3)


def split(A: tf.Tensor, B: tf.Tensor, damping: Any) -> tuple:
    """``(π √λ, √λ / π)``: what is added to the diagonals of A and B so that A ⊗ B gains λ.

    π = √((tr A / dim A) / (tr B / dim B)), Martens and Grosse (2015), section 6.3; bounded, so that
    a factor that vanishes does not take all of the damping.

    Args:
        A, B: the factors.
        damping: λ.
    """
    tiny = float(np.finfo(A.dtype.as_numpy_dtype).tiny)
    of_A, of_B = (tf.linalg.trace(factor) / factor.shape[0] for factor in (A, B))
    pi = tf.sqrt(tf.maximum(of_A, tiny)) / tf.sqrt(tf.maximum(of_B, tiny))
    pi = tf.clip_by_value(pi, 1e-4, 1e4)
    root = tf.sqrt(damping)
    return pi * root, root / pi


def damped_inverse(A: tf.Tensor, damping: Any) -> tf.Tensor:
    """``(A + damping I)⁻¹`` for positive semidefinite A, by its Cholesky factor."""
    return inverse(lifted(A, damping))


def levenberg_marquardt(variable: Any, ratio: Any) -> None:
    """Less damping where the model predicts the reduction well, more where it does not.

    Args:
        variable: scalar, the damping, assigned to.
        ratio: actual over predicted reduction of the loss; above 3/4 the damping shrinks, below
            1/4, or where it is no number, it grows.
    """
    value = read(variable)
    ratio = tf.cast(ratio, value.dtype)
    less, more, same = (tf.constant(x, value.dtype) for x in (ADAPTATION, 1.0 / ADAPTATION, 1.0))
    factor = tf.where(ratio > 0.75, less, tf.where(ratio >= 0.25, same, more))
    variable.assign(tf.clip_by_value(value * factor, *LIMITS))


class Averaged(Curvature):
    """A damped matrix averaged over batches; the settings are those of :class:`KFACBlock`."""

    def __init__(
        self,
        damping: float = 1e-2,
        decay: float = 0.95,
        update_every: int = 1,
        adaptive_damping: bool = False,
    ):
        self.damping = positive("damping", damping)
        self.decay = fraction("decay", decay)
        self.update_every = period("update_every", update_every)
        self.adaptive_damping = bool(adaptive_damping)

    def fallback(self) -> Curvature:
        return Diagonal(self.damping, self.decay)

    def adapt(self, state: State, ratio: Any) -> None:
        if self.adaptive_damping:
            levenberg_marquardt(state["damping"], ratio)
