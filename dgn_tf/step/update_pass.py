"""The update pass: Algorithm 1 of Liu, Chen and Theodorou (2021), lines 8 to 12."""

from dataclasses import dataclass

import tensorflow as tf

from dgn_tf.game.passes import SecondPass
from dgn_tf.game.players import Owner
from dgn_tf.step.clip import clipping
from dgn_tf.step.gains import Gains


@dataclass(frozen=True)
class Moves:
    """What a step would change.

    Attributes:
        updates: name of player or bystander → updates Δθ, to be subtracted, one a variable.
        weights: pairs (variable, new value), constraints applied.
        moments: pairs (variable, new value) of first moments.
        second: the second pass, run to the outputs where it was asked for; None in an open loop.
    """

    updates: dict[str, tuple]
    weights: list[tuple]
    moments: list[tuple]
    second: SecondPass | None


def update_pass(gains: Gains, lr: tf.Tensor, to_outputs: bool = False) -> Moves:
    """θ ← θ - (k + K δx), stage by stage on the state that the earlier updates have moved.

    Args:
        gains: of the batch.
        lr: scalar, the learning rate.
        to_outputs: whether the second pass goes on to the model's outputs.
    """
    game, first = gains.game, gains.observation.first
    clip = clipping(gains.optimizer, gains, lr)
    second = SecondPass(first) if gains.feedback or to_outputs else None
    updates: dict[str, tuple] = {}
    pairs: list[tuple] = []
    for stage in game.stages:
        answers = gains.feedback and second is not None and stage.index > 0
        change = second.state_change(stage) if answers and second is not None else None
        moved = []
        for owner, update in gains.stage(stage, change):
            updates[owner.name] = tuple(lr * u for u in clip(update))
            moved += _moved(owner, updates[owner.name])
        pairs += moved
        if second is not None and (to_outputs or stage.index + 1 < game.horizon):
            second.run_stage(stage, moved)
    return Moves(updates, pairs, gains.moments, second)


def _moved(owner: Owner, steps: tuple) -> list[tuple]:
    """Pairs (variable, new value)."""
    pairs = []
    for variable, step in zip(owner.variables, steps, strict=True):
        value = variable.value - step
        if variable.constraint is not None:
            value = tf.convert_to_tensor(variable.constraint(value))
        pairs.append((variable, value))
    return pairs
