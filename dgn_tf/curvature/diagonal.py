"""M = √E[g²] + λ: the block of weights that form no matrix, beside K-FAC and its relatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from dgn_tf.curvature.base import Spec, State, average, fraction, positive, read
from dgn_tf.curvature.elementwise import Elementwise, moments
from dgn_tf.game.layout import WeightLayout


@keras.saving.register_keras_serializable(package="dgn_tf")
class Diagonal(Elementwise):
    """Root mean square of the batch gradient, debiased, plus the damping.

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

    def get_config(self) -> dict[str, Any]:
        return {"damping": self.damping, "decay": self.decay}

    def state_spec(self, layout: WeightLayout) -> Spec:
        return {**super().state_spec(layout), "updates": ((), "zeros")}

    def observe(
        self, state: State, cap: Any, gradient: Sequence, step: Any, shift: Any = None
    ) -> None:
        for velocity, g in zip(moments(state, "velocity"), gradient, strict=True):
            average(velocity, tf.square(g), state["updates"], self.decay)
        state["updates"].assign(read(state["updates"]) + 1.0)

    def scale(self, state: State, step: Any) -> tuple:
        return tuple(tf.sqrt(read(v)) + self.damping for v in moments(state, "velocity"))
