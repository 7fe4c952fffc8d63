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
    compact: bool = False,
) -> Outcome | None:
    """Makes the moves, tries them again smaller where the guard refuses them, and applies them.

    Args:
        optimizer: the `DGNOpt`.
        game: its game.
        make: learning rate → moves.
        adapt: adapts the damping to the first moves, None where it is fixed.
        can_raise: whether a step may raise, which one compiled by XLA cannot.
        compact: whether the first attempt and the later ones share one piece of the graph, which
            halves the time to trace and optimise it. Not with `adapt`, and not where `make` moves
            state.

    Returns:
        None without a guard.

    Raises:
        InvalidArgumentError: (when the step runs) after `patience` skipped steps in a row.
    """
    variables = game.trainable
    lr = optimizer.current_learning_rate(variables[0].dtype)
    guard = optimizer.guard
    if guard is not None and compact:
        return _apply(optimizer, game, *_one_loop(optimizer, game, make, lr), can_raise)
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
    return _apply(optimizer, game, done, failed, final, can_raise)


def _one_loop(
    optimizer: Any, game: Any, make: Callable[[tf.Tensor], Moves], lr: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
    """Whether an attempt passed, the player to blame for the first, and the new weights."""
    guard = optimizer.guard
    old = [variable.value for variable in game.trainable]

    def attempt(number: tf.Tensor, done: tf.Tensor, failed: tf.Tensor, *_: tf.Tensor) -> tuple:
        tried = make(lr * tf.cast(guard.shrink, lr.dtype) ** tf.cast(number, lr.dtype))
        steps = [u for group in tried.updates.values() for u in group]
        passes = guard.passes(steps, old)
        new = [tried.weights[id(variable)] for variable in game.trainable]
        kept = [tf.where(passes, n, o) for n, o in zip(new, old, strict=True)]
        first = tf.cond(number > 0, lambda: failed, lambda: name_failure(game, tried.updates))
        return number + 1, passes, first, *kept

    def going(number: tf.Tensor, done: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        return tf.logical_and(number <= guard.retries, tf.logical_not(done))

    zero = tf.constant(0, tf.int64)
    start = (tf.constant(0), tf.constant(False), zero, *[tf.identity(o) for o in old])
    _, done, failed, *final = tf.while_loop(going, attempt, start)
    return done, failed, final


def _apply(
    optimizer: Any,
    game: Any,
    done: tf.Tensor,
    failed: tf.Tensor,
    final: list[tf.Tensor],
    can_raise: bool,
) -> Outcome:
    """Assigns the weights, counts a step that was skipped, and raises where they are too many."""
    guard, lr = optimizer.guard, optimizer.current_learning_rate(game.trainable[0].dtype)
    variables = game.trainable
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
