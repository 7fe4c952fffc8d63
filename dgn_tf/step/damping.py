"""Levenberg-Marquardt damping: the reduction of the loss against the one the game predicted."""

from typing import TYPE_CHECKING

import keras
import tensorflow as tf

from dgn_tf.game import keras_surface as surface
from dgn_tf.game.game import Game
from dgn_tf.step.observe import Observation
from dgn_tf.step.update_pass import Moves

if TYPE_CHECKING:
    from dgn_tf.game_model import GameModel


def reduction_ratio(
    model: "GameModel",
    game: Game,
    observation: Observation,
    labels: tuple,
    moves: Moves,
    lr: tf.Tensor,
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
