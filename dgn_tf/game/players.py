"""Reading one layer as a player: its weights as a matrix, its inputs as rows of that matrix."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from dgn_tf.game.capture import Capture
from dgn_tf.game.layout import WeightLayout


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Weights of one layer that move together; weight decay applies but to normalisation."""

    layer: Any
    variables: tuple
    stage: int = -1
    label: str = ""
    decays: bool = True

    @property
    def name(self) -> str:
        """The layer's name; a number is added where nested models repeat one."""
        return self.label or str(self.layer.name)


@dataclass(frozen=True, kw_only=True)
class Bystander(Owner):
    """Trainable weights that for a reason are no player's: a diagonal block moves them by the
    preconditioned gradient."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Player(Owner):
    """A layer whose weights, its kernel and perhaps its bias, are the controls of one player.

    Attributes:
        layout: how the variables form one matrix, `(I, O)`.
        inputs_of: layer input → function that makes the `(B, P, I0)` inputs or patches.
        cotangents_of: cotangent at the pre-activation, `(B, …)` → `(B, P, O)`.
        linear: (layer input, kernel) → pre-activation without bias, for a direct weighted gradient.
        call_indices: the uses of the layer, in order; the first gives the stage.
        positions: rows of inputs per sample that its weights are applied to; None where unknown.
        slot, earliest, latest, agents: its place in the game.
    """

    layout: WeightLayout
    inputs_of: Callable[[tf.Tensor], tf.Tensor]
    cotangents_of: Callable[[tf.Tensor], tf.Tensor]
    linear: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None
    call_indices: tuple[int, ...] = ()
    positions: int | None = None
    slot: int = 0
    earliest: int = -1
    latest: int = -1
    agents: int = 1

    @property
    def has_bias(self) -> bool:
        return self.layout.has_bias

    @property
    def slack(self) -> int:
        """Stages the player could be moved without changing anything else."""
        return self.latest - self.earliest

    def capture(self, inputs: Sequence, cotangents: Sequence[Sequence], **settings: Any) -> Capture:
        """The player on a batch, from its layer inputs and, per use and column of Z, cotangents.

        Args:
            inputs, cotangents: a list item per use.
            settings: of `Capture`, by name.
        """
        columns = [tf.stack([self.cotangents_of(g) for g in use], 2) for use in cotangents]
        direct = self.linear is not None and len(inputs) == 1 and len(cotangents[0]) == 1
        weighted = self._direct(inputs[0], cotangents[0][0]) if direct else None
        g = columns[0] if len(columns) == 1 else tf.concat(columns, 1)
        return Capture(inputs, g, self.layout, rows=self.inputs_of, weighted=weighted, **settings)

    def _direct(self, x: tf.Tensor, g: tf.Tensor) -> Callable[[tf.Tensor], tuple]:
        kernel, linear = self.variables[0].value, self.linear

        def weighted(w: tf.Tensor) -> tuple:
            size = tf.cast(tf.shape(g)[0], g.dtype)
            mixed = g * tf.reshape(w / size, [-1] + [1] * (len(g.shape) - 1))
            with tf.GradientTape() as tape:
                tape.watch(kernel)
                z = linear(x, kernel)  # type: ignore[misc]
            gradient = tape.gradient(z, kernel, output_gradients=mixed)
            if not self.has_bias:
                return (gradient,)
            return gradient, tf.reduce_sum(mixed, list(range(len(g.shape) - 1)))

        return weighted


Reader = Callable[[Any], Player | None]
_READERS: dict[type, Reader] = {}


def register_player(layer_class: type) -> Callable[[Reader], Reader]:
    """Makes layers of a class players: a decorator of the function that reads them.

    A layer is handed to the reader once it is built. It must have an attribute `activation`, a
    function or None, and call `self.activation` once, on `z = a W + b`: that is where the game
    sees its pre-activation. It is read by its exact class; a subclass is registered by itself.

    Args:
        layer_class: the class of Keras layers. A class that is registered already, those of Keras
            among them, gets the new reader.

    Returns:
        The decorator, of a function from a layer to its `Player`, or to None where this one's
        weights are not one matrix.

    Raises:
        TypeError: for what is no class of layers.
    """
    if not (isinstance(layer_class, type) and issubclass(layer_class, keras.layers.Layer)):
        raise TypeError(f"`layer_class` must be a class of Keras layers. Received: {layer_class!r}")

    def register(reader: Reader) -> Reader:
        _READERS[layer_class] = reader
        return reader

    return register


def read_player(layer: Any) -> Player | None:
    """The layer as a player, None where its weights are not one matrix applied to its inputs.

    Dense, Conv1D and Conv2D (any stride, dilation and padding, channels last, one group),
    EinsumDense without axes shared by input, kernel and output, and what `register_player` knows.

    Raises:
        ValueError: for LoRA and quantised layers, whose kernels are no weights of their own, and
            for a registered layer without an `activation`.
    """
    lora = getattr(layer, "lora_enabled", False)
    if lora or getattr(layer, "quantization_mode", None) is not None:
        raise ValueError(
            "A player's kernel must be its own trainable weight. "
            f"Received: {'LoRA' if lora else 'quantised'} layer '{layer.name}'. Merge or remove "
            "the adaptation first."
        )
    reader = _READERS.get(type(layer))
    player = None if reader is None else reader(layer)
    if player is not None and not hasattr(layer, "activation"):
        raise ValueError(
            "A player's layer must hand its pre-activation to `self.activation`, which may be "
            f"None. Received: layer '{layer.name}' ({type(layer).__name__}) without that attribute."
        )
    return player


def _player(layer: Any, outputs: int, inputs_of: Callable, **settings: Any) -> Player:
    variables = (layer.kernel,) if layer.bias is None else (layer.kernel, layer.bias)
    shapes = tuple(tuple(v.shape) for v in variables)
    layout = WeightLayout(shapes, outputs, settings.pop("order", None))
    fields = {"inputs_of": inputs_of, "cotangents_of": _flatten_positions, **settings}
    return Player(layer=layer, variables=variables, layout=layout, **fields)


def _flatten_positions(x: tf.Tensor, last: int = 1) -> tf.Tensor:
    """`(B, …, D)` → `(B, P, D)`, D the last axes and P static where it can be."""
    if len(x.shape) == 2:
        return tf.expand_dims(x, 1)
    middle, size = x.shape[1 : len(x.shape) - last], math.prod(x.shape[-last:])
    count = math.prod(middle) if all(length is not None for length in middle) else -1
    return tf.reshape(x, (tf.shape(x)[0], count, size))


@register_player(keras.layers.Dense)
def _dense(layer: Any) -> Player:
    return _player(layer, layer.kernel.shape[-1], _flatten_positions)


def windows(x: tf.Tensor, window: tuple, step: tuple, rate: tuple, padding: str) -> tf.Tensor:
    """Patches `(B, H', W', kh·kw·C)` of `(B, H, W, C)`, ordered (row, column, channel).

    Shifted slices beside each other: several times faster on a CPU than `extract_patches`.
    """
    reach = [(w - 1) * r + 1 for w, r in zip(window, rate, strict=True)]
    sizes = [tf.shape(x)[i] if x.shape[i] is None else x.shape[i] for i in (1, 2)]
    if padding == "SAME":
        made = [-(-size // s) for size, s in zip(sizes, step, strict=True)]
        pads = []
        for size, count, s, width in zip(sizes, made, step, reach, strict=True):
            total = (count - 1) * s + width - size
            total = max(total, 0) if isinstance(total, int) else tf.maximum(total, 0)
            pads.append([total // 2, total - total // 2])
        x = tf.pad(x, [[0, 0], *pads, [0, 0]])
    else:
        made = [(size - width) // s + 1 for size, width, s in zip(sizes, reach, step, strict=True)]
    rows, columns = made
    slices = []
    for i, j in itertools.product(range(window[0]), range(window[1])):
        top, left = i * rate[0], j * rate[1]
        bottom, right = top + (rows - 1) * step[0] + 1, left + (columns - 1) * step[1] + 1
        slices.append(x[:, top : bottom : step[0], left : right : step[1]])
    return tf.concat(slices, -1)


@register_player(keras.layers.Conv1D)
@register_player(keras.layers.Conv2D)
def _convolution(layer: Any) -> Player | None:
    if layer.data_format != "channels_last" or layer.groups != 1:
        return None
    *size, _, outputs = layer.kernel.shape
    strides, dilation = tuple(layer.strides), tuple(layer.dilation_rate)
    causal = layer.padding == "causal"
    padding = "VALID" if causal else layer.padding.upper()

    def patches(x: tf.Tensor) -> tf.Tensor:
        window, step, rate = tuple(size), strides, dilation
        if len(size) == 1:
            if causal:
                x = tf.pad(x, [[0, 0], [dilation[0] * (size[0] - 1), 0], [0, 0]])
            x, window, step, rate = x[:, None], (1, *size), (1, *strides), (1, *dilation)
        if window == (1, 1):
            return _flatten_positions(x[:, :: step[0], :: step[1]])
        return _flatten_positions(windows(x, window, step, rate, padding))

    return _player(layer, outputs, patches, linear=None if causal else layer.convolution_op)


@register_player(keras.layers.EinsumDense)
def _einsum(layer: Any) -> Player | None:
    left, outcome = layer.equation.replace(" ", "").split("->")
    source, kernel = left.split(",")
    if "..." in source:
        rank = len(layer.input_spec.shape) if layer.input_spec.shape else layer.input_spec.ndim
        free = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in source + kernel + outcome]
        filler = "".join(free[: rank - len(source.replace("...", ""))])
        source, outcome = source.replace("...", filler), outcome.replace("...", filler)
    batch = source[0]
    contracted = "".join(c for c in kernel if c in source and c not in outcome)
    made = "".join(c for c in kernel if c in outcome and c not in source)
    positions = "".join(c for c in source[1:] if c in outcome)
    regular = (
        outcome[0] == batch
        and batch not in kernel
        and len(contracted) + len(made) == len(kernel)
        and sorted(batch + contracted + positions) == sorted(source)
        and sorted(batch + positions + made) == sorted(outcome)
        and made == "".join(c for c in outcome if c in made)
    )
    if not regular or not contracted:
        return None
    sizes = dict(zip(kernel, layer.kernel.shape, strict=True))
    outputs = math.prod(sizes[c] for c in made)
    if layer.bias is not None and (
        math.prod(layer.bias.shape) != outputs or set(layer.bias_axes or "") != set(made)
    ):
        return None

    def gather(labels: str, wanted: str) -> Callable[[tf.Tensor], tf.Tensor]:
        permutation = [labels.index(c) for c in batch + positions + wanted]
        return lambda x: _flatten_positions(tf.transpose(x, permutation), len(wanted))

    return _player(
        layer,
        outputs,
        gather(source, contracted),
        cotangents_of=gather(outcome, made),
        order=tuple(kernel.index(c) for c in contracted + made),
    )
