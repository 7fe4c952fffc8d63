"""What a curvature block is: the preconditioner M of one player, its state and its kernels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from dgn_tf.game.layout import WeightLayout

State = Mapping[str, Any]


class Curvature:
    """The preconditioner M of a player: settings, and pure functions of a state.

    M excludes the learning rate. The state belongs to the optimizer: a mapping from the names of
    :meth:`state_spec` to variables, which :meth:`update` assigns to. A ``shift`` is a scalar that
    is added to M's diagonal: lr times the weight decay, where the second derivative of the running
    cost joins the curvature.

    Class attributes:
        name: the block's name in summaries and in :func:`dgn_tf.curvature.get`.
        elementwise: M is diagonal in the weights and needs no inputs or cotangents of the layer.
        needs_statistics: whether :meth:`update` does anything.
        momentum: whether the block replaces the gradient by its first moment.
    """

    name = "curvature"
    elementwise = False
    needs_statistics = True
    momentum = False
    adaptive_damping = False

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Curvature:
        return cls(**config)

    def fallback(self) -> Curvature:
        """The block of weights that this one cannot treat; itself where it treats all."""
        return self

    def state_spec(self, layout: WeightLayout) -> dict[str, tuple[tuple[int, ...], Any]]:
        """Name → (shape, initial value): ``zeros``, ``ones``, ``identity`` or a number."""
        return {}

    def update(self, state: State, cap, gradient: Sequence, step, active=None, shift=None) -> None:
        """Move the running statistics on by one batch.

        Args:
            state: the player's variables, assigned to.
            cap: the player's :class:`~dgn_tf.game.capture.Capture`; None for elementwise blocks.
            gradient: the batch gradient of the loss alone, variable-shaped.
            step: scalar, the number of steps before this one.
            active: scalar bool; False leaves the state as it is. None means True.
            shift: scalar or None, for blocks that can add it only when they factorise M.
        """

    def precondition(self, state: State, tensors: Sequence, step, shift=None, cap=None) -> tuple:
        """``(M + shift I)⁻¹ X`` for variable-shaped X.

        Without `cap` the weight matrix is the kernel reshaped to ``(-1, O)`` over the bias; with it
        the layout of the layer's own.
        """
        raise NotImplementedError

    def prepare(self, state: State, cap, step, shift=None) -> Prepared:
        """This block on one player and one batch."""
        return Prepared(self, state, cap, step, shift)

    def kernel(self, state: State, cap, step, shift=None) -> tf.Tensor:
        """``Γ = U'M⁻¹U``, ``(n, n)``, or the approximation the class describes."""
        raise NotImplementedError

    def first_moment(self, state: State, tensors: Sequence, step, active=None) -> tuple:
        """The averaged gradient, for blocks with momentum; the gradient itself otherwise."""
        return tuple(tensors)

    def adapt(self, state: State, ratio, active=None) -> None:
        """Change the damping by the reduction ratio, for blocks with adaptive damping."""

    def to_dense(self, state: State, layout: WeightLayout, step, shift=None) -> tf.Tensor:
        """M with its damping as an ``(I O, I O)`` matrix on the row-major weight matrix."""
        raise NotImplementedError


class Prepared:
    """A player's preconditioner on one batch; what kernel and gain share is computed once.

    Args:
        curvature: the block.
        state: its variables.
        cap: the player's capture.
        step: scalar.
        shift: scalar or None, added to M's diagonal.
    """

    def __init__(self, curvature: Curvature, state: State, cap, step, shift=None):
        self.curvature = curvature
        self.state = state
        self.cap = cap
        self.step = step
        self.shift = shift
        self._solved: tuple[int, tuple] | None = None

    def kernel(self) -> tf.Tensor:
        """``Γ = U'M⁻¹U``: ``(n, n)``."""
        return self.curvature.kernel(self.state, self.cap, self.step, self.shift)

    def solve(self, tensors: Sequence) -> tuple:
        """``M⁻¹ X`` for variable-shaped X."""
        return self.curvature.precondition(self.state, tensors, self.step, self.shift, self.cap)

    def pullback_solved(self, extra: Sequence) -> tf.Tensor:
        """``U'M⁻¹ X``: ``(n,)``, for variable-shaped X; M⁻¹ X is kept for :meth:`gain`."""
        solved = self.solve(extra)
        self._solved = (id(extra), solved)
        return self.cap.pullback(solved)

    def gain(self, w, extra: Sequence | None = None) -> tuple:
        """``M⁻¹ ((1/B) U w + X)`` for weights ``(B, R)``, variable-shaped."""
        own = self.gain_at_hand(w)
        if own is not None:
            return own if extra is None else add(own, self._solve_once(extra))
        weighted = self.cap.weighted(w)
        if extra is not None and self._solved is not None and self._solved[0] == id(extra):
            return add(self.solve(weighted), self._solved[1])
        return self.solve(weighted if extra is None else add(weighted, extra))

    def gain_at_hand(self, w) -> tuple | None:
        """``M⁻¹ (1/B) U w`` from what statistics or kernel left, None if they left nothing."""
        return None

    def _solve_once(self, extra: Sequence) -> tuple:
        if self._solved is not None and self._solved[0] == id(extra):
            return self._solved[1]
        return self.solve(extra)


def add(first: Sequence, second: Sequence) -> tuple:
    """Sums of variable-shaped tensors."""
    return tuple(a + b for a, b in zip(first, second, strict=True))


def read(variable) -> tf.Tensor:
    """A variable's value."""
    return tf.convert_to_tensor(variable)


def assign(variable, value, active=None) -> None:
    """Assign where `active` is None or true."""
    if active is not None:
        value = tf.where(active, value, read(variable))
    variable.assign(value)


def when(condition, action: Callable[[], None]) -> None:
    """Run `action` where the condition, a Python or a tensor bool, holds."""
    if isinstance(condition, bool):
        if condition:
            action()
        return

    def run():
        action()
        return tf.constant(True)

    tf.cond(condition, run, lambda: tf.constant(False))


def due(step, period: int, updates=None):
    """Whether a period ends at this step; always for period 1 and before the first update."""
    if period == 1:
        return True
    now = tf.equal(step % period, 0)
    return now if updates is None else tf.logical_or(now, tf.equal(read(updates), 0.0))


def weights(updates, decay: float, dtype, active=None):
    """``(past, fresh)`` of a running average after k updates.

    past is ``min(decay, 1 - 1/(k+1))``, so that the first estimates are plain means; (1, 0) where
    not active.
    """
    count = tf.cast(read(updates), dtype)
    past = tf.minimum(tf.cast(decay, dtype), 1.0 - 1.0 / (count + 1.0))
    fresh = 1.0 - past
    if active is not None:
        past, fresh = tf.where(active, past, 1.0), tf.where(active, fresh, 0.0)
    return past, fresh


def average(variable, value, updates, decay: float, active=None) -> None:
    """Move a running average on by one value, which must be finite where active."""
    past, fresh = weights(updates, decay, value.dtype)
    assign(variable, past * read(variable) + fresh * value, active)


def positive(name: str, value: float) -> float:
    """The value, if it is a positive finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e30:
        raise ValueError(f"`{name}` must be a positive number. Received: {value!r}.")
    return float(value)


def fraction(name: str, value: float) -> float:
    """The value, if it lies in [0, 1)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise ValueError(f"`{name}` must lie in [0, 1). Received: {value!r}.")
    return float(value)


def period(name: str, value: int) -> int:
    """The value, if it is a positive integer."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"`{name}` must be a positive integer. Received: {value!r}.")
    return value
