"""The step guard: an update that is not finite, or that explodes, is not applied."""

from dataclasses import asdict, dataclass
from typing import Any

import tensorflow as tf


@dataclass(frozen=True)
class StepGuard:
    """Limits on a step.

    An update Δθ of all players together passes if it is finite and |Δθ| ≤ `largest` (1 + |θ|). One
    that does not is made again, from the same batch, with the learning rate shrunk by `shrink`, at
    most `retries` times; then the step is skipped and counted. After `patience` skipped steps in a
    row training stops with an error that names the stage and the player (under `jit_compile=True`,
    where a compiled step cannot raise, the logged loss becomes NaN instead).

    Attributes:
        largest: relative size above which an update explodes.
        retries: how often a step is tried again.
        shrink: factor on the learning rate at each retry.
        patience: skipped steps in a row before training stops.

    Raises:
        ValueError: for a value out of range.
    """

    largest: float = 10.0
    retries: int = 3
    shrink: float = 0.25
    patience: int = 10

    def __post_init__(self) -> None:
        if not self.largest > 0:
            raise ValueError(f"`largest` must be positive. Received: {self.largest}")
        if not (isinstance(self.retries, int) and self.retries >= 0):
            raise ValueError(f"`retries` must be an integer, at least 0. Received: {self.retries}")
        if not 0 < self.shrink < 1:
            raise ValueError(f"`shrink` must lie between 0 and 1. Received: {self.shrink}")
        if not (isinstance(self.patience, int) and self.patience >= 1):
            raise ValueError(f"`patience` must be a positive integer. Received: {self.patience}")

    @classmethod
    def make(cls, guard: Any) -> "StepGuard | None":
        """A guard from True, False, None, a dictionary of settings, or a guard."""
        if guard is None or guard is False:
            return None
        if guard is True:
            return cls()
        if isinstance(guard, dict):
            return cls(**guard)
        if isinstance(guard, cls):
            return guard
        raise TypeError(f"`guard` must be a StepGuard or a bool. Received: {guard!r}")

    def get_config(self) -> dict:
        return asdict(self)

    def passes(self, updates: list[tf.Tensor], weights: list[tf.Tensor]) -> tf.Tensor:
        """Whether updates (already times the learning rate) may be applied: a boolean scalar."""
        size = tf.add_n([tf.nn.l2_loss(update) for update in updates])
        limit = tf.cast(self.largest**2, size.dtype)

        def against_weights() -> tf.Tensor:
            # Δ²/2 ≤ L² (1/2 + θ²/2) implies |Δ| ≤ L (1 + |θ|); NaN compares false.
            scale = tf.add_n([tf.nn.l2_loss(weight) for weight in weights])
            return size <= limit * (0.5 + scale)

        return tf.cond(size <= 0.5 * limit, lambda: tf.constant(True), against_weights)


def name_failure(game: Any, updates: dict[str, list[tf.Tensor]]) -> tf.Tensor:
    """The index of the owner of weights whose update is not finite, or else the largest."""
    owners = [*game.players, *game.bystanders]
    sizes = tf.stack([tf.add_n([tf.nn.l2_loss(u) for u in updates[o.name]]) for o in owners])
    ranked = tf.where(tf.math.is_finite(sizes), sizes, sizes.dtype.max)
    return tf.argmax(ranked)


def player_names(game: Any) -> list[str]:
    """What an error calls each player, and each layer that is none."""
    players = [f"stage {p.stage}, player '{p.name}' (slot {p.slot})" for p in game.players]
    return players + [f"stage {b.stage}, layer '{b.name}'" for b in game.bystanders]
