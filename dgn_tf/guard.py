"""The step guard: an update that is not finite, or that explodes, is not applied."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from dgn_tf.settings import Settings, count, number, period


@dataclass(frozen=True)
class StepGuard(Settings):
    """Limits on a step.

    An update Δθ of all players together passes if it is finite and |Δθ| ≤ `largest` (1 + |θ|). One
    that does not is made again, from the same batch, with the learning rate shrunk by `shrink`, at
    most `retries` times; then the step is refused and counted, and everything is as it was before:
    weights, curvature, moving statistics, seed generators, metrics, the step count. After
    `patience` refused steps in a row training stops with an error that names the layer (under
    `jit_compile=True`, where a compiled step cannot raise, the logged loss becomes NaN instead).

    Attributes:
        largest: relative size above which an update explodes.
        retries: how often a step is tried again.
        shrink: factor on the learning rate at each retry.
        patience: refused steps in a row before training stops.

    Raises:
        ValueError: for a value out of range.
    """

    largest: float = 10.0
    retries: int = 3
    shrink: float = 0.25
    patience: int = 10

    def __post_init__(self) -> None:
        number("largest", self.largest, "be positive", lambda x: x > 0)
        number("shrink", self.shrink, "lie between 0 and 1", lambda x: 0 < x < 1)
        count("retries", self.retries)
        period("patience", self.patience)

    @classmethod
    def make(cls, guard: Any) -> "StepGuard | None":
        """A guard from True, False, None, a dictionary of settings, or a guard."""
        if isinstance(guard, dict):
            return cls(**guard)
        if guard is None or isinstance(guard, bool):
            return cls() if guard else None
        if isinstance(guard, cls):
            return guard
        raise TypeError(f"`guard` must be a StepGuard or a bool. Received: {guard!r}")

    def limit(self, weights: Sequence[tf.Tensor]) -> tf.Tensor:
        """The largest half squared norm of an update of weights θ, a scalar."""
        # Δ²/2 ≤ L² (1/2 + θ²/2) implies |Δ| ≤ L (1 + |θ|).
        return self.largest**2 * (0.5 + tf.add_n([tf.nn.l2_loss(weight) for weight in weights]))
