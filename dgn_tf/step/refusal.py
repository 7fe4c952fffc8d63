"""A step that the guard refuses: everything as it was, and, after too many, who is to blame."""

from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf

from dgn_tf.curvature.base import when
from dgn_tf.game import keras_surface as surface
from dgn_tf.game.game import Game
from dgn_tf.game.passes import FirstPass
from dgn_tf.game.players import Owner
from dgn_tf.step.guarded import Outcome
from dgn_tf.step.observe import Model

HELP = (
    "What usually helps: inputs and targets scaled to about one (pixels divided by 255), a larger "
    "damping, a smaller learning rate, a trust region of the step (kl_clip=1e-3)."
)
HELP_EXACT = (
    "Exact curvature makes Newton steps, which have no bound where a loss has a gradient and no "
    'curvature. What helps: weight_decay, which is ℓ_uu; terminal="gauss_newton"; a '
    "preconditioner as curvature."
)


class Trace:
    """The state that a step of a compiled `GameModel` moves, as it was before."""

    def __init__(self, model: Model):
        optimizer = model.optimizer
        spared = (optimizer.guard_rejections, optimizer.guard_streak, optimizer.learning_rate)
        left = {id(v) for v in (*spared, *optimizer.states.bandit.values())}
        if not optimizer.rules.adaptive_damping:
            left |= {id(s.get("damping")) for s in optimizer.states.players.values()}
        self.before: dict[int, tuple] = {}
        if not model.game.uses.rewrites:  # the guard does not move what no forward pass has moved
            left |= {id(v) for v in model.trainable_variables}
        moved = [*model.trainable_variables, *model.non_trainable_variables, *optimizer.variables]
        moved += model.game.uses.now(model.game.uses.random)
        self.keep(v for v in moved if id(v) not in left)

    def keep(self, variables: Iterable) -> None:
        """Notes the values that variables have now."""
        for variable in variables:
            self.before.setdefault(id(variable), (variable, tf.convert_to_tensor(variable.value)))

    def restore(self, refused: tf.Tensor) -> list[tf.Tensor]:
        """Puts everything back where a step was refused; returns what to wait for."""
        if tf.distribute.has_strategy():  # whose variables take no value inside a branch
            for variable, value in self.before.values():
                variable.assign(tf.where(refused, value, variable.value))
            return [refused]

        def back() -> None:
            for variable, value in self.before.values():
                variable.value.assign(value, read_value=False)

        return [when(refused, back, surface.cond)]


def settle(model: Model, game: Game, data: tuple, outcome: Outcome, trace: Trace) -> tf.Tensor:
    """Takes a refused step back, counts it, and stops training after too many in a row; a batch
    without samples is no step.

    Returns:
        Whether `patience` is at its end, a boolean scalar.

    Raises:
        InvalidArgumentError: (when the step runs, not under XLA) after `patience` refused steps.
    """
    optimizer = model.optimizer
    refused = tf.logical_not(outcome.done)
    filled = tf.shape(keras.tree.flatten(data)[0])[0] > 0
    restored = trace.restore(refused)
    counted = tf.cast(tf.logical_and(refused, filled), tf.int64)
    optimizer.guard_rejections.assign_add(counted)
    streak = tf.where(refused, optimizer.guard_streak.value + counted, tf.zeros_like(counted))
    optimizer.guard_streak.assign(streak)
    stuck = streak >= optimizer.guard.patience
    if model.jit_compile:
        return stuck
    given = [part for part in keras.tree.flatten(data) if part is not None]

    def stop(sizes: tf.Tensor, *tensors: tf.Tensor) -> tf.Tensor:
        parts = iter(tensors)
        whole = keras.tree.map_structure(lambda x: None if x is None else next(parts), data)
        raise ValueError(_sentence(model, game, whole, sizes))  # InvalidArgumentError outside

    with tf.control_dependencies(restored):
        when(stuck, lambda: tf.py_function(stop, [outcome.sizes, *given], tf.float32))
    return stuck


def _sentence(model: Model, game: Game, data: tuple, sizes: tf.Tensor) -> str:
    guard = model.optimizer.guard
    return (
        f"{guard.patience} steps in a row were neither finite nor small enough at any of "
        f"{guard.retries + 1} learning rates; first to blame: "
        f"{_culprit(model, game, data, sizes)}. "
        f"{HELP_EXACT if model.optimizer.rules.exact else HELP}"
    )


def _culprit(model: Model, game: Game, data: tuple, sizes: tf.Tensor) -> str:
    """Where a batch first stops being finite, forward, then backward; else the largest update."""
    x, y, sample_weight = data
    first, graph = FirstPass(game, copies=False), game.graph
    with keras.StatelessScope(), tf.GradientTape() as tape:
        floats = [part for part in keras.tree.flatten(x) if part.dtype.is_floating]
        tape.watch(floats)
        with model.recording(first):
            y_pred = model(x, training=True)
        loss = surface.compute_loss(model, x, y, y_pred, sample_weight)
    values = {key: v for key, v in first.values.items() if v is not None and v.dtype.is_floating}
    if not all(map(_finite, floats)):
        return f"the inputs of the batch, first read by {_title(game, graph.calls[0])}"
    for call in graph.calls:
        if not all(_finite(values.get(key)) for key in call.outputs):
            return _title(game, call)
    if not _finite(loss):
        return "the loss"
    cotangents = tape.gradient(loss, values)
    for call in reversed(graph.calls):
        if not all(_finite(cotangents.get(key)) for key in call.outputs):
            return "the gradient of the loss"
        if not all(_finite(cotangents.get(key)) for key in call.inputs):
            return f"the gradient through {_title(game, call)}"
    ranked = tf.where(tf.math.is_finite(sizes), sizes, sizes.dtype.max)
    return f"the update of {_owner_title(game.owners[int(tf.argmax(ranked))])}"


def _finite(tensor: Any) -> bool:
    return tensor is None or bool(tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(tensor))))


def _title(game: Game, call: Any) -> str:
    for owner in game.owners:
        if owner.layer is call.operation:
            return _owner_title(owner)
    return f"stage {game.schedule.call_stage[call.index]}, layer '{call.name}'"


def _owner_title(owner: Owner) -> str:
    slot = getattr(owner, "slot", None)
    kind, place = ("layer", "") if slot is None else ("player", f" (slot {slot})")
    return f"stage {owner.stage}, {kind} '{owner.name}'{place}"
