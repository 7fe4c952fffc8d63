"""The compiled Keras loss as the terminal cost: which tensor is x_T, and which family it is of.

φ_b is B times what sample b adds to the loss, as Keras reduces it, so that the loss is
(1/B) Σ_b φ_b: masks, sample and class weights, reduction and loss weight are Keras's own.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from dgn_tf.game import keras_surface as surface
from dgn_tf.game.game import Game
from dgn_tf.terminal.factor import columns
from dgn_tf.terminal.loss import TerminalLoss
from dgn_tf.terminal.own import Terminal
from dgn_tf.terminal.reading import Reading

_FAMILIES = {
    keras.losses.sparse_categorical_crossentropy: "softmax",
    keras.losses.categorical_crossentropy: "softmax",
    keras.losses.binary_crossentropy: "sigmoid",
    keras.losses.mean_squared_error: "square",
    keras.losses.mean_absolute_error: "flat",
    keras.losses.mean_absolute_percentage_error: "flat",
    keras.losses.hinge: "flat",
    keras.losses.categorical_hinge: "flat",
    keras.losses.ctc: "ctc",
}
"""Losses in closed form; "flat" ones are piecewise linear, and TensorFlow cannot differentiate CTC
twice."""
_ACTIVATIONS = ("softmax", "sigmoid")
_ENTROPIES = [fn for fn, family in _FAMILIES.items() if family in _ACTIVATIONS]
_OTHER = {"softmax": tf.sigmoid, "sigmoid": tf.nn.softmax}
_GAUSS_NEWTON = "Gauss-Newton term φ_x φ_x' for terminals of one column, and refuses the others"


@dataclass(frozen=True)
class Objective:
    """How a model's compiled loss ends the game.

    Attributes:
        family: "softmax", "sigmoid", "square", "ctc" or "generic".
        loss: the Keras loss object.
    """

    family: str
    loss: Any

    def reading(self) -> Reading:
        """A record of the loss object, to be made while the model's loss is evaluated."""
        return Reading(self.loss)

    def end(self, y_pred: Any, reading: Reading) -> "End":
        """The final state x_T: the logits where Keras's loss reads them, else the output.

        Keras's cross-entropies go past a softmax or a sigmoid to the logits that it was made of. A
        loss that does so is a function of the logits, and of the output only in part.

        Args:
            y_pred: the model's output.
            reading: the record of the loss.

        Raises:
            ValueError: for a loss that reads both the logits and the output where the function
                between them is not a softmax over the last axis or a sigmoid.
        """
        (output,) = keras.tree.flatten(y_pred)
        logits, activation = surface.logits_of(output)
        entropy = surface.is_plain(self.loss) and self.loss.fn in _ENTROPIES
        if logits is None or not (entropy or reading.reads(logits)):
            known = self.family not in _ACTIVATIONS or surface.loss_arguments(self.loss).get(
                "from_logits", False
            )
            return End(self.family if known else "generic", output, tf.identity)
        if activation is None and not entropy:
            raise ValueError(
                "A loss that reads the output and the logits behind it needs a softmax over the "
                f"last axis or a sigmoid between them. Received: loss {self.loss.name!r}."
            )

        def stand_in(values: tf.Tensor) -> tf.Tensor:
            return surface.with_logits(tf.identity(output)[: tf.shape(values)[0]], values)

        # TensorFlow's own softmax and sigmoid are looked through by the loss that goes with them.
        closed = activation is None or activation is not _OTHER.get(self.family)
        return End(self.family if closed else "generic", logits, activation or stand_in)

    def terminal_loss(
        self, end: "End", phi_x: tf.Tensor, reading: Reading, counts: list[tf.Tensor]
    ) -> TerminalLoss:
        """The terminal cost at x_T.

        Args:
            end: the final state.
            phi_x: `(B, …)`, B times the gradient of Keras's loss by x_T.
            reading: the record of the loss.
            counts: B times the gradient of Keras's loss by `reading.sources`.
        """
        x = end.x
        if not counts:
            warnings.warn(
                f"The loss {self.loss.name!r} is one number for the whole batch, which has no "
                f"second derivative sample by sample: the game takes its {_GAUSS_NEWTON}.",
                stacklevel=2,
            )
            return TerminalLoss("batch", x, None, None, phi_x)
        alpha = tf.cast(counts[0], x.dtype)
        weight = tf.reduce_sum(tf.reshape(alpha, (tf.shape(x)[0], -1)), -1)
        if end.family == "ctc":
            warnings.warn(
                f"CTC has no second derivative in TensorFlow: the game takes its {_GAUSS_NEWTON}.",
                stacklevel=2,
            )
            return TerminalLoss("batch", x, None, None, phi_x, weight=weight)
        target = self._target(x, reading) if end.family != "generic" else None
        if target is None:
            return _generic(end, phi_x, reading, alpha, weight)
        balanced = end.family != "softmax" or self._sparse
        if end.family != "softmax":
            alpha = tf.repeat(alpha[..., None] / x.shape[-1], x.shape[-1], axis=-1)
        elif not balanced:
            # Labels y need not sum to one: φ_x is c p - α y with the c of φ_xx = c (diag p - pp'),
            # and Keras's c depends on whether it finds the logits behind the probabilities.
            alpha = alpha * tf.reduce_sum(target, -1) + tf.reduce_sum(phi_x, -1)
        return TerminalLoss(end.family, x, target, alpha, phi_x, weight=weight, balanced=balanced)

    @property
    def _sparse(self) -> bool:
        return self.loss.fn is keras.losses.sparse_categorical_crossentropy

    def _target(self, x: tf.Tensor, reading: Reading) -> tf.Tensor | None:
        """The target of every entry of x; None where the losses are not laid out as x is."""
        losses, y = reading.losses, keras.tree.flatten(reading.y_true)[0]
        assert losses is not None
        smoothing = surface.loss_arguments(self.loss).get("label_smoothing", 0.0) or 0.0
        if not losses.shape.is_compatible_with(x.shape[:-1]):
            return None
        if self.family == "softmax" and self._sparse:
            labels = tf.reshape(tf.cast(y, "int32"), tf.shape(x)[:-1])
            return tf.one_hot(labels, x.shape[-1], dtype=x.dtype)
        y = tf.cast(y, x.dtype)
        if y.shape.rank == x.shape.rank - 1:
            y = y[..., None]
        if y.shape.rank != x.shape.rank or not _fits(y.shape, x.shape):
            return None
        target = tf.broadcast_to(y, tf.shape(x))
        center = 1.0 / x.shape[-1] if self.family == "softmax" else 0.5
        return target * (1.0 - smoothing) + smoothing * center


@dataclass(frozen=True)
class End:
    """The final state of a batch.

    Attributes:
        family: of the loss as a function of it.
        x: `(B, …)`, x_T.
        predict: the model's output as a function of it.
    """

    family: str
    x: tf.Tensor
    predict: Callable[[tf.Tensor], tf.Tensor]


def _generic(
    end: End, phi_x: tf.Tensor, reading: Reading, alpha: tf.Tensor, weight: tf.Tensor
) -> TerminalLoss:
    def losses(values: tf.Tensor, rows: slice = slice(None)) -> tf.Tensor:
        found = tf.cast(reading.again(end.predict(values), rows), values.dtype) * alpha[rows]
        return tf.reduce_sum(tf.reshape(found, (tf.shape(values)[0], -1)), -1)

    # A loss that mixes samples says something else of a sample alone.
    together, alone = losses(end.x)[:1], losses(end.x[:1], slice(0, 1))
    tolerance = 1e-4 * (tf.abs(together) + tf.reduce_max(tf.abs(alpha)))
    separate = tf.reduce_all(tf.abs(alone - together) <= tolerance)
    return TerminalLoss(
        "generic", end.x, None, None, phi_x, fn=losses, weight=weight, separate=separate
    )


def _fits(shape: tf.TensorShape, target: tf.TensorShape) -> bool:
    """Whether a shape of the same rank broadcasts to the target."""
    pairs = zip(shape, target, strict=True)
    return all(None in pair or pair[0] in (1, pair[1]) for pair in pairs)


def check_loss(loss: Any, game: Game, terminal: str | int | Terminal) -> None:
    """Refuses at `compile` what cannot end a game, as far as it is known before any data.

    Raises:
        ValueError: as `read_objective`, and for a rank above the size of the output.
    """
    flat = keras.tree.flatten(loss)
    if len(game.graph.outputs) != 1 or len(flat) != 1:
        raise ValueError(
            "The game has one terminal cost: the model must have one output and one loss. "
            f"Received: {len(game.graph.outputs)} outputs, {len(flat)} losses. "
            "Concatenate the outputs and weight them inside one loss."
        )
    if flat[0] is None:
        raise ValueError("A game needs a loss as terminal cost. Received: loss=None")
    if isinstance(flat[0], str) and flat[0].lower() in ("crossentropy", "ce"):
        family = "softmax"
    else:
        family = _family(surface.as_loss(flat[0]))
    if family == "flat" and terminal != "gauss_newton":
        raise ValueError(
            "The terminal cost needs a second derivative. "
            f"Received: loss {surface.as_loss(flat[0]).name!r}, piecewise linear. "
            'Use terminal="gauss_newton", which takes φ_x φ_x\' for it.'
        )
    sizes = game.graph.shapes[game.graph.outputs[0]][1:]
    if all(size is not None for size in sizes):
        columns(terminal, "generic" if family in ("flat", "ctc") else family, sizes)


def read_objective(model: Any, y: Any, y_pred: Any) -> Objective:
    """Reads the loss a model was compiled with.

    Args:
        model: the compiled model.
        y, y_pred: labels and predictions, with which Keras builds the loss.

    Raises:
        ValueError: for a loss that does not reduce to a number.
    """
    ((_, loss, _),) = surface.built_losses(model, y, y_pred)
    if loss.reduction in (None, "none"):
        raise ValueError("The loss must reduce to a number. Received: reduction=None")
    family = _family(loss)
    return Objective("generic" if family == "flat" else family, loss)


def _family(loss: Any) -> str:
    """The family of a Keras loss whose elementary losses are known in closed form, or "generic"."""
    if not surface.is_plain(loss) or surface.loss_arguments(loss).get("axis", -1) not in (-1, None):
        return "generic"
    return _FAMILIES.get(loss.fn, "generic")
