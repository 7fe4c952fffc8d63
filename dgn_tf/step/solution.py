"""The solved game of a batch, for inspection."""

from dataclasses import dataclass, replace
from typing import Any

import keras
import tensorflow as tf

from dgn_tf.game.game import Game, Stage
from dgn_tf.optimizer import DGNOpt
from dgn_tf.step.dense_gains import DenseGains
from dgn_tf.step.gains import Gains
from dgn_tf.step.observe import Model
from dgn_tf.step.train import gains_of, observe_batch, observe_curvature


@dataclass(frozen=True)
class PlayerSolution:
    """One player's gains; weights are flattened, the kernel row-major and then the bias.

    Attributes:
        name: the layer's name; None for an absent player.
        k: open gain `(weights,)`; with a preconditioner it contains the learning rate.
        K, V_x, V_xx: with exact curvature, feedback gain `(weights, state)` and value function.
        weights: the value (v, C) in sample space, with a preconditioner and a recursion only.
    """

    name: str | None
    k: tf.Tensor | None = None
    K: tf.Tensor | None = None
    V_x: tf.Tensor | None = None
    V_xx: tf.Tensor | None = None
    weights: Any = None


@dataclass(frozen=True)
class StageSolution:
    """One stage: players by slot, and the joint value function of the cooperative structure."""

    players: tuple[PlayerSolution, ...]
    W_x: tf.Tensor | None = None
    W_xx: tf.Tensor | None = None

    def __getitem__(self, slot: int) -> PlayerSolution:
        return self.players[slot]


class Solution(tuple[StageSolution, ...]):
    """The solved game: `s[t][n]` is slot n at stage t, `s.loss` the loss with the running costs."""

    loss: tf.Tensor


def solve_batch(model: Model, data: tuple, game: Game) -> Solution:
    """Solves one of a model's games on a batch `(x, y, sample_weight)`; no state moves."""
    optimizer = model.optimizer
    x, *labels = (
        None if part is None else keras.tree.map_structure(tf.convert_to_tensor, part)
        for part in data
    )
    dtype = game.graph.dtypes[game.graph.inputs[0]]
    x = keras.tree.map_structure(lambda t: tf.cast(t, dtype) if t.dtype.is_floating else t, x)
    with keras.StatelessScope():
        observation = observe_batch(model, (x, *labels), game)
        left = observe_curvature(optimizer, game, observation)
        lr = optimizer.current_learning_rate(observation.batch.dtype)
        gains = gains_of(optimizer, game, observation, left)(lr)
        solution = Solution(_stage(gains, stage, lr) for stage in game.stages)
        solution.loss = observation.loss + _running_cost(optimizer, game, observation.loss.dtype)
    return solution


def _running_cost(optimizer: DGNOpt, game: Game, dtype: tf.DType) -> tf.Tensor:
    owned = [v for owner in game.owners if owner.decays for v in owner.variables]
    decayed = [v.value for v in owned if optimizer.decays(v)]
    total = sum((tf.cast(tf.nn.l2_loss(v), dtype) for v in decayed), tf.zeros((), dtype))
    return optimizer.weight_decay * total


def _stage(gains: Gains, stage: Stage, lr: tf.Tensor) -> StageSolution:
    players = [PlayerSolution(None)] * gains.game.slots
    if isinstance(gains, DenseGains):
        result = gains.results[stage.index]
        for slot, (V_x, V_xx) in enumerate(zip(result.V_x, result.V_xx, strict=True)):
            players[slot] = PlayerSolution(None, V_x=V_x, V_xx=V_xx)
        for player in stage.players:
            k, K = gains.summed(player)
            players[player.slot] = replace(players[player.slot], name=player.name, k=k, K=K)
        return StageSolution(tuple(players), result.W_x, result.W_xx)
    values = getattr(gains, "values", None)
    for player, update in gains.team(stage, None):
        k = lr * tf.concat([tf.reshape(u, [-1]) for u in update], 0)
        value = None if values is None else values[stage.index][player.slot]
        players[player.slot] = PlayerSolution(player.name, k=k, weights=value)
    return StageSolution(tuple(players))
