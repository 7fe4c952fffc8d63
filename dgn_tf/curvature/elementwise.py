"""What the blocks with a diagonal M share: state per variable, kernel, dense form."""

from __future__ import annotations

import tensorflow as tf

from dgn_tf.curvature.base import Curvature, read
from dgn_tf.curvature.kernels import DiagonalSide, separable_kernel


class Elementwise(Curvature):
    """M = diag(scale), one entry a weight.

    The gain uses M itself; the kernel its separable fit ``M_io ≈ √(r_i c_o)``, r and c the row and
    column means of M² over the root of its mean: exact where M² has rank one. The exact kernel of
    a general diagonal would cost B² · I · O.
    """

    elementwise = True

    def scale(self, state, step) -> tuple:
        """The diagonal of M, one tensor a variable."""
        raise NotImplementedError

    def state_spec(self, layout):
        return {f"velocity_{i}": (shape, "zeros") for i, shape in enumerate(layout.variables)}

    def velocities(self, state) -> list:
        """The variables that hold the second moments."""
        return [state[name] for name in _numbered(state, "velocity")]

    def precondition(self, state, tensors, step, shift=None, cap=None):
        scales = self.scale(state, step)
        if shift is not None:
            scales = tuple(scale + tf.cast(shift, scale.dtype) for scale in scales)
        return tuple(tensor / scale for tensor, scale in zip(tensors, scales, strict=True))

    def kernel(self, state, cap, step, shift=None):
        square = tf.square(cap.matrix(self.scale(state, step)))
        if shift is not None:
            square = tf.square(tf.sqrt(square) + tf.cast(shift, square.dtype))
        rows, columns = tf.reduce_mean(square, axis=1), tf.reduce_mean(square, axis=0)
        root = tf.sqrt(tf.sqrt(tf.reduce_mean(square)))
        inputs, outputs = root / tf.sqrt(rows), root / tf.sqrt(columns)
        return separable_kernel(cap, DiagonalSide(inputs), DiagonalSide(outputs))

    def to_dense(self, state, layout, step, shift=None):
        rows, outputs = layout.shape
        scales = [tf.reshape(scale, (-1, outputs)) for scale in self.scale(state, step)]
        diagonal = tf.reshape(tf.concat(scales, axis=0), (rows * outputs,))
        return tf.linalg.diag(diagonal if shift is None else diagonal + shift)


def _numbered(state, prefix: str) -> list[str]:
    return [f"{prefix}_{i}" for i in range(sum(name.startswith(prefix) for name in state))]


def moments(state, prefix: str) -> list:
    """The variables of one moment, in the order of the weights."""
    return [state[name] for name in _numbered(state, prefix)]


def values(variables) -> tuple:
    return tuple(read(variable) for variable in variables)
