"""M = E[U C_T U'] + λ I: a player's own Gauss-Newton matrix, dense."""

from __future__ import annotations

import keras
import tensorflow as tf

from dgn_tf.curvature.averaged import Averaged
from dgn_tf.curvature.base import Prepared, assign, average, due, read, when
from dgn_tf.curvature.damping import keep_finite
from dgn_tf.curvature.kfac import to_matrix

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

    def update(self, state, cap, gradient, step, active=None, shift=None):
        def observe():
            U = _flat(cap.tangents()) * tf.reshape(cap.curvature_scale, (-1, 1))
            matrix = tf.matmul(U, U, transpose_a=True) / cap.batch
            matrix = keep_finite(matrix, read(state["matrix"]))
            average(state["matrix"], matrix, state["updates"], self.decay, active)
            assign(state["updates"], read(state["updates"]) + 1.0, active)

        when(due(step, self.update_every, state["updates"]), observe)

    def precondition(self, state, tensors, step, shift=None, cap=None):
        return self.solve(self.factorised(state, shift), state, tensors, cap)

    def solve(self, lower, state, tensors, cap=None):
        """``M⁻¹ X`` from the Cholesky factor of M, variable-shaped."""
        outputs = int(tensors[0].shape[-1]) if cap is None else cap.outputs
        matrix, restore = to_matrix(tensors, outputs, cap)
        solved = tf.linalg.cholesky_solve(lower, tf.reshape(matrix, (-1, 1)))
        return restore(tf.reshape(solved, matrix.shape))

    def factorised(self, state, shift=None):
        """The lower Cholesky factor of M."""
        return tf.linalg.cholesky(self._damped(state, shift))

    def _damped(self, state, shift):
        matrix = read(state["matrix"])
        damping = tf.cast(read(state["damping"]), matrix.dtype)
        if shift is not None:
            damping += tf.cast(shift, matrix.dtype)
        return tf.linalg.set_diag(matrix, tf.linalg.diag_part(matrix) + damping)

    def prepare(self, state, cap, step, shift=None):
        return _PreparedGaussNewton(self, state, cap, step, shift)

    def to_dense(self, state, layout, step, shift=None):
        return self._damped(state, shift)


class _PreparedGaussNewton(Prepared):
    """Factorises M once, when it is made."""

    def __init__(self, curvature, state, cap, step, shift=None):
        super().__init__(curvature, state, cap, step, shift)
        self._lower = curvature.factorised(state, shift)

    def solve(self, tensors):
        return self.curvature.solve(self._lower, self.state, tensors, self.cap)

    def kernel(self):
        half = tf.linalg.triangular_solve(self._lower, tf.transpose(_flat(self.cap.tangents())))
        return tf.matmul(half, half, transpose_a=True)


def _flat(tangents):
    return tf.reshape(tangents, (-1, tangents.shape[1] * tangents.shape[2]))
