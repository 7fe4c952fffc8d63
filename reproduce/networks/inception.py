"""A network of inception blocks: four branches on the same input, side by side."""

from typing import Any

import keras
from keras import layers

from reproduce.networks.parts import head, image, stem


def network(
    shape: tuple[int, ...],
    classes: int,
    *,
    width: int = 8,
    blocks: int = 2,
    stride: int = 4,
    reduce: bool = False,
    pooling: str = "average",
) -> keras.Model:
    """A strided stem, blocks of 1 × 1, 3 × 3, 5 × 5 and pooled 1 × 1 branches, then logits.

    Args:
        shape: (height, width, channels).
        classes: number of logits.
        width: channels of every branch; a block has four times as many.
        blocks: number of inception blocks.
        stride: of the stem.
        reduce: whether a 1 × 1 convolution stands before the 3 × 3 and the 5 × 5. Without it the
            four players of a block move in one stage.
        pooling: of the grid before the logits: "average", "quarters" or "flatten".

    Raises:
        ValueError: for another rank or pooling, or a `reduce` that is not a truth value.
    """
    if not isinstance(reduce, bool):
        raise ValueError(f"`reduce` must be True or False. Received: reduce={reduce!r}")
    inputs = keras.Input(image("inception", shape), name="input")
    h = stem(inputs, width, stride)
    for number in range(1, blocks + 1):
        h = _block(h, width, reduce, f"block_{number}")
    return keras.Model(inputs, head(h, classes, pooling), name="inception")


def _block(h: Any, width: int, reduce: bool, name: str) -> Any:
    pooled = layers.MaxPooling2D(3, strides=1, padding="same", name=f"{name}_pool")(h)
    branches = [layers.Conv2D(width, 1, name=f"{name}_1x1")(h)]
    for size in (3, 5):
        own = h
        if reduce:
            own = layers.Conv2D(width, 1, name=f"{name}_{size}x{size}_reduce")(own)
            own = layers.ReLU(name=f"{name}_{size}x{size}_reduce_relu")(own)
        conv = layers.Conv2D(width, size, padding="same", name=f"{name}_{size}x{size}")
        branches.append(conv(own))
    branches.append(layers.Conv2D(width, 1, name=f"{name}_pool_1x1")(pooled))
    joined = layers.Concatenate(name=f"{name}_join")(branches)
    return layers.ReLU(name=f"{name}_relu")(joined)
