"""A network of cooperative blocks F = f1 + f2 (Figure 3a of the paper)."""

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from reproduce.networks.parts import choice, head, image


def network(
    shape: tuple[int, ...],
    classes: int,
    *,
    width: int = 16,
    blocks: int = 3,
    stride: int = 4,
    kind: str = "auto",
    pooling: str = "average",
) -> keras.Model:
    """Blocks h ← ReLU(f1(h) + f2(h)) of two players that read the same input, then logits.

    Args:
        shape: (height, width, channels) or (features,).
        classes: number of logits.
        width: units or channels of every player.
        blocks: number of cooperative blocks.
        stride: of the convolutions of the first block, which are as large as their stride, at
            least 3 × 3.
        kind: players are "dense" or "convolution" layers; "auto" takes convolutions for images.
            Dense players flatten an image.
        pooling: of the convolutions' grid before the logits: "average", "quarters" or "flatten".

    Raises:
        ValueError: for another kind or pooling, or convolutions on an input that is no image.
    """
    choice("kind", kind, ("auto", "dense", "convolution"))
    inputs = keras.Input(shape, name="input")
    if kind == "dense" or (kind == "auto" and len(shape) == 1):
        h = inputs if len(shape) == 1 else layers.Flatten(name="flatten")(inputs)
        for number in range(1, blocks + 1):
            h = _block(h, f"block_{number}", lambda name: layers.Dense(width, name=name))
        logits = layers.Dense(classes, name="logits")(h)
    else:
        image("cooperative", shape)
        h = inputs
        for number in range(1, blocks + 1):
            step = stride if number == 1 else 1
            h = _block(h, f"block_{number}", _convolution(width, step))
        logits = head(h, classes, pooling)
    return keras.Model(inputs, logits, name="cooperative")


def _convolution(width: int, step: int) -> Callable[[str], Any]:
    def player(name: str) -> Any:
        return layers.Conv2D(width, max(3, step), strides=step, padding="same", name=name)

    return player


def _block(h: Any, name: str, player: Callable[[str], Any]) -> Any:
    total = layers.Add(name=f"{name}_add")([player(f"{name}_f1")(h), player(f"{name}_f2")(h)])
    return layers.ReLU(name=f"{name}_relu")(total)
