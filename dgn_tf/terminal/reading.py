"""What Keras's loss object computes of a batch before it reduces: the elementary losses.

Keras reduces them with masks, sample and class weights, its reduction and the loss weight. All of
that is linear in the elementary losses, so the gradient of the reduced loss by them says exactly
how much each one counts, whatever Keras did.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from dgn_tf.game import keras_surface as surface


class Reading:
    """The call of a Keras loss object within one evaluation of the model's loss.

    Attributes:
        y_true, y_pred: labels and predictions as the call received them.
        losses: the elementary losses, before masks, weights and reduction; None before the call
            and for a loss that reduces by itself, without `Loss.call`.
    """

    def __init__(self, loss: Any):
        self.loss = loss
        self.y_true: Any = None
        self.y_pred: Any = None
        self.losses: tf.Tensor | None = None

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Within this context the loss object's call is recorded."""
        plain = self.loss.call

        def call(y_true: Any, y_pred: Any) -> tf.Tensor:
            # The tape needs the tensor itself that Keras goes on with.
            self.losses = tf.convert_to_tensor(plain(y_true, y_pred))
            self.y_true, self.y_pred = y_true, y_pred
            return self.losses

        with surface.replaced(self.loss, "call", call):
            yield

    @property
    def sources(self) -> list[tf.Tensor]:
        """The elementary losses, as tensors to differentiate the reduced loss by."""
        return [self.losses] if self.losses is not None and self.by_sample else []

    @property
    def by_sample(self) -> bool:
        """Whether every sample has elementary losses; else there is one of the batch."""
        if self.losses is None or self.losses.shape.rank == 0:
            return False
        batches = {tensor.shape[0] for tensor in (self.losses, *keras.tree.flatten(self.y_pred))}
        return len(batches - {None}) < 2

    def reads(self, logits: tf.Tensor) -> bool:
        """Whether the loss depends on the logits behind the predictions by another way than them;
        True for a loss that reduces by itself, of which that is not known."""
        if self.losses is None:
            return True
        (y_pred,) = keras.tree.flatten(self.y_pred)
        if surface.logits_of(y_pred)[0] is None:
            return False
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            apart = tf.stop_gradient(logits)
            tape.watch(apart)
            found = self.again(surface.with_logits(tf.stop_gradient(y_pred), apart))
        return tape.gradient(found, apart) is not None

    def again(self, prediction: tf.Tensor, rows: slice = slice(None)) -> tf.Tensor:
        """The elementary losses of other predictions, `(rows, …)`, with the same labels."""
        labels = keras.tree.map_structure(lambda y: y[rows], self.y_true)
        (seen,) = keras.tree.flatten(self.y_pred)
        if prediction.dtype != seen.dtype:
            prediction = tf.cast(prediction, seen.dtype)
        return tf.convert_to_tensor(self.loss.call(labels, prediction))
