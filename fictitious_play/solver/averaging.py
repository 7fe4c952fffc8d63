"""What players tell each other after a stage: their networks, with averaged weights.

The last weights of a stage carry the noise of its last batches, and what the others answer carries
it on. An average over the stage's steps has much less of it. Later steps count more, since the
first ones are of networks that have not learned yet: after step t a weight's average is

    a_t = (1 - s_t) a_{t-1} + s_t w_t,      s_t = 3 / (t + 2),      t = 1, 2, …,

that is Σ_k k (k + 1) w_k / Σ_k k (k + 1), the average with polynomial decay of Shamir and Zhang,
"Stochastic gradient descent for non-smooth optimization" (2013), with η = 2. It lags a quarter of
the stage behind, and as s_1 = 1, nothing of an earlier stage is in it.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

_ORDER = 2.0


class WeightAverage:
    """Networks whose weights are averages of the weights of others that are trained.

    Args:
        trained: a built policy.
        average: another one of the same form, which holds the averages.
    """

    def __init__(self, trained: Any, average: Any):
        self.trained, self.average = trained, average
        self._steps = keras.Variable(0.0, dtype="float32", trainable=False, name="averaged_steps")
        self._pairs = list(
            zip(average.trainable_variables, trained.trainable_variables, strict=True)
        )

    @property
    def variables(self) -> list:
        """What `take` assigns."""
        return [self._steps, *self.average.trainable_variables]

    def take(self) -> None:
        """Counts the weights as they are now; inside a training step."""
        self._steps.assign(self._steps + 1.0)
        share = (_ORDER + 1.0) / (self._steps + _ORDER)
        for average, weight in self._pairs:
            new = ops.cast(share, average.dtype)
            value = ops.stop_gradient(ops.convert_to_tensor(weight))
            average.assign((1.0 - new) * average + new * value)

    def close(self) -> None:
        """Ends a stage: takes what is not trained, moving averages and units, as it is."""
        self._steps.assign(0.0)
        copy_values(self.trained.non_trainable_variables, self.average.non_trainable_variables)


def copy_values(sources: Sequence, targets: Sequence) -> None:
    """Gives variables the values of others, in memory of their own."""
    for source, target in zip(sources, targets, strict=True):
        target.assign(ops.copy(source))  # a training step may give the original's memory away
