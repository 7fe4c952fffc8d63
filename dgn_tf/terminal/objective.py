"""The compiled Keras loss as the terminal cost of the game: which tensor is x_T, and which family.

φ_b is B times what sample b adds to the loss, sample and class weights, reductions and loss weights
included, so that the loss is (1/B) Σ_b φ_b whatever the reduction.
"""

import math
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from dgn_tf.game import keras_surface as surface
from dgn_tf.game.game import Game
from dgn_tf.game.graph import Call
from dgn_tf.game.passes import FirstPass
from dgn_tf.terminal.factor import TerminalLoss, columns

_PIECEWISE_LINEAR = (
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "Hinge",
    "CategoricalHinge",
)
_PIECEWISE_LINEAR_FUNCTIONS = (
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "hinge",
    "categorical_hinge",
)


@dataclass(frozen=True)
class Objective:
    """How a model's compiled loss ends the game.

    Attributes:
        family: "softmax", "sigmoid", "square" or "generic".
        loss: the Keras loss object.
        weight: its loss weight.
        key: the output's tensor key.
        call: the call whose pre-activation or input is x_T, None if x_T is the output itself.
        fused: whether x_T is that call's pre-activation (else its input).
        classes: length of the last axis of x_T.
        size: numbers in x_T a sample, None if unknown.
    """

    family: str
    loss: Any
    weight: float
    key: int
    call: Call | None
    fused: bool
    classes: int
    size: int | None

    def state(self, first: FirstPass) -> tf.Tensor:
        """x_T of a pass."""
        if self.call is None:
            return first.values[self.key]
        if self.fused:
            return first.preactivations[self.call.index]
        return first.values[self.call.inputs[0]]

    def terminal_loss(
        self, x: tf.Tensor, phi_x: tf.Tensor, y: Any, sample_weight: Any
    ) -> TerminalLoss:
        """The terminal cost at x_T `(B, …)` with its gradient φ_x, for labels y."""
        y = keras.tree.flatten(y)[0]
        weight = keras.tree.flatten(sample_weight)[0] if sample_weight is not None else None
        if self.family == "generic":
            return self._generic(x, phi_x, y, weight)
        if self.family == "softmax":
            target = self._softmax_target(x, y)
        else:
            target = tf.reshape(tf.cast(y, x.dtype), tf.shape(x))
            if self.family == "sigmoid":
                smoothing = getattr(self.loss, "label_smoothing", 0.0) or 0.0
                target = target * (1.0 - smoothing) + 0.5 * smoothing
        positions = tf.shape(x)[:-1]
        alpha = self._position_weights(x, y, weight, positions)
        if self.family != "softmax":
            alpha = tf.repeat(alpha[..., None] / x.shape[-1], x.shape[-1], axis=-1)
        return TerminalLoss(
            family=self.family,
            x=x,
            target=target,
            alpha=alpha,
            phi_x=phi_x,
            weight=_per_sample(weight, x.dtype),
        )

    def _softmax_target(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        if "Sparse" in _loss_name(self.loss):
            labels = tf.reshape(tf.cast(y, "int32"), tf.shape(x)[:-1])
            return tf.one_hot(labels, x.shape[-1], dtype=x.dtype)
        target = tf.cast(y, x.dtype)
        smoothing = getattr(self.loss, "label_smoothing", 0.0) or 0.0
        return target * (1.0 - smoothing) + smoothing / x.shape[-1]

    def _position_weights(
        self, x: tf.Tensor, y: tf.Tensor, weight: Any, positions: tf.Tensor
    ) -> tf.Tensor:
        """`(B, positions)`: B times the derivative of the loss by a position's elementary loss."""
        batch = tf.cast(positions[0], x.dtype)
        alpha = tf.ones(positions, x.dtype)
        if weight is not None:
            weight = tf.cast(weight, x.dtype)
            rank = len(x.shape) - 1
            if len(weight.shape) > rank and weight.shape[-1] == 1:
                weight = tf.squeeze(weight, -1)
            while len(weight.shape) < rank:
                weight = weight[..., None]
            alpha *= weight
        reduction = self.loss.reduction
        count = tf.cast(tf.reduce_prod(positions), x.dtype)
        if reduction == "sum":
            scale = batch
        elif reduction == "mean_with_sample_weight" and weight is not None:
            scale = batch / tf.reduce_sum(weight)
        else:
            scale = batch / count
        return alpha * (scale * tf.cast(self.weight, x.dtype))

    def _generic(self, x: tf.Tensor, phi_x: tf.Tensor, y: Any, weight: Any) -> TerminalLoss:
        def per_sample(values: tf.Tensor) -> tf.Tensor:
            prediction = values if self.call is None else self._head(values)
            if hasattr(self.loss, "dtype"):
                prediction = tf.cast(prediction, self.loss.dtype)
            losses = tf.cast(self.loss.call(y, prediction), x.dtype)
            axes = tf.shape(losses)
            alpha = self._position_weights(losses[..., None], y, weight, axes)
            weighted = losses * alpha
            return tf.reduce_sum(tf.reshape(weighted, (axes[0], -1)), -1)

        return TerminalLoss(
            family="generic",
            x=x,
            target=None,
            alpha=None,
            phi_x=phi_x,
            fn=per_sample,
            weight=_per_sample(weight, x.dtype),
        )

    def _head(self, values: tf.Tensor) -> tf.Tensor:
        assert self.call is not None
        layer = self.call.operation
        return layer.activation(values) if self.fused else layer(values)


def _per_sample(weight: Any, dtype: tf.DType) -> tf.Tensor | None:
    """Sample weights `(B,)`, None where they differ within a sample."""
    if weight is None or any(size != 1 for size in weight.shape[1:]):
        return None
    return tf.reshape(tf.cast(weight, dtype), [-1])


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
        family, _ = _family(surface.as_loss(flat[0]))
    if family == "flat" and terminal != "gauss_newton":
        raise ValueError(
            "The terminal cost needs a second derivative. "
            f"Received: loss {_loss_name(surface.as_loss(flat[0]))!r}, piecewise linear. "
            'Use terminal="gauss_newton", which takes φ_x φ_x\' for it.'
        )
    sizes = game.graph.shapes[game.graph.outputs[0]][1:]
    if all(size is not None for size in sizes):
        columns(terminal, "generic" if family == "flat" else family, sizes)


def read_objective(model: Any, game: Game) -> Objective:
    """Reads the loss a model was compiled with.

    Args:
        model: the compiled model, its loss built by a first call.
        game: its game.

    Raises:
        ValueError: for a loss that does not reduce to a number.
    """
    built = surface.flat_losses(model)
    _, loss, weight = built[0]
    key = game.graph.outputs[0]
    if loss.reduction in (None, "none"):
        raise ValueError("The loss must reduce to a number. Received: reduction=None")
    family, from_logits = _family(loss)
    call, fused = None, False
    if family in ("softmax", "sigmoid") and not from_logits:
        call, fused = _activation_before(game, key, family)
        if call is None:
            family = "generic"
    shape = game.graph.shapes[key]
    sizes = shape[1:]
    return Objective(
        family="generic" if family == "flat" else family,
        loss=loss,
        weight=1.0 if weight is None else float(weight),
        key=key,
        call=call,
        fused=fused,
        classes=int(sizes[-1]) if sizes else 1,
        size=math.prod(sizes) if all(size is not None for size in sizes) else None,
    )


def _loss_name(loss: Any) -> str:
    function = getattr(loss, "fn", None)
    name = type(loss).__name__
    if name == "LossFunctionWrapper" and function is not None:
        return "".join(part.capitalize() for part in function.__name__.split("_"))
    return name


def _family(loss: Any) -> tuple[str, bool]:
    name = _loss_name(loss)
    config = surface.loss_arguments(loss)
    from_logits = bool(config.get("from_logits", False))
    plain_axis = config.get("axis", -1) in (-1, None)
    if name in ("SparseCategoricalCrossentropy", "CategoricalCrossentropy"):
        known = plain_axis and config.get("ignore_class") is None
        return ("softmax" if known else "generic"), from_logits
    if name == "BinaryCrossentropy":
        return ("sigmoid" if plain_axis else "generic"), from_logits
    if name == "MeanSquaredError":
        return "square", True
    if name in _PIECEWISE_LINEAR or name.lower() in {
        f.replace("_", "") for f in _PIECEWISE_LINEAR_FUNCTIONS
    }:
        return "flat", True
    return "generic", True


def output_probes(game: Game) -> tuple[int, ...]:
    """Calls with a fused activation that make an output: their pre-activation may be x_T."""
    makers = game.graph.producer_of()
    calls = [makers[key] for key in game.graph.outputs if key in makers]
    return tuple(call.index for call in calls if surface.has_fused_activation(call.operation))


def _activation_before(game: Game, key: int, family: str) -> tuple[Call | None, bool]:
    """The call whose softmax (or sigmoid) makes the output, and whether it is fused."""
    wanted = keras.activations.softmax if family == "softmax" else keras.activations.sigmoid
    call = game.graph.producer_of().get(key)
    if call is None:
        return None, False
    layer = call.operation
    fused = surface.has_fused_activation(layer)
    if (fused or type(layer) is keras.layers.Activation) and layer.activation is wanted:
        return call, fused
    if family == "softmax" and isinstance(layer, keras.layers.Softmax) and layer.axis == -1:
        return call, False
    return None, False
