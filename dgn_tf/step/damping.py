"""Levenberg-Marquardt damping: the reduction of the loss against the one the game predicted."""

from typing import Any

import tensorflow as tf

from dgn_tf.game import keras_surface as surface
from dgn_tf.step.observe import Observation
from dgn_tf.step.update_pass import Moves


def reduction_ratio(
    model: Any, game: Any, seen: Observation, moves: Moves, lr: tf.Tensor, labels: tuple
) -> tf.Tensor:
    """Actual over predicted reduction of the data loss, a scalar.

    The step -lr M⁻¹g of a quadratic model with curvature M predicts a reduction of
    lr (1 - lr/2) g'M⁻¹g, which is (1 - lr/2) g'Δ for the update Δ.

    Args:
        model: the `GameModel`.
        game: the alignment that was played.
        seen: the batch before the step.
        moves: the step, whose second pass ran to the outputs.
        lr: scalar, the learning rate.
        labels: `(y, sample_weight)`.
    """
    y, sample_weight = labels
    second = moves.second
    if second is None:
        raise ValueError("The damping adapts to a second pass that ran to the outputs.")
    outputs = [second.values[key] for key in game.graph.outputs]
    y_pred = outputs[0] if not isinstance(seen.y_pred, list | tuple) else outputs
    before = surface.data_loss(model, y, seen.y_pred, sample_weight)
    after = surface.data_loss(model, y, y_pred, sample_weight)
    inner = [
        tf.reduce_sum(seen.gradients[id(variable)] * update)
        for owner in (*game.players, *game.bystanders)
        for variable, update in zip(owner.variables, moves.updates[owner.name], strict=True)
    ]
    predicted = (1.0 - 0.5 * lr) * tf.add_n(inner)
    return tf.cast(before - after, predicted.dtype) / predicted
