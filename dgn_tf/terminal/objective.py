"""The compiled Keras loss as the terminal cost: which tensor is x_T, and which family it is of.

φ_b is B times what sample b adds to the loss, as Keras reduces it, so that the loss is
(1/B) Σ_b φ_b. Keras reduces the elementary losses that its loss object computes with masks, sample
and class weights, its reduction and the loss weight. All of that is linear in them, so the gradient
of the reduced loss by them says exactly how much each one counts, whatever Keras did.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from dgn_tf.curvature.base import when
from dgn_tf.game import keras_surface as surface
from dgn_tf.game.game import Game
from dgn_tf.rules import Rules
from dgn_tf.terminal.factor import get
from dgn_tf.terminal.loss import Generic, Separable, Softmax, TerminalLoss, Whole


@dataclass(frozen=True, eq=False)
class Family:
    """What is known of a Keras loss.

    Attributes:
        make: (record of the loss, elementary weights, `TerminalLoss`'s own) → its closed form.
        other: of a cross-entropy, the activation that belongs to the other one.
        flat: whether it is piecewise linear.
        whole: why it has no second derivative sample by sample; empty where it has.
    """

    make: Callable[..., TerminalLoss] | None = None
    other: Callable | None = None
    flat: bool = False
    whole: str = ""


def _square(read: "Objective", alpha: tf.Tensor, x: tf.Tensor, **settings: Any) -> Separable:
    return Separable(x=x, curvature=_per_entry(2.0 * alpha, x), **settings)


def _sigmoid(read: "Objective", alpha: tf.Tensor, x: tf.Tensor, **settings: Any) -> Separable:
    p = tf.sigmoid(x)
    return Separable(x=x, curvature=_per_entry(alpha, x) * p * (1.0 - p), **settings)


def _softmax(read: "Objective", alpha: tf.Tensor, **settings: Any) -> Softmax:
    # Labels y need not sum to one: φ_x is c p - α y with the c of φ_xx = c (diag p - pp'), and
    # Keras's c depends on whether it finds the logits behind the probabilities.
    smoothing = surface.loss_arguments(read.loss).get("label_smoothing", 0.0) or 0.0
    total = tf.reduce_sum(tf.cast(keras.tree.flatten(read.y_true)[0], alpha.dtype), -1)
    c = alpha * (total * (1.0 - smoothing) + smoothing) + tf.reduce_sum(settings["phi_x"], -1)
    return Softmax(alpha=c, complete=False, **settings)


def _per_entry(alpha: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """The weights of means over x's last axis as weights of its entries."""
    return tf.repeat(alpha[..., None] / x.shape[-1], x.shape[-1], axis=-1)


_GENERIC, _FLAT = Family(), Family(flat=True)
_BATCH = Family(whole="is one number for the whole batch")
_FAMILIES = {
    keras.losses.sparse_categorical_crossentropy: Family(
        lambda _, **own: Softmax(**own), tf.sigmoid
    ),
    keras.losses.categorical_crossentropy: Family(_softmax, tf.sigmoid),
    keras.losses.binary_crossentropy: Family(_sigmoid, tf.nn.softmax),
    keras.losses.mean_squared_error: Family(_square),
    keras.losses.mean_absolute_error: _FLAT,
    keras.losses.mean_absolute_percentage_error: _FLAT,
    keras.losses.hinge: _FLAT,
    keras.losses.categorical_hinge: _FLAT,
    keras.losses.ctc: Family(whole="cannot be differentiated twice in TensorFlow"),
    keras.losses.dice: _BATCH,
    keras.losses.tversky: _BATCH,
}


class Objective:
    """How a model's compiled loss, a Keras loss object, ends the game: what it is called with
    within one evaluation of the model's loss.

    Attributes:
        y_true, y_pred: labels and predictions as the call received them.
        losses: the elementary losses, before masks, weights and reduction; None before the call
            and for a loss that reduces by itself, without `Loss.call`.
    """

    def __init__(self, loss: Any):
        self.loss, self.family = loss, _family(loss)
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
        first = self.losses.shape[0]
        return first is None or all(t.shape[0] == first for t in keras.tree.flatten(self.y_pred))

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
            losses = self.again(surface.with_logits(tf.stop_gradient(y_pred), apart))
        return tape.gradient(losses, apart) is not None

    def refuse_weights(self, y: Any, y_pred: Any, variables: Sequence) -> None:
        """Raises a ValueError where the loss reads variables by another way than the output."""
        y = keras.tree.flatten(y)[0] if self.y_true is None else self.y_true
        with tf.GradientTape() as tape:
            loss = self.loss(y, tf.stop_gradient(keras.tree.flatten(y_pred)[0]))
        slopes = tape.gradient(loss, [variable.value for variable in variables])
        read = [v.path for v, slope in zip(variables, slopes, strict=True) if slope is not None]
        if read:
            raise ValueError(
                "A loss must be a function of the output, and not of players' weights as well. "
                f"Received: loss {self.loss.name!r}, which reads {read}. Bring such a term in as "
                "a layer's regulariser or by `add_loss`."
            )

    def again(self, prediction: tf.Tensor, rows: slice = slice(None)) -> tf.Tensor:
        """The elementary losses of other predictions, `(rows, …)`, with the same labels."""
        labels = keras.tree.map_structure(lambda y: y[rows], self.y_true)
        (own,) = keras.tree.flatten(self.y_pred)
        if prediction.dtype != own.dtype:
            prediction = tf.cast(prediction, own.dtype)
        return tf.convert_to_tensor(self.loss.call(labels, prediction))

    def end(self, y_pred: Any) -> "End":
        """The final state x_T: the logits where Keras's loss reads them, else the output.

        Keras's cross-entropies go past a softmax or a sigmoid to the logits that it was made of. A
        loss that does so is a function of the logits, and of the output only in part.

        Raises:
            ValueError: for a loss that reads both the logits and the output where the function
                between them is not a softmax over the last axis or a sigmoid.
        """
        (output,) = keras.tree.flatten(y_pred)
        logits, activation = surface.logits_of(output)
        entropy = surface.is_plain(self.loss) and _of(self.loss).other is not None
        if logits is None or not (entropy or self.reads(logits)):
            given = surface.loss_arguments(self.loss).get("from_logits", False)
            known = self.family.other is None or given
            return End(self.family if known else _GENERIC, output, tf.identity)
        if activation is None and not entropy:
            raise ValueError(
                "A loss that reads the output and the logits behind it needs a softmax over the "
                f"last axis or a sigmoid between them. Received: loss {self.loss.name!r}."
            )

        def stand_in(values: tf.Tensor) -> tf.Tensor:
            return surface.with_logits(tf.identity(output)[: tf.shape(values)[0]], values)

        # TensorFlow's own softmax and sigmoid are looked through by the loss that goes with them.
        closed = activation is None or activation is not self.family.other
        return End(self.family if closed else _GENERIC, logits, activation or stand_in)

    def terminal_loss(self, end: "End", phi_x: tf.Tensor, counts: list[tf.Tensor]) -> TerminalLoss:
        """The terminal cost at x_T, from B times the gradient of Keras's loss by x_T and by
        `sources`."""
        x = end.x
        if not counts:
            return Whole(x=x, phi_x=phi_x)
        alpha = tf.cast(counts[0], x.dtype)
        weight = tf.reduce_sum(tf.reshape(alpha, (tf.shape(x)[0], -1)), -1)
        settings = {"x": x, "phi_x": phi_x, "weight": weight}
        if end.family.whole:
            return Whole(**settings)
        # In closed form the losses are means over x's last axis.
        if end.family.make is None or not alpha.shape.is_compatible_with(x.shape[:-1]):
            return self._generic(end, alpha, settings)
        return end.family.make(self, alpha=alpha, **settings)

    def tell(self, model: keras.Model, loss: TerminalLoss, bends: bool) -> None:
        """Tells the model what the game does not see of a loss whose second derivative is asked for
        if it `bends`: at once where that is known, else (not under XLA) at a step that shows it."""
        if isinstance(loss, Whole):
            model.unseen = _sentence(self.loss, self.family.whole or _BATCH.whole)
        elif bends and isinstance(loss, Generic) and not model.jit_compile:
            sentence = _sentence(self.loss, "mixes the samples of a batch")
            tell = partial(setattr, model, "unseen", sentence)
            when(tf.logical_not(loss.separate), lambda: tf.py_function(tell, [], []))

    def _generic(self, end: "End", alpha: tf.Tensor, settings: dict) -> Generic:
        def losses(values: tf.Tensor, rows: slice = slice(None)) -> tf.Tensor:
            elementary = tf.cast(self.again(end.predict(values), rows), values.dtype) * alpha[rows]
            return tf.reduce_sum(tf.reshape(elementary, (tf.shape(values)[0], -1)), -1)

        # A loss that mixes samples says something else of a sample alone.
        together, alone = losses(end.x)[:1], losses(end.x[:1], slice(0, 1))
        tolerance = 1e-4 * (tf.abs(together) + tf.reduce_max(tf.abs(alpha)))
        separate = tf.reduce_all(tf.abs(alone - together) <= tolerance)
        return Generic(fn=losses, separate=separate, **settings)


@dataclass(frozen=True)
class End:
    """The final state x_T `(B, …)`, the loss's family in it, and the output as a function of it."""

    family: Family
    x: tf.Tensor
    predict: Callable[[tf.Tensor], tf.Tensor]


def _sentence(loss: Any, reason: str) -> str:
    return (
        f"The loss {loss.name!r} {reason}: it has no second derivative sample by sample, and the "
        "game takes its Gauss-Newton term φ_x φ_x'."
    )


def check_loss(loss: Any, game: Game, rules: Rules) -> str:
    """Refuses at `compile` what cannot end a game, as far as it is known before any data.

    Returns:
        What the game does not see of the loss; empty where nothing is known of that.

    Raises:
        ValueError: for several outputs, for a loss without the second derivative that the terminal
            factor needs, and for a rank above the size of the output.
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
    if not rules.uses_terminal or str(flat[0]).lower() in ("crossentropy", "ce"):
        return ""
    given, kind = surface.as_loss(flat[0]), get(rules.terminal)
    family = _family(given)
    if family.flat and kind.bends:
        raise ValueError(
            "The terminal cost needs a second derivative. "
            f"Received: loss {given.name!r}, piecewise linear. "
            'Use terminal="gauss_newton", which takes φ_x φ_x\' for it.'
        )
    sizes = game.graph.shapes[game.graph.outputs[0]][1:]
    if all(size is not None for size in sizes):
        kind.columns(tuple(sizes))
    return _sentence(given, family.whole) if family.whole else ""


def read_objective(model: keras.Model, y: Any, y_pred: Any) -> Objective:
    """The loss a model was compiled with, which Keras builds with labels and predictions; a
    ValueError for one that does not reduce to a number."""
    ((_, loss, _),) = surface.built_losses(model, y, y_pred)
    if loss.reduction in (None, "none"):
        raise ValueError("The loss must reduce to a number. Received: reduction=None")
    return Objective(loss)


def _family(loss: Any) -> Family:
    """The family of a Keras loss whose elementary losses are known in closed form, or generic."""
    if not surface.is_plain(loss) or surface.loss_arguments(loss).get("axis", -1) not in (-1, None):
        return _GENERIC
    return _of(loss)


def _of(loss: Any) -> Family:
    return _FAMILIES.get(loss.fn, _GENERIC)
