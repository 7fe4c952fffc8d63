"""A whole training step: observe, refresh curvature, move, guard, apply."""

from functools import partial
from typing import Any

import keras
import tensorflow as tf

from dgn_tf.game import keras_surface as surface
from dgn_tf.step.arms import choose, play, settle
from dgn_tf.step.damping import adapt_damping
from dgn_tf.step.exact import exact_moves
from dgn_tf.step.guarded import Outcome, apply_guarded
from dgn_tf.step.move import Moves, move
from dgn_tf.step.observe import Observation, observe
from dgn_tf.step.running_cost import note_running_costs, shift_of


def train_step(model: Any, data: Any) -> dict:
    """One step of a `GameModel` on a batch `(x, y, sample_weight)`; returns the logs."""
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    optimizer, game, policy = model.optimizer, model.game, model.alignment_policy
    refuse_replicas()
    arm = None if policy is None else choose(optimizer, policy)
    open_loop = optimizer.rules.structure.is_gradient
    if optimizer.rules.exact:
        seen, make = exact_moves(model, (x, y, sample_weight))
        branches = [partial(apply_guarded, optimizer, game, make, None, not model.jit_compile)]
    else:
        elementwise = optimizer.curvature.elementwise
        seen = observe(
            model,
            optimizer.terminal,
            (x, y, sample_weight),
            captures=not (open_loop and elementwise),
            feedback=optimizer.rules.closed_loop,
        )
        note_running_costs(optimizer, game, seen)
        curvature_of_batch(optimizer, game, seen)
        branches = [partial(_play, model, g, seen, (y, sample_weight)) for g in model.games]
    surface.track_loss(model, seen.loss, tf.shape(keras.tree.flatten(x)[0])[0])
    surface.build_metrics(model, y, seen.y_pred)
    logs = model.compute_metrics(x, y, seen.y_pred, sample_weight=sample_weight)
    outcome = branches[0]() if arm is None else play(arm, branches)
    surface.update_average(optimizer, game.trainable)
    optimizer.iterations.assign_add(1)
    if outcome is not None:
        logs = dict(logs, skipped_steps=outcome.skipped)
        logs["loss"] = tf.where(outcome.stuck, tf.cast(float("nan"), seen.loss.dtype), logs["loss"])
    return logs if arm is None else {**logs, **settle(model, policy, arm)}


def _play(model: Any, game: Any, seen: Observation, labels: tuple) -> Outcome | None:
    """Moves the players of one alignment on a batch."""
    optimizer = model.optimizer
    if len(model.games) > 1:
        seen = seen.seen_by(game)

    def make(lr: tf.Tensor) -> Moves:
        return move(optimizer, game, seen, lr)

    def adapt(moves: Moves, lr: tf.Tensor) -> None:
        adapt_damping(model, seen, moves, lr, labels)

    curvature, can_raise = optimizer.curvature, not model.jit_compile
    if getattr(curvature, "adaptive_damping", False):
        return apply_guarded(optimizer, game, make, adapt, can_raise)
    moments = curvature.momentum or curvature.fallback().momentum
    compact = len(model.games) > 1 and not moments
    return apply_guarded(optimizer, game, make, None, can_raise, compact=compact)


def refuse_replicas() -> None:
    """Raises a ValueError under a distribution strategy of several replicas."""
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas > 1:
        raise ValueError(
            "A game's batch is one: its samples meet in the recursion, so a step cannot be split "
            f"over replicas. Received: tf.distribute strategy with {replicas} replicas."
        )


def curvature_of_batch(optimizer: Any, game: Any, seen: Observation) -> None:
    """Moves the statistics of every curvature block by what a batch shows."""
    block = optimizer.curvature
    step = optimizer.iterations.value
    lr = optimizer.current_learning_rate(game.trainable[0].dtype)
    # Blocks of factors refuse what is not finite by themselves, matrix by matrix.
    active = tf.math.is_finite(seen.loss) if optimizer.guard is not None else None
    mine = active if block.elementwise else None
    if block.needs_statistics:
        for player in game.players:
            gradient = tuple(seen.gradients[id(v)] for v in player.variables)
            capture = seen.captures.get(player.name)
            state = optimizer.states.players[player.name]
            shift = shift_of(optimizer, player, lr)
            block.update(state, capture, gradient, step, mine, shift)
    fallback = block.fallback()
    if fallback.needs_statistics:
        for bystander in game.bystanders:
            states = optimizer.states.bystanders[bystander.name]
            for variable, state in zip(bystander.variables, states, strict=True):
                gradient = (seen.gradients[id(variable)],)
                fallback.update(state, None, gradient, step, active)
