"""ResNet18 (He et al. 2016) for images of 32 × 32 pixels."""

from typing import Any

import keras
from keras import layers

from reproduce.networks.parts import choice, head, image


def network(
    shape: tuple[int, ...], classes: int, *, width: int = 64, norm: str = "batch"
) -> keras.Model:
    """A 3 × 3 stem without pooling, four groups of two basic blocks, average, logits.

    The groups have 1, 2, 4 and 8 times `width` channels; each but the first halves the grid, with a
    1 × 1 convolution as the shortcut of its first block.

    Args:
        shape: (height, width, channels), 32 × 32 by design; smaller images work.
        classes: number of logits.
        width: channels of the first group.
        norm: "batch" normalisation after every convolution, which then has no bias, or "none".

    Raises:
        ValueError: for another rank or normalisation.
    """
    choice("norm", norm, ("batch", "none"))
    inputs = keras.Input(image("resnet18", shape), name="input")
    h = layers.ReLU(name="stem_relu")(_convolution(inputs, width, 3, 1, norm, "stem"))
    for group in range(1, 5):
        for block in (1, 2):
            stride = 2 if group > 1 and block == 1 else 1
            name = f"group_{group}_block_{block}"
            h = _block(h, width * 2 ** (group - 1), stride, norm, name)
    return keras.Model(inputs, head(h, classes), name="resnet18")


def _block(h: Any, channels: int, stride: int, norm: str, name: str) -> Any:
    skip = h
    if stride > 1:
        skip = _convolution(h, channels, 1, stride, norm, f"{name}_shortcut")
    h = _convolution(h, channels, 3, stride, norm, f"{name}_conv_1")
    h = layers.ReLU(name=f"{name}_relu_1")(h)
    h = _convolution(h, channels, 3, 1, norm, f"{name}_conv_2")
    h = layers.Add(name=f"{name}_add")([skip, h])
    return layers.ReLU(name=f"{name}_relu_2")(h)


def _convolution(h: Any, channels: int, size: int, stride: int, norm: str, name: str) -> Any:
    plain = norm == "none"
    conv = layers.Conv2D(channels, size, strides=stride, padding="same", use_bias=plain, name=name)
    h = conv(h)
    return h if plain else layers.BatchNormalization(name=f"{name}_norm")(h)
