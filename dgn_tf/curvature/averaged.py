"""What blocks made of running averages share: their damping, their periods, their fallback."""

from __future__ import annotations

from typing import Any

from dgn_tf.curvature.base import Curvature, State, fraction, period, positive
from dgn_tf.curvature.damping import levenberg_marquardt
from dgn_tf.curvature.diagonal import Diagonal


class Averaged(Curvature):
    """A damped matrix averaged over batches.

    Args:
        damping: λ, positive; the first value where it is adaptive.
        decay: weight of the past in the running averages, in [0, 1); 0 uses the batch alone.
        update_every: steps between two updates of the averages.
        adaptive_damping: change the damping by the reduction ratio (Levenberg-Marquardt).

    Raises:
        ValueError: for a value out of range.
    """

    def __init__(
        self, damping: float, decay: float, update_every: int, adaptive_damping: bool
    ) -> None:
        self.damping = positive("damping", damping)
        self.decay = fraction("decay", decay)
        self.update_every = period("update_every", update_every)
        self.adaptive_damping = bool(adaptive_damping)

    def get_config(self) -> dict[str, Any]:
        return {
            "damping": self.damping,
            "decay": self.decay,
            "update_every": self.update_every,
            "adaptive_damping": self.adaptive_damping,
        }

    def fallback(self) -> Curvature:
        return Diagonal(self.damping, self.decay)

    def adapt(self, state: State, ratio: Any) -> None:
        if self.adaptive_damping:
            levenberg_marquardt(state["damping"], ratio)
