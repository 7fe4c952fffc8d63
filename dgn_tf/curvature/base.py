"""What a curvature block is: the preconditioner M of one player, its state and its kernels."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import tensorflow as tf

from dgn_tf.game.capture import Capture
from dgn_tf.game.layout import WeightLayout
from dgn_tf.settings import Settings

State = Mapping[str, Any]
Spec = dict[str, tuple[tuple[int, ...], Any]]


class Curvature(Settings, ABC):
    """The preconditioner M of a player: settings, and functions of a state.

    M excludes the learning rate. The state belongs to the optimizer, as a mapping from the names of
    :meth:`state_spec` to variables: :meth:`observe` moves it on by a batch, :meth:`on` makes the
    batch's preconditioner of it. A step that the guard refuses puts the state back as it was, so a
    block need not look whether a batch is finite.

    Class attributes:
        name: the block's name in summaries and in :func:`dgn_tf.curvature.get`.
        elementwise: M is diagonal in the weights and needs no inputs or cotangents of the layer.
        needs_statistics: whether :meth:`observe` does anything.
        momentum: whether the block replaces the gradient by its first moment.
    """

    name = "curvature"
    elementwise = False
    needs_statistics = True
    momentum = False
    adaptive_damping = False

    def fallback(self) -> "Curvature":
        """The block of weights that this one cannot treat; itself where it treats all."""
        return self

    @abstractmethod
    def state_spec(self, layout: WeightLayout) -> Spec:
        """Name → (shape, initial value): ``zeros``, ``ones``, ``identity`` or a number."""

    def observe(self, state: State, cap: Any, gradient: tuple, step: Any, shift: Any = None) -> Any:
        """Move the running statistics on by one batch.

        Args:
            state: the player's variables, assigned to.
            cap: the player's :class:`~dgn_tf.game.capture.Capture`; None for elementwise blocks.
            gradient: the batch gradient of the loss alone, variable-shaped.
            step: scalar, the number of steps before this one.
            shift: scalar or None, for blocks that can add it only when they factorise M.

        Returns:
            What :meth:`on` may use of this batch, None for nothing.
        """
        return None

    def observe_all(self, batches: Sequence[tuple], step: tf.Tensor) -> list:
        """:meth:`observe` for every player's (state, cap, gradient, shift)."""
        return [self.observe(s, cap, g, step, shift) for s, cap, g, shift in batches]

    @abstractmethod
    def on(self, state: State, cap: Any, step: Any, shift: Any = None, left: Any = None) -> Any:
        """``(M + shift I)⁻¹`` on one batch, a :class:`Preconditioner`.

        Args:
            state: the player's variables.
            cap: the player's capture; None where only ``solve`` of an elementwise block is needed.
            step: scalar, the number of steps before this one.
            shift: scalar or None, added to M's diagonal: lr ℓ_uu of (9), where it joins Q_uu.
            left: what :meth:`observe` returned.
        """

    def first_moment(self, state: State, gradient: Sequence, step: tf.Tensor) -> tuple[tuple, list]:
        """The averaged gradient, and pairs (variable, new value) of the state, not yet assigned;
        the gradient itself and no pairs for blocks without momentum."""
        return tuple(gradient), []

    def adapt(self, state: State, ratio: tf.Tensor) -> None:
        """Change the damping by the reduction ratio, for blocks with adaptive damping."""

    @abstractmethod
    def to_dense(self, state: State, layout: WeightLayout, step: Any, shift: Any = None) -> Any:
        """M + shift I with its damping, ``(I O, I O)``, on the row-major weight matrix."""


class Preconditioner(ABC):
    """``(M + shift I)⁻¹`` of one player on one batch: kernel, solve and gain share it.

    Args:
        cap: the player's capture; None where only `solve` is needed.
    """

    def __init__(self, cap: Capture | None):
        self._cap = cap

    @property
    def cap(self) -> Capture:
        """The player's capture."""
        if self._cap is None:
            raise ValueError("Kernels and gains need the player's capture. Received: cap=None.")
        return self._cap

    @abstractmethod
    def solve(self, tensors: Sequence) -> tuple:
        """``M⁻¹ X`` for variable-shaped X."""

    @abstractmethod
    def kernel(self) -> tf.Tensor:
        """``Γ = U'M⁻¹U``, ``(n, n)``, or the approximation the class describes."""

    def gain(self, w: tf.Tensor, extra: Sequence | None = None) -> tuple:
        """``M⁻¹ ((1/B) U w + X)`` for weights ``(B, R)`` and X, both variable-shaped."""
        return self.solve(add(self.cap.weighted(w), extra))


def add(first: tuple, second: Sequence | None) -> tuple:
    """Sums of variable-shaped tensors; None stands for zero."""
    return first if second is None else tuple(map(tf.add, first, second))


def read(variable: Any) -> tf.Tensor:
    """A variable's value."""
    return tf.convert_to_tensor(variable)


def when(condition: Any, action: Callable[[], Any], cond: Callable = tf.cond) -> Any:
    """Run `action` where the condition, a Python or tensor bool, holds; returns what to await."""

    def run() -> tf.Tensor:
        action()
        return tf.constant(True)

    if isinstance(condition, bool):
        return condition and run()
    return cond(condition, run, lambda: tf.constant(False))


def apart(function: Callable) -> Callable:
    """The function with a graph of its own, which TensorFlow does not copy to its callers; as it is
    where no graph is traced."""
    if tf.executing_eagerly():
        return function
    attributes = {"_noinline": True}
    return tf.function(function, autograph=False, experimental_attributes=attributes)


def shared(function: Callable) -> Callable:
    """The function with one graph for all arguments of equal shapes, however many players call it;
    for tensors in and out, and Python numbers in."""
    graph = cache(lambda *setting: apart(function))
    tf32 = tf.config.experimental.tensor_float_32_execution_enabled  # a graph keeps it as it was
    return lambda *given: graph(tf.executing_eagerly(), tf32())(*given)


def due(step: tf.Tensor, period: int, updates: Any = None) -> Any:
    """Whether a period ends at this step; always for period 1 and before the first update."""
    if period == 1:
        return True
    now = tf.equal(step % period, 0)
    return now if updates is None else tf.logical_or(now, tf.equal(read(updates), 0.0))


def past_weight(updates: Any, decay: float, dtype: Any) -> tf.Tensor:
    """Weight of the past in a running average after k updates: ``min(decay, 1 - 1/(k+1))``, so
    that the first estimates are plain means."""
    count = tf.cast(read(updates), dtype)
    return tf.minimum(tf.constant(decay, dtype), 1.0 - 1.0 / (count + 1.0))


def average(variable: Any, value: Any, updates: Any, decay: float) -> None:
    """Move a running average on by one value."""
    past = past_weight(updates, decay, value.dtype)
    variable.assign(past * read(variable) + (1.0 - past) * value)
