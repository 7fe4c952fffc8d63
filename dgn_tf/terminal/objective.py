"""The compiled Keras loss as the terminal cost: which tensor is x_T, and which family it is of.

φ_b is B times what sample b adds to the loss, as Keras reduces it, so that the loss is
(1/B) Σ_b φ_b: masks, sample and class weights, reduction and loss weight are Keras's own.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from dgn_tf.game import keras_surface as surface
from dgn_tf.game.game import Game
from dgn_tf.game.graph import Call
from dgn_tf.game.passes import FirstPass
from dgn_tf.terminal.factor import columns
from dgn_tf.terminal.loss import TerminalLoss
from dgn_tf.terminal.reading import Reading

_SOFTMAX = (
    keras.losses.sparse_categorical_crossentropy,
    keras.losses.categorical_crossentropy,
)
_SIGMOID = (keras.losses.binary_crossentropy,)
_SQUARE = (keras.losses.mean_squared_error,)
_PIECEWISE_LINEAR = (
    keras.losses.mean_absolute_error,
    keras.losses.mean_absolute_percentage_error,
    keras.losses.hinge,
    keras.losses.categorical_hinge,
)
_FAMILIES = {
    **dict.fromkeys(_SOFTMAX, "softmax"),
    **dict.fromkeys(_SIGMOID, "sigmoid"),
    **dict.fromkeys(_SQUARE, "square"),
    **dict.fromkeys(_PIECEWISE_LINEAR, "flat"),
}
_ACTIVATIONS = {"softmax": keras.activations.softmax, "sigmoid": keras.activations.sigmoid}


@dataclass(frozen=True)
class Objective:
    """How a model's compiled loss ends the game.

    Attributes:
        family: "softmax", "sigmoid", "square" or "generic".
        loss: the Keras loss object.
        key: the output's tensor key.
        call: the call whose pre-activation or input is x_T, None if x_T is the output itself.
        fused: whether x_T is that call's pre-activation (else its input).
    """

    family: str
    loss: Any
    key: int
    call: Call | None
    fused: bool

    def state(self, first: FirstPass) -> tf.Tensor:
        """x_T of a pass."""
        if self.call is None:
            return first.values[self.key]
        if self.fused:
            return first.preactivations[self.call.index]
        return first.values[self.call.inputs[0]]

    def reading(self) -> Reading:
        """A record of the loss object, to be made while the model's loss is evaluated."""
        return Reading(self.loss)

    def terminal_loss(
        self, x: tf.Tensor, phi_x: tf.Tensor, reading: Reading, counts: list[tf.Tensor]
    ) -> TerminalLoss:
        """The terminal cost at x_T.

        Args:
            x: `(B, …)`, x_T.
            phi_x: `(B, …)`, B times the gradient of Keras's loss by x_T.
            reading: the record of the loss.
            counts: B times the gradient of Keras's loss by `reading.sources`.
        """
        if not counts:
            warnings.warn(
                f"The loss {self.loss.name!r} is one number for the whole batch, which has no "
                "second derivative sample by sample: the game takes its Gauss-Newton term "
                "φ_x φ_x' for every terminal of one column, and refuses the others.",
                stacklevel=2,
            )
            return TerminalLoss("batch", x, None, None, phi_x)
        alpha = tf.cast(counts[0], x.dtype)
        weight = tf.reduce_sum(tf.reshape(alpha, (tf.shape(x)[0], -1)), -1)
        target = self._target(x, reading) if self.family != "generic" else None
        if target is None:
            return self._generic(x, phi_x, reading, alpha, weight)
        balanced = self.family != "softmax" or self._sparse
        if self.family != "softmax":
            alpha = tf.repeat(alpha[..., None] / x.shape[-1], x.shape[-1], axis=-1)
        elif not balanced:
            # Labels y need not sum to one: φ_x is c p - α y with the c of φ_xx = c (diag p - pp'),
            # and Keras's c depends on whether it finds the logits behind the probabilities.
            alpha = alpha * tf.reduce_sum(target, -1) + tf.reduce_sum(phi_x, -1)
        return TerminalLoss(self.family, x, target, alpha, phi_x, weight=weight, balanced=balanced)

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

    def _generic(
        self, x: tf.Tensor, phi_x: tf.Tensor, reading: Reading, alpha: tf.Tensor, weight: tf.Tensor
    ) -> TerminalLoss:
        def losses(values: tf.Tensor, rows: slice = slice(None)) -> tf.Tensor:
            prediction = tf.cast(self._prediction(values), reading.y_pred.dtype)
            found = tf.cast(reading.again(prediction, rows), x.dtype) * alpha[rows]
            return tf.reduce_sum(tf.reshape(found, (tf.shape(values)[0], -1)), -1)

        # A loss that mixes samples says something else of a sample alone.
        together, alone = losses(x)[:1], losses(x[:1], slice(0, 1))
        tolerance = 1e-4 * (tf.abs(together) + tf.reduce_max(tf.abs(alpha)))
        separate = tf.reduce_all(tf.abs(alone - together) <= tolerance)
        return TerminalLoss(
            "generic", x, None, None, phi_x, fn=losses, weight=weight, separate=separate
        )

    def _prediction(self, values: tf.Tensor) -> tf.Tensor:
        if self.call is None:
            return values
        layer = self.call.operation
        return layer.activation(values) if self.fused else layer(values)


def _fits(shape: tf.TensorShape, target: tf.TensorShape) -> bool:
    """Whether a shape of the same rank broadcasts to the target."""
    pairs = zip(shape, target, strict=True)
    return all(None in pair or pair[0] in (1, pair[1]) for pair in pairs)


def check_loss(loss: Any, game: Game, terminal: str | int) -> None:
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
        columns(terminal, "generic" if family == "flat" else family, sizes)


def read_objective(model: Any, game: Game, y: Any, y_pred: Any) -> Objective:
    """Reads the loss a model was compiled with.

    Args:
        model: the compiled model.
        game: its game.
        y, y_pred: labels and predictions, with which Keras builds the loss.

    Raises:
        ValueError: for a loss that does not reduce to a number.
    """
    ((_, loss, _),) = surface.built_losses(model, y, y_pred)
    key = game.graph.outputs[0]
    if loss.reduction in (None, "none"):
        raise ValueError("The loss must reduce to a number. Received: reduction=None")
    family = _family(loss)
    call, fused = None, False
    from_logits = surface.loss_arguments(loss).get("from_logits", False)
    if family in _ACTIVATIONS and not from_logits:
        call, fused = _activation_before(game, key, family)
        if call is None:
            family = "generic"
    return Objective("generic" if family == "flat" else family, loss, key, call, fused)


def _family(loss: Any) -> str:
    """The family of a Keras loss whose elementary losses are known in closed form, or "generic"."""
    if not surface.is_plain(loss) or surface.loss_arguments(loss).get("axis", -1) not in (-1, None):
        return "generic"
    return _FAMILIES.get(loss.fn, "generic")


def output_probes(game: Game) -> tuple[int, ...]:
    """Calls with a fused activation that make an output: their pre-activation may be x_T."""
    makers = game.graph.producer_of()
    calls = [makers[key] for key in game.graph.outputs if key in makers]
    return tuple(call.index for call in calls if surface.has_fused_activation(call.operation))


def _activation_before(game: Game, key: int, family: str) -> tuple[Call | None, bool]:
    """The call whose softmax (or sigmoid) makes the output, and whether it is fused."""
    call = game.graph.producer_of().get(key)
    if call is None:
        return None, False
    layer = call.operation
    if getattr(layer, "activation", None) is _ACTIVATIONS[family]:
        if surface.has_fused_activation(layer):
            return call, True
        if type(layer) is keras.layers.Activation:
            return call, False
    if family == "softmax" and type(layer) is keras.layers.Softmax and layer.axis == -1:
        return call, False
    return None, False
