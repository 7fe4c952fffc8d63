"""The update pass: Algorithm 1 of Liu, Chen and Theodorou (2021), lines 8 to 12, and how far its
prediction came true, by which a damping adapts."""

from dataclasses import dataclass

import keras
import tensorflow as tf

from dgn_tf.game import keras_surface as surface
from dgn_tf.game.game import Game
from dgn_tf.game.passes import SecondPass
from dgn_tf.game.players import Owner
from dgn_tf.step.clip import clipping
from dgn_tf.step.gains import Gains
from dgn_tf.step.observe import Model, Observation


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
        change = second.state_change(stage) if second and gains.feedback and stage.index else None
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


def reduction_ratio(
    model: Model, game: Game, observation: Observation, labels: tuple, moves: Moves, lr: tf.Tensor
) -> tf.Tensor:
    """Actual over predicted reduction of the data loss by a step at a learning rate, a scalar.

    The step -lr M⁻¹g of a quadratic model with curvature M predicts a reduction of
    lr (1 - lr/2) g'M⁻¹g, which is (1 - lr/2) g'Δ for the update Δ. The second pass of `moves` must
    have run to the outputs; `labels` are `(y, sample_weight)`.
    """
    if moves.second is None:
        raise ValueError("The damping adapts to a second pass that ran to the outputs.")
    y, sample_weight = labels
    outputs = [moves.second.values[key] for key in game.graph.outputs]
    y_pred = keras.tree.pack_sequence_as(observation.y_pred, outputs)
    before, after = (
        surface.data_loss(model, y, each, sample_weight) for each in (observation.y_pred, y_pred)
    )
    inner = [
        tf.reduce_sum(observation.gradients[id(variable)] * update)
        for owner in game.owners
        for variable, update in zip(owner.variables, moves.updates[owner.name], strict=True)
    ]
    predicted = (1.0 - 0.5 * lr) * tf.add_n(inner)
    return tf.cast(before - after, predicted.dtype) / predicted
