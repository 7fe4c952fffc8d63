"""The solved game of a batch, for inspection."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import keras
import tensorflow as tf

from dgn_tf.step.dense_gains import DenseGains
from dgn_tf.step.gains import Gains
from dgn_tf.step.sample_space_gains import SampleSpaceGains
from dgn_tf.step.train import gains_of, observe_batch, observe_curvature


@dataclass(frozen=True)
class PlayerSolution:
    """One player's gains; weights are flattened, the kernel row-major and then the bias.

    Attributes:
        name: the layer's name; None for an absent player.
        k: open gain `(weights,)`; with a preconditioner it contains the learning rate.
        K: feedback gain `(weights, state)`, exact curvature only.
        V_x, V_xx: the slot's value function at the stage, exact curvature only.
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


@dataclass(frozen=True)
class Solution:
    """The solved game: `s[t][n]` is slot n at stage t, `s.loss` the loss with the running costs."""

    stages: tuple[StageSolution, ...]
    loss: tf.Tensor

    def __getitem__(self, stage: int) -> StageSolution:
        return self.stages[stage]

    def __len__(self) -> int:
        return len(self.stages)

    def __iter__(self) -> Iterator[StageSolution]:
        return iter(self.stages)


def solve_batch(model: Any, data: tuple, game: Any) -> Solution:
    """Solves the game of a batch without moving any state of the model or the optimizer.

    Args:
        model: a compiled `GameModel`.
        data: `(x, y, sample_weight)`, arrays or tensors.
        game: the game to solve, one of the model's.
    """
    optimizer = model.optimizer
    x, y, sample_weight = (
        None if part is None else keras.tree.map_structure(tf.convert_to_tensor, part)
        for part in data
    )
    x = keras.tree.map_structure(lambda t: _as_input(t, game), x)
    with keras.StatelessScope():
        seen = observe_batch(model, (x, y, sample_weight), game)
        left = observe_curvature(optimizer, game, seen)
        lr = optimizer.current_learning_rate(seen.batch.dtype)
        gains = gains_of(optimizer, game, seen, left)(lr)
        stages = tuple(_stage(gains, stage, lr) for stage in game.stages)
        loss = seen.loss + _running_cost(optimizer, game, seen.loss.dtype)
    return Solution(stages, loss)


def _as_input(tensor: tf.Tensor, game: Any) -> tf.Tensor:
    dtype = game.graph.dtypes[game.graph.inputs[0]]
    return tf.cast(tensor, dtype) if tensor.dtype.is_floating else tensor


def _running_cost(optimizer: Any, game: Any, dtype: tf.DType) -> tf.Tensor:
    owners = [*game.players, *(b for b in game.bystanders if b.decays)]
    decayed = [v.value for owner in owners for v in owner.variables if optimizer.decays(v)]
    total = sum((tf.cast(tf.nn.l2_loss(v), dtype) for v in decayed), tf.zeros((), dtype))
    return optimizer.weight_decay * total


def _stage(gains: Gains, stage: Any, lr: tf.Tensor) -> StageSolution:
    players = [PlayerSolution(None)] * gains.game.columns
    W = (None, None)
    if isinstance(gains, DenseGains):
        result = gains.results[stage.index]
        W = (result.W_x, result.W_xx)
        for slot, (V_x, V_xx) in enumerate(zip(result.V_x, result.V_xx, strict=True)):
            players[slot] = PlayerSolution(None, V_x=V_x, V_xx=V_xx)
        for player in stage.players:
            k, K = gains.summed(player)
            players[player.slot] = replace(players[player.slot], name=player.name, k=k, K=K)
        return StageSolution(tuple(players), *W)
    for owner, update in gains.stage(stage, None):
        if owner in stage.players:
            flat = tf.concat([tf.reshape(u, [-1]) for u in update], 0)
            values = gains.values if isinstance(gains, SampleSpaceGains) else None
            value = values[stage.index][owner.slot] if values else None
            players[owner.slot] = PlayerSolution(owner.name, k=lr * flat, weights=value)
    return StageSolution(tuple(players))
