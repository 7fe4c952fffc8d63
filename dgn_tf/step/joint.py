"""The other cooperative solvers: a stage's players by their joint Kronecker factors.

The right sides are the open gradients and feedback terms of the value function *ahead*, since the
joint matrix holds the stage's own curvature: (1/B) U_n (v + C s) + ℓ_u for player n.
"""

from typing import Any

import tensorflow as tf

from dgn_tf.recursion import khatri_rao, prop5
from dgn_tf.recursion.stage_value import StageValue
from dgn_tf.step.observe import Observation


def applies(optimizer: Any, stage: Any) -> bool:
    """Whether a stage is solved by joint factors instead of in sample space."""
    return optimizer.rules.joint_solver and len(stage.players) > 1


def joint_updates(
    optimizer: Any, stage: Any, seen: Observation, values: list, s: tf.Tensor | None
) -> dict[str, list[tf.Tensor]]:
    """The updates before the learning rate of all players of a stage, by name.

    Args:
        optimizer: the `DGNOpt`, with a K-FAC or EKFAC block.
        stage: the stage.
        seen: the batch.
        values: every stage's values, in sample space.
        s: D'δx, `(B R,)`; None where the state has not moved.
    """
    captures = [seen.captures[player.name] for player in stage.players]
    right = []
    for player, capture in zip(stage.players, captures, strict=True):
        value = _ahead(optimizer, seen, values, stage.index, player.slot)
        side = capture.weighted_matrix(seen.by_column(value.weights(s)))
        extra = seen.running[player.name]
        right.append(side if extra is None else side + capture.matrix(extra))
    damping, fisher = optimizer.curvature.damping, optimizer.curvature.fisher
    if optimizer.solver == "prop5":
        solved = prop5.solve(captures, right, damping, fisher)
    else:
        iterations = optimizer.khatri_rao_iterations
        solved = khatri_rao.solve(captures, right, damping, iterations, fisher=fisher)
    return {
        player.name: list(capture.tensors(matrix))
        for player, capture, matrix in zip(stage.players, captures, solved, strict=True)
    }


def _ahead(optimizer: Any, seen: Observation, values: list, stage: int, slot: int) -> StageValue:
    """The value function a stage's players look at: the next stage's, or the terminal cost."""
    if not optimizer.rules.structure.sees_state:
        return StageValue(seen.v_T)
    if stage + 1 < len(values):
        return next(value for value in values[stage + 1] if value is not None)
    return StageValue(seen.v_T, seen.C_T)
