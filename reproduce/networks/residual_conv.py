"""A residual network of convolutional blocks, with identity or 1 × 1 convolution shortcuts."""

import keras
from keras import layers

from reproduce.networks.parts import choice, head, image, stem


def network(
    shape: tuple[int, ...],
    classes: int,
    *,
    width: int = 16,
    blocks: int = 3,
    stride: int = 4,
    shortcut: str = "identity",
    pooling: str = "average",
) -> keras.Model:
    """A strided stem, then blocks h ← ReLU(S(h) + Conv(ReLU(Conv h))), then logits.

    A shortcut that is a convolution is a player beside a path of two, which may move in either
    stage of its block: with three blocks 2³ = 8 schedules (Figure 10a of the paper). An identity
    has no slack.

    Args:
        shape: (height, width, channels).
        classes: number of logits.
        width: channels of every layer.
        blocks: number of residual blocks.
        stride: of the stem.
        shortcut: S is the "identity" or a 1 × 1 "convolution".
        pooling: of the grid before the logits: "average", "quarters" or "flatten".

    Raises:
        ValueError: for another rank, shortcut or pooling.
    """
    choice("shortcut", shortcut, ("identity", "convolution"))
    inputs = keras.Input(image("residual-conv", shape), name="input")
    h = stem(inputs, width, stride)
    for number in range(1, blocks + 1):
        block = f"block_{number}"
        skip = h
        if shortcut == "convolution":
            skip = layers.Conv2D(width, 1, name=f"{block}_shortcut")(h)
        h = layers.Conv2D(width, 3, padding="same", name=f"{block}_conv_1")(h)
        h = layers.ReLU(name=f"{block}_relu_1")(h)
        h = layers.Conv2D(width, 3, padding="same", name=f"{block}_conv_2")(h)
        h = layers.Add(name=f"{block}_add")([skip, h])
        h = layers.ReLU(name=f"{block}_relu_2")(h)
    return keras.Model(inputs, head(h, classes, pooling), name="residual_conv")
