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
    """Makes the moves, again and smaller where the guard refuses them; none where it refuses all.

    Args:
        optimizer, game: the `DGNOpt` and the alignment that is played.
        gains_at: learning rate → gains.
        lr: scalar, the learning rate.
        ratio_of: reduction ratio of moves at a learning rate; None where no damping adapts.
    """
    guard = optimizer.guard
    limit = None if guard is None else guard.limit([v.value for v in game.trainable])
    variables: list = []

    def attempt(rate: tf.Tensor) -> tuple:
        gains = gains_at(rate)
        moves = update_pass(gains, rate, to_outputs=ratio_of is not None)
        ratio = tf.zeros_like(rate) if ratio_of is None else ratio_of(moves, rate)
        pairs = [*moves.weights, *moves.moments]
        variables[:] = [variable for variable, _ in pairs]
        updates = [moves.updates[owner.name] for owner in game.owners]
        sizes = tf.stack([tf.add_n([tf.nn.l2_loss(u) for u in update]) for update in updates])
        # NaN compares false, and a batch without samples is no step.
        small = limit is None or tf.reduce_sum(sizes) <= limit
        passed = tf.logical_and(small, gains.observation.batch > 0.0)
        return passed, sizes, ratio, *[value for _, value in pairs]

    # A function of the rate, so that the retries are the same piece of the graph, traced once, and
    # none is made ready to run before there is one. They look for the rate alone.
    once = attempt if guard is None else apart(attempt)
    first = once(lr)

    def retry(guard: StepGuard) -> tuple:
        def again(number: tf.Tensor, _: tf.Tensor) -> tuple:
            return number + 1, once(rate(number + 1))[0]

        def going(number: tf.Tensor, passed: tf.Tensor) -> tf.Tensor:
            return tf.logical_and(number < guard.retries, tf.logical_not(passed))

        def rate(number: tf.Tensor) -> tf.Tensor:
            return lr * tf.constant(guard.shrink, lr.dtype) ** tf.cast(number, lr.dtype)

        start = (tf.constant(0), tf.constant(False))
        passed, sizes, ratio, *values = once(rate(tf.while_loop(going, again, start)[0]))
        pairs = zip(variables, values, strict=True)
        return passed, sizes, ratio, *[tf.where(passed, value, v.value) for v, value in pairs]

    if guard is None:
        done, sizes, ratio, *values = first
    else:
        again = apart(partial(retry, guard))
        done, sizes, ratio, *values = surface.cond(first[0], lambda: first, again)
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return Outcome(done, sizes, ratio)
