"""What the blocks with a diagonal M share: state per variable, kernel, dense form."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dgn_tf.curvature.base import Curvature, Preconditioner, Spec, State
from dgn_tf.curvature.kernels import DiagonalSide, separable_kernel
from dgn_tf.game.capture import Capture
from dgn_tf.game.layout import WeightLayout


class Elementwise(Curvature):
    """M = diag(scale), one entry a weight: a subclass says what it remembers and what M is."""

    elementwise = True

    @abstractmethod
    def scale(self, state: State, step: Any) -> tuple:
        """The diagonal of M without a shift, one tensor a variable."""

    def state_spec(self, layout: WeightLayout) -> Spec:
        return {f"velocity_{i}": (shape, "zeros") for i, shape in enumerate(layout.variables)}

    def on(
        self, state: State, cap: Capture | None, step: Any, shift: Any = None, left: Any = None
    ) -> DiagonalPreconditioner:
        return DiagonalPreconditioner(cap, shifted(self.scale(state, step), shift))

    def to_dense(
        self, state: State, layout: WeightLayout, step: Any, shift: Any = None
    ) -> tf.Tensor:
        return tf.linalg.diag(
            tf.reshape(layout.matrix(shifted(self.scale(state, step), shift)), [-1])
        )


class DiagonalPreconditioner(Preconditioner):
    """M⁻¹ = diag(1 / scale).

    The gain uses M itself; the kernel its separable fit ``M_io ≈ √(r_i c_o)``, r and c the row and
    column means of M² over the root of its mean: exact where M² has rank one. The exact kernel of
    a general diagonal would cost B² · I · O.
    """

    def __init__(self, cap: Capture | None, scales: tuple):
        super().__init__(cap)
        self.scales = scales

    def solve(self, tensors: Sequence) -> tuple:
        return tuple(tensor / scale for tensor, scale in zip(tensors, self.scales, strict=True))

    def kernel(self) -> tf.Tensor:
        square = tf.square(self.cap.matrix(self.scales))
        rows, columns = tf.reduce_mean(square, axis=1), tf.reduce_mean(square, axis=0)
        root = tf.sqrt(tf.sqrt(tf.reduce_mean(square)))
        inputs, outputs = root / tf.sqrt(rows), root / tf.sqrt(columns)
        return separable_kernel(self.cap, DiagonalSide(inputs), DiagonalSide(outputs))


def shifted(scales: tuple, shift: Any) -> tuple:
    """A diagonal with the shift added."""
    if shift is None:
        return scales
    return tuple(scale + tf.cast(shift, scale.dtype) for scale in scales)


def moments(state: State, prefix: str) -> list:
    """The variables of one moment, in the order of the weights."""
    return [state[f"{prefix}_{i}"] for i in range(sum(name.startswith(prefix) for name in state))]
