"""A whole training step: observe, refresh curvature, gains, update pass, guard."""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from dgn_tf.game import checks
from dgn_tf.game import keras_surface as surface
from dgn_tf.game.game import Game
from dgn_tf.optimizer import DGNOpt
from dgn_tf.step import arms
from dgn_tf.step.dense_gains import DenseGains, dense_game
from dgn_tf.step.gains import Gains, shift_of
from dgn_tf.step.guarded import Outcome, apply_guarded
from dgn_tf.step.joint_gains import JointGains
from dgn_tf.step.observe import Model, Observation, observe
from dgn_tf.step.refusal import Trace, settle
from dgn_tf.step.sample_space_gains import OpenLoopGains, SampleSpaceGains
from dgn_tf.step.update_pass import reduction_ratio


def train_step(model: Model, data: Any) -> dict:
    """One step of a `GameModel` on a batch `(x, y, sample_weight)`; returns the logs."""
    x, y, sample_weight = data = keras.utils.unpack_x_y_sample_weight(data)
    for name, part in zip(("x", "y", "sample_weight"), data, strict=True):
        shapes = [getattr(tensor, "shape", None) for tensor in keras.tree.flatten(part)]
        if any(getattr(shape, "rank", 0) is None for shape in shapes):
            raise ValueError(
                "The tensors of a batch must have a known number of axes. "
                f"Received: {name} of unknown rank. Give the data set an `output_signature`, or "
                "`map` it through `tf.ensure_shape`."
            )
    optimizer, policy = model.optimizer, model.alignment_policy
    checks.one_replica()
    arm = None if policy is None else arms.choose(optimizer, policy)
    trace = None if optimizer.guard is None else Trace(model)
    observation = observe_batch(model, data)
    left = observe_curvature(optimizer, model.game, observation)
    lr = optimizer.current_learning_rate(model.game.trainable[0].dtype)
    branches = [partial(_play, model, game, observation, left, lr, data) for game in model.games]
    outcome = arms.play(arm, branches)
    if optimizer.rules.adaptive_damping:
        for player in model.game.players:
            optimizer.curvature.adapt(optimizer.states.players[player.name], outcome.ratio)
    surface.update_average(optimizer, list(model.game.trainable))
    optimizer.iterations.assign_add(1)
    surface.build_metrics(model, y, observation.y_pred)
    if trace is not None:
        trace.keep(model.metrics_variables)
    surface.track_loss(model, observation.loss, tf.shape(keras.tree.flatten(x)[0])[0])
    logs = model.compute_metrics(x, y, observation.y_pred, sample_weight=sample_weight)
    if trace is not None:
        stuck = settle(model, model.game, data, outcome, trace)
        skipped = tf.cast(optimizer.guard_rejections.value, observation.loss.dtype)
        logs = {**logs, **model.get_metrics_result(), "skipped_steps": skipped}
        # Before any step was taken the mean is of nothing.
        loss = surface.mean_loss(model, observation.loss)
        logs["loss"] = tf.where(stuck, tf.constant(float("nan"), loss.dtype), loss)
    return logs if policy is None else {**logs, **arms.reward(model, policy, arm)}


def _play(
    model: Model, game: Game, observation: Observation, left: dict, lr: tf.Tensor, data: tuple
) -> Outcome:
    """Moves the players of one alignment on a batch."""
    optimizer = model.optimizer
    if len(model.games) > 1:
        observation = observation.in_alignment(game)
    adapts = optimizer.rules.adaptive_damping
    ratio_of = partial(reduction_ratio, model, game, observation, data[1:]) if adapts else None
    gains_at = gains_of(optimizer, game, observation, left)
    return apply_guarded(optimizer, game, gains_at, lr, ratio_of)


def observe_batch(model: Model, data: tuple, game: Game | None = None) -> Observation:
    """What the gains of the optimizer's rules need of a batch, for all games or for one."""
    rules = model.optimizer.rules
    gradient = rules.structure.is_gradient
    return observe(
        model,
        rules.terminal,
        data,
        captures=not rules.exact and not (gradient and rules.curvature.elementwise),
        feedback=not rules.exact and rules.closed_loop,
        jacobians=rules.exact,
        tangents=rules.second.reduces and not gradient,
        games=None if game is None else (game,),
    )


def gains_of(
    optimizer: DGNOpt, game: Game, observation: Observation, left: dict
) -> Callable[[tf.Tensor], Gains]:
    """The gains of a batch as a function of the learning rate; `left` is `observe_curvature`'s."""
    rules = optimizer.rules
    if rules.exact:
        fixed: Gains = DenseGains(optimizer, game, dense_game(optimizer, game, observation))
        return lambda lr: fixed
    if rules.structure.is_gradient or not game.players:
        fixed = OpenLoopGains(optimizer, game, observation, left)
        return lambda lr: fixed
    kind = JointGains if rules.joint_solver else SampleSpaceGains
    return lambda lr: kind(optimizer, game, observation, left, lr)


def observe_curvature(optimizer: DGNOpt, game: Game, observation: Observation) -> dict[str, Any]:
    """Moves the statistics of every curvature block by what a batch shows; returns player name →
    what its block leaves for the gains of this batch, None where nothing."""
    rules, step = optimizer.rules, optimizer.iterations.value
    lr = optimizer.current_learning_rate(game.trainable[0].dtype)
    left: dict[str, Any] = {}
    if not rules.exact and rules.curvature.needs_statistics and game.players:
        batches = [
            (
                optimizer.states.players[player.name],
                observation.captures.get(player.name),
                tuple(observation.gradients[id(v)] for v in player.variables),
                shift_of(optimizer, player, lr),
            )
            for player in game.players
        ]
        found = rules.curvature.observe_all(batches, step)
        left = {player.name: own for player, own in zip(game.players, found, strict=True)}
    if rules.fallback.needs_statistics:
        for bystander in game.bystanders:
            states = optimizer.states.bystanders[bystander.name]
            for variable, state in zip(bystander.variables, states, strict=True):
                rules.fallback.observe(state, None, (observation.gradients[id(variable)],), step)
    return left
