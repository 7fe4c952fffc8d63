"""The solved game of a batch, for inspection."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from dgn_tf.step.exact import linearise, solve_dense
from dgn_tf.step.move import open_update, solve_game
from dgn_tf.step.observe import observe
from dgn_tf.step.running_cost import note_running_costs
from dgn_tf.step.train import curvature_of_batch


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
        if optimizer.rules.exact:
            found = linearise(model, (x, y, sample_weight), game)
            seen, stages = found.seen, _dense_stages(optimizer, game, found)
        else:
            seen = observe(
                model,
                optimizer.terminal,
                (x, y, sample_weight),
                captures=True,
                feedback=optimizer.rules.closed_loop,
                games=(game,),
            )
            note_running_costs(optimizer, game, seen)
            curvature_of_batch(optimizer, game, seen)
            stages = _sampled_stages(optimizer, game, seen)
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


def _dense_stages(optimizer: Any, game: Any, found: Any) -> tuple[StageSolution, ...]:
    stages = []
    for stage, result in zip(game.stages, solve_dense(optimizer, found), strict=True):
        names = {player.slot: player.name for player in stage.players}
        players = []
        for slot in range(game.columns):
            gain = result.players[slot] if slot < len(result.players) else None
            values = (result.V_x, result.V_xx)
            V_x, V_xx = (v[slot] if v else None for v in values)
            players.append(
                PlayerSolution(
                    names.get(slot),
                    None if gain is None else gain.k,
                    None if gain is None else gain.K,
                    V_x,
                    V_xx,
                )
            )
        stages.append(StageSolution(tuple(players), result.W_x, result.W_xx))
    return tuple(stages)


def _sampled_stages(optimizer: Any, game: Any, seen: Any) -> tuple[StageSolution, ...]:
    lr = optimizer.current_learning_rate(seen.batch.dtype)
    prepared, values = solve_game(optimizer, game, seen, lr)
    stages = []
    for stage in game.stages:
        players = [PlayerSolution(None)] * game.columns
        for player in stage.players:
            update = open_update(optimizer, player, seen, prepared, values, lr)
            flat = tf.concat([tf.reshape(u, [-1]) for u in update], 0)
            value = values[player.stage][player.slot] if values else None
            players[player.slot] = PlayerSolution(
                player.name, k=lr * player.agents * flat, weights=value
            )
        stages.append(StageSolution(tuple(players)))
    return tuple(stages)
