"""Applying a step under the guard: smaller where it is refused, and without a trace at last."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import tensorflow as tf

from dgn_tf.curvature.base import apart
from dgn_tf.game import keras_surface as surface
from dgn_tf.game.game import Game
from dgn_tf.guard import StepGuard
from dgn_tf.optimizer import DGNOpt
from dgn_tf.step.gains import Gains
from dgn_tf.step.update_pass import Moves, update_pass


class Outcome(NamedTuple):
    """How a step went.

    Attributes:
        done: whether an attempt passed the guard, a boolean scalar.
        sizes: half the squared norm of the last attempt's update of `game.owners`, `(owners,)`.
        ratio: the reduction ratio of the damping that adapts, a scalar.
    """

    done: tf.Tensor
    sizes: tf.Tensor
    ratio: tf.Tensor


def apply_guarded(
    optimizer: DGNOpt,
    game: Game,
    gains_at: Callable[[tf.Tensor], Gains],
    lr: tf.Tensor,
    ratio_of: Callable[[Moves, tf.Tensor], tf.Tensor] | None,
) -> Outcome:
    """Makes the moves, again and smaller where the guard refuses them, and assigns the last.

    Args:
        optimizer, game: the `DGNOpt` and the alignment that is played.
        gains_at: learning rate → gains.
        lr: scalar, the learning rate.
        ratio_of: reduction ratio of moves at a learning rate; None where no damping adapts.
    """
    guard = optimizer.guard
    old = [variable.value for variable in game.trainable]
    variables: list = []

    def attempt(rate: tf.Tensor) -> tuple:
        moves = update_pass(gains_at(rate), rate, to_outputs=ratio_of is not None)
        ratio = tf.zeros_like(rate) if ratio_of is None else ratio_of(moves, rate)
        pairs = [*moves.weights, *moves.moments]
        variables[:] = [variable for variable, _ in pairs]
        updates = [moves.updates[owner.name] for owner in game.owners]
        sizes = tf.stack([tf.add_n([tf.nn.l2_loss(u) for u in update]) for update in updates])
        passed = guard is None or guard.passes(tf.reduce_sum(sizes), old)
        return tf.convert_to_tensor(passed), sizes, ratio, *[value for _, value in pairs]

    # A function of the rate, so that the retries are the same piece of the graph, traced once, and
    # none is made ready to run before there is one.
    once = attempt if guard is None else apart(attempt)
    first = once(lr)

    def retry(guard: StepGuard) -> tuple:
        def again(number: tf.Tensor, *_: tf.Tensor) -> tuple:
            shrunk = tf.constant(guard.shrink, lr.dtype) ** tf.cast(number, lr.dtype)
            return number + 1, *once(lr * shrunk)

        def going(number: tf.Tensor, passed: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
            return tf.logical_and(number <= guard.retries, tf.logical_not(passed))

        start = (tf.constant(1), *[tf.identity(tensor) for tensor in first])
        return tuple(tf.while_loop(going, again, start))[1:]

    if guard is None:
        done, sizes, ratio, *values = first
    else:
        again = apart(partial(retry, guard))
        done, sizes, ratio, *values = surface.cond(first[0], lambda: first, again)
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return Outcome(done, sizes, ratio)
