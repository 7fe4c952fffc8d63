"""M = I: gradient descent."""

from __future__ import annotations

import keras
import tensorflow as tf

from dgn_tf.curvature.base import Curvature
from dgn_tf.curvature.kernels import IdentitySide, separable_kernel


@keras.saving.register_keras_serializable(package="dgn_tf")
class Identity(Curvature):
    """M = I; its kernel is the plain tangent kernel of the layer."""

    name = "identity"
    elementwise = True
    needs_statistics = False

    def precondition(self, state, tensors, step, shift=None, cap=None):
        if shift is None:
            return tuple(tensors)
        return tuple(tensor / (1.0 + tf.cast(shift, tensor.dtype)) for tensor in tensors)

    def kernel(self, state, cap, step, shift=None):
        kernel = separable_kernel(cap, IdentitySide(), IdentitySide())
        return kernel if shift is None else kernel / (1.0 + tf.cast(shift, kernel.dtype))

    def to_dense(self, state, layout, step, shift=None):
        rows, outputs = layout.shape
        dtype = keras.config.floatx() if shift is None else shift.dtype
        eye = tf.eye(rows * outputs, dtype=dtype)
        return eye if shift is None else eye * (1.0 + shift)
