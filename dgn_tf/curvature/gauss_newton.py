"""M = E[U C_T U'] + λ I: a player's own Gauss-Newton matrix, dense."""

from __future__ import annotations

import keras
import tensorflow as tf

from dgn_tf.curvature.averaged import Averaged
from dgn_tf.curvature.base import Preconditioner, average, due, read, when
from dgn_tf.precise import matmul

LARGEST = 4096
"""Most weights a player may have."""


@keras.saving.register_keras_serializable(package="dgn_tf")
class GaussNewton(Averaged):
    """The running average of the Gauss-Newton matrix, factorised at every step: small layers only.

    A shift is added exactly.

    Args:
        damping: λ, positive; the first value where it is adaptive.
        decay: weight of the past in the running average, in [0, 1); 0 uses the batch alone.
        update_every: steps between two updates of the average.
        adaptive_damping: change the damping by the reduction ratio (Levenberg-Marquardt).

    Raises:
        ValueError: for a value out of range, and for a player of more than 4096 weights.
    """

    name = "gauss_newton"

    def __init__(
        self,
        damping: float = 1e-2,
        decay: float = 0.95,
        update_every: int = 1,
        adaptive_damping: bool = False,
    ):
        super().__init__(damping, decay, update_every, adaptive_damping)

    def state_spec(self, layout):
        rows, outputs = layout.shape
        size = rows * outputs
        if size > LARGEST:
            raise ValueError(
                f"A dense Gauss-Newton matrix needs a player of at most {LARGEST} weights. "
                f"Received: {rows} x {outputs}. Use 'kfac' or 'ekfac'."
            )
        return {
            "matrix": ((size, size), "zeros"),
            "damping": ((), self.damping),
            "updates": ((), "zeros"),
        }

    def observe(self, state, cap, gradient, step, shift=None):
        def statistics():
            U = _flat(cap.tangents()) * tf.reshape(cap.curvature_scale, (-1, 1))
            matrix = matmul(U, U, transpose_a=True) / cap.batch
            average(state["matrix"], matrix, state["updates"], self.decay)
            state["updates"].assign(read(state["updates"]) + 1.0)

        when(due(step, self.update_every, state["updates"]), statistics)

    def on(self, state, cap, step, shift=None, left=None):
        return _DensePreconditioner(cap, tf.linalg.cholesky(self._damped(state, shift)))

    def _damped(self, state, shift):
        matrix = read(state["matrix"])
        damping = tf.cast(read(state["damping"]), matrix.dtype)
        if shift is not None:
            damping += tf.cast(shift, matrix.dtype)
        return tf.linalg.set_diag(matrix, tf.linalg.diag_part(matrix) + damping)

    def to_dense(self, state, layout, step, shift=None):
        return self._damped(state, shift)


class _DensePreconditioner(Preconditioner):
    """M⁻¹ by the lower Cholesky factor of M."""

    def __init__(self, cap, lower):
        super().__init__(cap)
        self.lower = lower

    def solve(self, tensors):
        matrix = self.cap.matrix(tensors)
        solved = tf.linalg.cholesky_solve(self.lower, tf.reshape(matrix, (-1, 1)))
        return self.cap.tensors(tf.reshape(solved, matrix.shape))

    def kernel(self):
        half = tf.linalg.triangular_solve(self.lower, tf.transpose(_flat(self.cap.tangents())))
        return matmul(half, half, transpose_a=True)


def _flat(tangents):
    return tf.reshape(tangents, (-1, tangents.shape[1] * tangents.shape[2]))
