"""Applying a step under the guard."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from dgn_tf.guard import name_failure, player_names
from dgn_tf.step.move import Moves


@dataclass(frozen=True)
class Outcome:
    """What the guard saw: steps skipped so far, and whether `patience` is at its end."""

    skipped: tf.Tensor
    stuck: tf.Tensor


def apply_guarded(
    optimizer: Any,
    game: Any,
    make: Callable[[tf.Tensor], Moves],
    adapt: Callable[[Moves, tf.Tensor], None] | None,
    can_raise: bool,
) -> Outcome | None:
    """Makes the moves, tries them again smaller where the guard refuses them, and applies them.

    Args:
        optimizer: the `DGNOpt`.
        game: its game.
        make: learning rate → moves.
        adapt: adapts the damping to the first moves, None where it is fixed.
        can_raise: whether a step may raise, which one compiled by XLA cannot.

    Returns:
        None without a guard.

    Raises:
        InvalidArgumentError: (when the step runs) after `patience` skipped steps in a row.
    """
    variables = game.trainable
    lr = optimizer.current_learning_rate(variables[0].dtype)
    guard = optimizer.guard
    moves = make(lr)
    if adapt is not None:
        adapt(moves, lr)
    if guard is None:
        for variable in variables:
            variable.assign(moves.weights[id(variable)])
        return None
    old = [variable.value for variable in variables]
    flat = [moves.weights[id(variable)] for variable in variables]
    updates = [u for group in moves.updates.values() for u in group]
    passed = guard.passes(updates, old)

    def retry() -> tuple:
        failed = name_failure(game, moves.updates)

        def again(attempt: tf.Tensor, done: tf.Tensor, *_: tf.Tensor) -> tuple:
            factor = tf.cast(guard.shrink, lr.dtype) ** tf.cast(attempt + 1, lr.dtype)
            tried = make(lr * factor)
            steps = [u for group in tried.updates.values() for u in group]
            new = [tried.weights[id(variable)] for variable in variables]
            return attempt + 1, guard.passes(steps, old), *new

        def going(attempt: tf.Tensor, done: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
            return tf.logical_and(attempt < guard.retries, tf.logical_not(done))

        start = (tf.constant(0), tf.constant(False), *[tf.identity(v) for v in old])
        _, done, *new = tf.while_loop(going, again, start)
        kept = [tf.where(done, n, o) for n, o in zip(new, old, strict=True)]
        return done, failed, *kept

    def accept() -> tuple:
        return tf.constant(True), tf.constant(0, tf.int64), *[tf.identity(v) for v in flat]

    done, failed, *final = tf.cond(passed, accept, retry)
    for variable, value in zip(variables, final, strict=True):
        variable.assign(value)
    skipped = tf.cast(tf.logical_not(done), tf.int64)
    optimizer.guard_rejections.assign_add(skipped)
    streak = tf.where(done, tf.zeros_like(skipped), optimizer.guard_streak.value + 1)
    optimizer.guard_streak.assign(streak)
    stuck = streak >= guard.patience
    if can_raise:
        tf.debugging.Assert(
            tf.logical_not(stuck),
            [
                f"{guard.patience} steps in a row were neither finite nor small enough at any of "
                f"{guard.retries + 1} learning rates; the first update to blame is that of",
                tf.gather(tf.constant(player_names(game)), failed),
            ],
        )
    return Outcome(tf.cast(optimizer.guard_rejections.value, lr.dtype), stuck)
