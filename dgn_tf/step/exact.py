"""Exact curvature: the dense game of a batch from the Jacobians of its stages."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from dgn_tf.game import keras_surface as surface
from dgn_tf.game.passes import FirstPass, SecondPass
from dgn_tf.recursion import dense
from dgn_tf.step.clip import Clipper
from dgn_tf.step.move import Moves, record
from dgn_tf.step.observe import Observation
from dgn_tf.step.running_cost import note_running_costs
from dgn_tf.terminal import factor
from dgn_tf.terminal.objective import output_probes, read_objective


@dataclass
class DenseGame:
    """A batch as a dense linear-quadratic game.

    Attributes:
        seen: the first pass with its loss and gradients.
        stages: F_x, F_n, ℓ_u and ℓ_uu of every stage; states are stacked sample-major, the tensors
            of a cut newest first.
        phi_x, phi_xx: derivatives of the batch loss by the stacked x_T.
    """

    seen: Observation
    stages: list[dense.DenseStage]
    phi_x: tf.Tensor
    phi_xx: tf.Tensor


def flat_state(tensors: list[tf.Tensor], batch: tf.Tensor) -> tf.Tensor:
    """The tensors of a cut as one `(B, d)` state."""
    return tf.concat([tf.reshape(x, (batch, -1)) for x in tensors], 1)


def _weight_rows(rows: list[tf.Tensor], count: tf.Tensor) -> tf.Tensor:
    return tf.concat([tf.reshape(r, (count, -1)) for r in rows], 1)


def linearise(model: Any, data: tuple, game: Any = None) -> DenseGame:
    """The dense game of a batch `(x, y, sample_weight)`; the model's (first) one if not given.

    Raises:
        ValueError: for a shared layer, whose weights act at several stages.
    """
    x, y, sample_weight = data
    x = keras.tree.map_structure(tf.convert_to_tensor, x)
    game, optimizer = model.game if game is None else game, model.optimizer
    for player in game.players:
        if len(player.call_indices) > 1:
            raise ValueError(
                "With exact curvature every player acts once. "
                f"Received: shared layer '{player.name}'."
            )
    first = FirstPass(game, output_probes(game), copy_inputs=True)
    batch = tf.shape(keras.tree.flatten(x)[0])[0]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([tensor for tensor in keras.tree.flatten(x) if tensor.dtype.is_floating])
        with model.recording(first):
            y_pred = model(x, training=True)
        loss = surface.compute_loss(model, x, y, y_pred, sample_weight)
        added = surface.additional_losses(model)
        extra = tf.add_n([tf.cast(term, loss.dtype) for term in added]) if added else None
        data_loss = loss if extra is None else loss - extra
        objective = read_objective(model, game)
        end = objective.state(first)
        nexts = [
            tf.reshape(flat_state(list(first.cuts[t + 1].values()), batch), [-1])
            for t in range(game.horizon - 1)
        ]
        nexts.append(tf.reshape(end, [-1]))
    values = [variable.value for variable in game.trainable]
    zero = tf.UnconnectedGradients.ZERO
    gradients = tape.gradient(data_loss, [*values, end], unconnected_gradients=zero)
    seen = Observation(first, y_pred, loss, {}, {}, tf.cast(batch, values[0].dtype))
    for variable, gradient in zip(game.trainable, gradients, strict=False):
        seen.gradients[id(variable)] = tf.convert_to_tensor(gradient)
    if extra is not None:
        for variable, gradient in zip(game.trainable, tape.gradient(extra, values), strict=True):
            if gradient is not None:
                seen.extras[id(variable)] = tf.convert_to_tensor(gradient)
    note_running_costs(optimizer, game, seen)
    stages = [
        _stage(optimizer, game, stage, seen, tape, nexts[stage.index]) for stage in game.stages
    ]
    del tape
    phi_x = tf.cast(gradients[-1], end.dtype)
    scaled = phi_x * tf.cast(batch, end.dtype)
    found = factor(optimizer.terminal, objective.terminal_loss(end, scaled, y, sample_weight))
    Z = tf.reshape(found.Z, (batch, found.Z.shape[1], -1))
    blocks = tf.einsum("brd,br,bre->bde", Z, found.C, Z) / tf.cast(batch, Z.dtype)
    size = tf.shape(blocks)[1] * batch
    eye = tf.eye(batch, dtype=Z.dtype)
    phi_xx = tf.reshape(tf.einsum("bc,bde->bdce", eye, blocks), (size, size))
    return DenseGame(seen, stages, tf.reshape(phi_x, [-1]), phi_xx)


def _stage(
    optimizer: Any,
    game: Any,
    stage: Any,
    seen: Observation,
    tape: tf.GradientTape,
    after: tf.Tensor,
) -> dense.DenseStage:
    copies = list(seen.first.cuts[stage.index].values())
    players = {player.slot: player for player in stage.players}
    own = [v.value for player in stage.players for v in player.variables]
    jacobians = tape.jacobian(
        after, [*copies, *own], unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    rows, batch = tf.size(after), tf.shape(copies[0])[0]
    by_state = [tf.reshape(j, (rows, batch, -1)) for j in jacobians[: len(copies)]]
    F_x = tf.reshape(tf.concat(by_state, 2), (rows, -1))
    remaining = iter(jacobians[len(copies) :])
    F_n: list = [None] * game.columns
    l_u: list = [None] * game.columns
    l_uu: list = [0.0] * game.columns
    for player in stage.players:
        F_n[player.slot] = _weight_rows([next(remaining) for _ in player.variables], rows)
    for slot, player in players.items():
        extra = seen.running[player.name]
        if extra is None:
            extra = tuple(tf.zeros_like(v.value) for v in player.variables)
        l_u[slot] = tf.concat([tf.reshape(e, [-1]) for e in extra], 0)
        decays = [optimizer.weight_decay * optimizer.decays(v) for v in player.variables]
        if len(set(decays)) == 1:
            l_uu[slot] = decays[0]
        else:
            parts = [
                tf.fill([tf.size(v.value)], tf.cast(d, v.dtype))
                for d, v in zip(decays, player.variables, strict=True)
            ]
            l_uu[slot] = tf.linalg.diag(tf.concat(parts, 0))
    return dense.DenseStage(F_x, F_n, l_u, l_uu)


def solve_dense(optimizer: Any, found: DenseGame) -> list[dense.DenseStageResult]:
    """Gains and value functions of the dense game under the optimizer's information structure."""
    return dense.solve(
        found.stages,
        found.phi_x,
        found.phi_xx,
        optimizer.information_structure,
        absent_players=optimizer.absent_players,
    )


def exact_moves(model: Any, data: tuple) -> tuple[Observation, Callable[[tf.Tensor], Moves]]:
    """The observation of a step and the function that makes its moves at a learning rate."""
    optimizer, game = model.optimizer, model.game
    found = linearise(model, data)
    results = solve_dense(optimizer, found)
    seen = found.seen

    def make(lr: tf.Tensor) -> Moves:
        second = SecondPass(seen.first)
        clip = Clipper(optimizer)
        moves = Moves({}, {}, second)
        if clip.needs_open_gains:
            clip.measure([g.k for r in results for g in r.players if g is not None])
        pairs: list[tuple] = []
        for stage in game.stages:
            change = _stacked_change(second, stage, seen) if stage.index else None
            for bystander in (b for b in game.bystanders if b.stage == stage.index):
                extra = seen.running[bystander.name]
                update = [seen.gradients[id(v)] for v in bystander.variables]
                if extra is not None:
                    update = [u + e for u, e in zip(update, extra, strict=True)]
                pairs += record(moves, bystander, clip(update), lr)
            for player in stage.players:
                gain = results[stage.index].players[player.slot]
                step = gain.k
                if change is not None and optimizer.rules.closed_loop:
                    step += tf.linalg.matvec(gain.K, change)
                sizes = [tf.size(v.value) for v in player.variables]
                parts = tf.split(step, sizes) if len(sizes) > 1 else [step]
                update = [
                    tf.reshape(p, v.shape) for p, v in zip(parts, player.variables, strict=True)
                ]
                pairs += record(moves, player, clip(update), lr)
            if optimizer.rules.closed_loop and stage.index + 1 < game.horizon:
                second.run_stage(stage, pairs)
        return moves

    return seen, make


def _stacked_change(second: SecondPass, stage: Any, seen: Observation) -> tf.Tensor | None:
    """δx `(B d,)` at the cut before a stage."""
    copies = seen.first.cuts[stage.index]
    if not all(key in second.values for key in copies):
        return None
    batch = tf.shape(next(iter(copies.values())))[0]
    moved = [second.values[key] - copy for key, copy in copies.items()]
    return tf.reshape(flat_state(moved, batch), [-1])
