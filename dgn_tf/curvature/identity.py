"""M = I: gradient descent."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from dgn_tf.curvature.base import Curvature, Preconditioner, Spec, State
from dgn_tf.curvature.kernels import DiagonalSide, separable_kernel
from dgn_tf.game.capture import Capture
from dgn_tf.game.layout import WeightLayout


@keras.saving.register_keras_serializable(package="dgn_tf")
class Identity(Curvature):
    """M = I; its kernel is the plain tangent kernel of the layer."""

    name = "identity"
    elementwise = True
    needs_statistics = False

    def state_spec(self, layout: WeightLayout) -> Spec:
        return {}

    def on(
        self, state: State, cap: Capture | None, step: Any, shift: Any = None, left: Any = None
    ) -> "_Scalar":
        return _Scalar(cap, shift)

    def to_dense(
        self, state: State, layout: WeightLayout, step: Any, shift: Any = None
    ) -> tf.Tensor:
        rows, outputs = layout.shape
        dtype = keras.config.floatx() if shift is None else shift.dtype
        eye = tf.eye(rows * outputs, dtype=dtype)
        return eye if shift is None else eye * (1.0 + shift)


class _Scalar(Preconditioner):
    """I / (1 + shift)."""

    def __init__(self, cap: Capture | None, shift: Any):
        super().__init__(cap)
        self.shift = shift

    def _divide(self, tensor: tf.Tensor) -> tf.Tensor:
        return tensor if self.shift is None else tensor / (1.0 + tf.cast(self.shift, tensor.dtype))

    def solve(self, tensors: Sequence) -> tuple:
        return tuple(self._divide(tensor) for tensor in tensors)

    def kernel(self) -> tf.Tensor:
        sizes = self.cap.rows, self.cap.outputs
        inputs, outputs = (DiagonalSide(tf.ones((size,), self.cap.dtype)) for size in sizes)
        return self._divide(separable_kernel(self.cap, inputs, outputs))
