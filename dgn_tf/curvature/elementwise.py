"""Blocks with a diagonal M: what they share, and those of gradient descent, RMSprop and Adam."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from dgn_tf.curvature.base import Curvature, Preconditioner, Spec, State, average, read
from dgn_tf.curvature.kernels import DiagonalSide, separable_kernel
from dgn_tf.game.capture import Capture
from dgn_tf.game.layout import WeightLayout
from dgn_tf.settings import fraction, positive


class Elementwise(Curvature):
    """M = diag(scale), one entry per weight: a subclass says what it remembers and what M is."""

    elementwise = True

    @abstractmethod
    def scale(self, state: State, step: Any) -> tuple:
        """The diagonal of M without a shift, one tensor per variable."""

    def state_spec(self, layout: WeightLayout) -> Spec:
        return {f"velocity_{i}": (shape, "zeros") for i, shape in enumerate(layout.variables)}

    def on(self, state: State, cap: Any, step: Any, shift: Any = None, left: Any = None) -> Any:
        scales = self.scale(state, step)
        if shift is not None:
            scales = tuple(scale + tf.cast(shift, scale.dtype) for scale in scales)
        return DiagonalPreconditioner(cap, scales)

    def to_dense(self, state: State, layout: WeightLayout, step: Any, shift: Any = None) -> Any:
        matrix = layout.matrix(self.on(state, None, step, shift).scales)
        return tf.linalg.diag(tf.reshape(matrix, [-1]))


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


def moments(state: State, prefix: str) -> list:
    """The variables of one moment, in the order of the weights."""
    return [state[f"{prefix}_{i}"] for i in range(sum(name.startswith(prefix) for name in state))]


@keras.saving.register_keras_serializable(package="dgn_tf")
class RMSprop(Elementwise):
    """M = √(E[g²] + ε), E not debiased: `keras.optimizers.RMSprop`.

    Args:
        rho: weight of the past, in [0, 1).
        epsilon: added under the root.

    Raises:
        ValueError: for a value out of range.
    """

    name = "rmsprop"

    def __init__(self, rho: float = 0.9, epsilon: float = 1e-7):
        self.rho = fraction("rho", rho)
        self.epsilon = positive("epsilon", epsilon)

    def observe(self, state: State, cap: Any, gradient: tuple, step: Any, shift: Any = None) -> Any:
        for velocity, g in zip(moments(state, "velocity"), gradient, strict=True):
            velocity.assign(self.rho * read(velocity) + (1.0 - self.rho) * tf.square(g))

    def scale(self, state: State, step: Any) -> tuple:
        return tuple(tf.sqrt(read(v) + self.epsilon) for v in moments(state, "velocity"))


@keras.saving.register_keras_serializable(package="dgn_tf")
class Diagonal(Elementwise):
    """M = √E[g²] + λ, E debiased: of weights that form no matrix, beside K-FAC and its relatives.

    Args:
        damping: λ, positive.
        decay: weight of the past in the running average, in [0, 1).

    Raises:
        ValueError: for a value out of range.
    """

    name = "diagonal"

    def __init__(self, damping: float = 1e-2, decay: float = 0.95):
        self.damping = positive("damping", damping)
        self.decay = fraction("decay", decay)

    def state_spec(self, layout: WeightLayout) -> Spec:
        return {**super().state_spec(layout), "updates": ((), "zeros")}

    def observe(self, state: State, cap: Any, gradient: tuple, step: Any, shift: Any = None) -> Any:
        for velocity, g in zip(moments(state, "velocity"), gradient, strict=True):
            average(velocity, tf.square(g), state["updates"], self.decay)
        state["updates"].assign(read(state["updates"]) + 1.0)

    def scale(self, state: State, step: Any) -> tuple:
        return tuple(tf.sqrt(read(v)) + self.damping for v in moments(state, "velocity"))


@keras.saving.register_keras_serializable(package="dgn_tf")
class Adam(Elementwise):
    """Kingma and Ba (2015) with Keras's ε, which is added before the bias correction.

    Args:
        beta_1: weight of the past in the first moment.
        beta_2: weight of the past in the second moment.
        epsilon: added to the root of the second moment.

    Raises:
        ValueError: for a value out of range.
    """

    name = "adam"
    momentum = True

    def __init__(self, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7):
        self.beta_1 = fraction("beta_1", beta_1)
        self.beta_2 = fraction("beta_2", beta_2)
        self.epsilon = positive("epsilon", epsilon)

    def state_spec(self, layout: WeightLayout) -> Spec:
        first = {f"momentum_{i}": (shape, "zeros") for i, shape in enumerate(layout.variables)}
        return {**first, **super().state_spec(layout)}

    def observe(self, state: State, cap: Any, gradient: tuple, step: Any, shift: Any = None) -> Any:
        for velocity, g in zip(moments(state, "velocity"), gradient, strict=True):
            old = read(velocity)
            velocity.assign(old + (tf.square(g) - old) * (1.0 - self.beta_2))

    def first_moment(self, state: State, gradient: Sequence, step: Any) -> tuple[tuple, list]:
        """``m ← m + (1 - β₁)(g - m)``, and ``m / (1 - β₁ᵗ)`` in place of the gradient."""
        held = moments(state, "momentum")
        moved = [
            (momentum, read(momentum) + (g - read(momentum)) * (1.0 - self.beta_1))
            for momentum, g in zip(held, gradient, strict=True)
        ]
        return tuple(new / _bias(self.beta_1, step, new.dtype) for _, new in moved), moved

    def scale(self, state: State, step: Any) -> tuple:
        velocities = [read(v) for v in moments(state, "velocity")]
        return tuple(
            (tf.sqrt(v) + self.epsilon) / tf.sqrt(_bias(self.beta_2, step, v.dtype))
            for v in velocities
        )


def _bias(beta: float, step: Any, dtype: Any) -> tf.Tensor:
    """``1 - βᵗ`` with t = step + 1."""
    return 1.0 - tf.pow(tf.constant(beta, dtype), tf.cast(step, dtype) + 1.0)


@keras.saving.register_keras_serializable(package="dgn_tf")
class Identity(Curvature):
    """M = I; its kernel is the plain tangent kernel of the layer."""

    name = "identity"
    elementwise = True
    needs_statistics = False

    def state_spec(self, layout: WeightLayout) -> Spec:
        return {}

    def on(self, state: State, cap: Any, step: Any, shift: Any = None, left: Any = None) -> Any:
        return _Scalar(cap, shift)

    def to_dense(self, state: State, layout: WeightLayout, step: Any, shift: Any = None) -> Any:
        rows, outputs = layout.shape
        dtype = keras.config.floatx() if shift is None else shift.dtype
        return tf.eye(rows * outputs, dtype=dtype) * (1.0 if shift is None else 1.0 + shift)


class _Scalar(Preconditioner):
    """I / (1 + shift)."""

    def __init__(self, cap: Capture | None, shift: Any):
        super().__init__(cap)
        self.scale = 1.0 if shift is None else 1.0 + shift

    def solve(self, tensors: Sequence) -> tuple:
        return tuple(tensor / self.scale for tensor in tensors)

    def kernel(self) -> tf.Tensor:
        sizes = self.cap.rows, self.cap.outputs
        inputs, outputs = (DiagonalSide(tf.ones((size,), self.cap.dtype)) for size in sizes)
        return separable_kernel(self.cap, inputs, outputs) / self.scale
