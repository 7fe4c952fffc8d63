"""M = E[U C_T U'] + λ I: a player's own Gauss-Newton matrix, dense."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from dgn_tf.curvature.base import Preconditioner, Spec, State, average, due, read, when
from dgn_tf.curvature.damping import Averaged
from dgn_tf.game.layout import WeightLayout
from dgn_tf.precise import matmul

LARGEST = 4096
"""Most weights a player may have."""


@keras.saving.register_keras_serializable(package="dgn_tf")
class GaussNewton(Averaged):
    """The running average of the Gauss-Newton matrix, factorised at every step: small layers only.

    A shift is added exactly.

    Args:
        damping, decay, update_every, adaptive_damping: as :class:`KFACBlock`.

    Raises:
        ValueError: for a value out of range, and for a player of more than 4096 weights.
    """

    name = "gauss_newton"

    def state_spec(self, layout: WeightLayout) -> Spec:
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

    def observe(self, state: State, cap: Any, gradient: tuple, step: Any, shift: Any = None) -> Any:
        def statistics() -> None:
            U = _flat(cap.tangents()) * tf.reshape(cap.curvature_scale, (-1, 1))
            matrix = matmul(U, U, transpose_a=True) / cap.batch
            average(state["matrix"], matrix, state["updates"], self.decay)
            state["updates"].assign(read(state["updates"]) + 1.0)

        when(due(step, self.update_every, state["updates"]), statistics)

    def on(self, state: State, cap: Any, step: Any, shift: Any = None, left: Any = None) -> Any:
        return _DensePreconditioner(cap, tf.linalg.cholesky(self._damped(state, shift)))

    def _damped(self, state: State, shift: Any) -> Any:
        matrix = read(state["matrix"])
        damping = tf.cast(read(state["damping"]), matrix.dtype)
        if shift is not None:
            damping += tf.cast(shift, matrix.dtype)
        return tf.linalg.set_diag(matrix, tf.linalg.diag_part(matrix) + damping)

    def to_dense(self, state: State, layout: WeightLayout, step: Any, shift: Any = None) -> Any:
        return self._damped(state, shift)


class _DensePreconditioner(Preconditioner):
    """M⁻¹ by the lower Cholesky factor of M."""

    def __init__(self, cap: Any, lower: tf.Tensor):
        super().__init__(cap)
        self.lower = lower

    def solve(self, tensors: Sequence) -> tuple:
        matrix = self.cap.matrix(tensors)
        solved = tf.linalg.cholesky_solve(self.lower, tf.reshape(matrix, (-1, 1)))
        return self.cap.tensors(tf.reshape(solved, matrix.shape))

    def kernel(self) -> tf.Tensor:
        half = tf.linalg.triangular_solve(self.lower, tf.transpose(_flat(self.cap.tangents())))
        return matmul(half, half, transpose_a=True)


def _flat(tangents: tf.Tensor) -> tf.Tensor:
    return tf.reshape(tangents, (-1, tangents.shape[1] * tangents.shape[2]))
