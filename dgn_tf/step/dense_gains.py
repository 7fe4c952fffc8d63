"""Exact curvature: the dense game of a batch from the Jacobians of its stages."""

import math
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from dgn_tf.game.game import Game, Stage
from dgn_tf.game.players import Player
from dgn_tf.linalg import eigh
from dgn_tf.optimizer import DGNOpt
from dgn_tf.precise import einsum, matvec
from dgn_tf.recursion import dense
from dgn_tf.step.gains import Change, Gains, Update
from dgn_tf.step.observe import Observation, flat_state


@dataclass(frozen=True)
class DenseGame:
    """A batch as a dense linear-quadratic game.

    The states are stacked sample-major, the tensors of a cut newest first; phi_x and phi_xx are
    derivatives of the batch loss by the stacked x_T.
    """

    observation: Observation
    stages: list[dense.DenseStage]
    phi_x: tf.Tensor
    phi_xx: tf.Tensor


def dense_game(optimizer: DGNOpt, game: Game, observation: Observation) -> DenseGame:
    """The dense game of a batch that was observed with its Jacobians.

    N agents of a player who are solved for together are one player whose ℓ_uu is divided by N: they
    share every other second derivative, and by symmetry the sum of their answers.

    Raises:
        ValueError: for a shared layer, whose weights act at several stages.
    """
    for player in game.players:
        if len(player.call_indices) > 1:
            raise ValueError(
                "With exact curvature every player acts once. "
                f"Received: shared layer '{player.name}'."
            )
    stages = [_stage(optimizer, game, stage, observation) for stage in game.stages]
    made = observation.factor
    batch = tf.shape(made.v)[0]
    Z = tf.reshape(made.Z, (batch, made.Z.shape[1], -1))
    blocks = einsum("brd,bre->bde", made.C[..., None] * Z, Z)
    slope = einsum("brd,br->bd", Z, made.v)
    blocks = (blocks + _unbent(blocks, slope)) / observation.batch
    size = tf.shape(blocks)[1] * batch
    eye = tf.eye(batch, dtype=Z.dtype)
    phi_xx = tf.reshape(einsum("bc,bde->bdce", eye, blocks), (size, size))
    return DenseGame(observation, stages, tf.reshape(slope / observation.batch, [-1]), phi_xx)


def _unbent(phi_xx: tf.Tensor, phi_x: tf.Tensor) -> tf.Tensor:
    """Gauss-Newton's φ_x φ_x' where a Newton step has no bound, `(B, d, d)`: |φ_x|² as curvature
    along the part of φ_x outside the range of φ_xx, which is without its negative part."""
    values, vectors = eigh(phi_xx)
    epsilon = float(np.finfo(phi_x.dtype.as_numpy_dtype).eps)
    # `TerminalLoss.root` writes ε² for what does not bend.
    bent = values > epsilon * tf.maximum(values[:, -1:], 2.0 * epsilon)
    along = tf.where(bent, tf.zeros_like(values), matvec(vectors, phi_x, transpose_a=True))
    rest, square = matvec(vectors, along), tf.reduce_sum(tf.square(phi_x), -1, keepdims=True)
    length = tf.reduce_sum(tf.square(along), -1, keepdims=True)
    length = tf.where(length > epsilon * square, length, tf.zeros_like(length))
    row = rest * tf.sqrt(tf.math.divide_no_nan(square, length))
    return row[:, :, None] * row[:, None, :]


def _stage(optimizer: DGNOpt, game: Game, stage: Stage, seen: Observation) -> dense.DenseStage:
    copies = seen.first.cuts[stage.index]
    batch = tf.shape(seen.factor.v)[0]
    jacobians = seen.jacobians[stage.index]
    rows = tf.shape(jacobians[0])[0]
    # Integers are no state: with them alone there is none before the first stage.
    by_state = [tf.zeros((rows, batch, 0), jacobians[0].dtype)]
    by_state += [tf.reshape(j, (rows, batch, -1)) for j in jacobians[: len(copies)]]
    F_x = tf.reshape(tf.concat(by_state, 2), (rows, -1))
    remaining = iter(jacobians[len(copies) :])
    F_n: list = [None] * game.slots
    l_u: list = [None] * game.slots
    l_uu: list = [0.0] * game.slots
    for player in stage.players:
        own = [tf.reshape(next(remaining), (rows, math.prod(v.shape))) for v in player.variables]
        F_n[player.slot] = tf.concat(own, 1)
        own_l_u = seen.l_u[player.name]
        if own_l_u is None:
            own_l_u = tuple(tf.zeros_like(v.value) for v in player.variables)
        l_u[player.slot] = tf.concat([tf.reshape(e, [-1]) for e in own_l_u], 0)
        together = player.agents if optimizer.rules.structure.joint else 1
        decay = [optimizer.weight_decay * optimizer.decays(v) / together for v in player.variables]
        diagonal = np.repeat(decay, [math.prod(v.shape) for v in player.variables])
        l_uu[player.slot] = tf.linalg.diag(tf.constant(diagonal, player.variables[0].dtype))
    return dense.DenseStage(F_x, F_n, l_u, l_uu)


class DenseGains(Gains):
    """k + K δx of the dense game: Q_uu = ℓ_uu + F_n'V_xx F_n stands for M.

    Attributes:
        results: gains and value functions, a stage each, of one agent of each player where they do
            not know of each other.
    """

    def __init__(self, optimizer: DGNOpt, game: Game, dense_game: DenseGame):
        super().__init__(optimizer, game, dense_game.observation)
        rules = optimizer.rules
        self.feedback = rules.closed_loop
        self.results = dense.solve(
            dense_game.stages,
            dense_game.phi_x,
            dense_game.phi_xx,
            rules.information_structure,
            absent_players=rules.absent_players,
        )

    def summed(self, player: Player) -> tuple[tf.Tensor, tf.Tensor]:
        """`(weights,)` k and `(weights, state)` K, summed over the player's agents."""
        gain = self.results[player.stage].players[player.slot]
        if gain is None:
            raise ValueError(f"'{player.name}' has no gain at stage {player.stage}.")
        times = 1 if self.optimizer.rules.structure.joint else player.agents
        return times * gain.k, times * gain.K

    def player(self, player: Player, change: Change) -> Update:
        k, K = self.summed(player)
        if change is not None:
            copies = self.observation.first.cuts[player.stage]
            parts = [change.get(key, tf.zeros_like(x)) for key, x in copies.items()]
            moved = flat_state(parts, tf.shape(self.observation.factor.v)[0])
            k += matvec(K, tf.reshape(moved, [-1]))
        parts = tf.split(k, [tf.size(v.value) for v in player.variables])
        return tuple(tf.reshape(p, v.shape) for p, v in zip(parts, player.variables, strict=True))
