"""A feedforward network of four convolutions and two dense layers."""

import keras
from keras import layers

from reproduce.networks.parts import image

#: Channels of the convolutions, in widths, and their strides: a grid of an eighth of the image.
_CONVOLUTIONS = ((1, 2), (1, 1), (2, 2), (2, 2))


def network(shape: tuple[int, ...], classes: int, *, width: int = 16) -> keras.Model:
    """Four 3 × 3 convolutions, a dense layer of 4 · `width` units, and the logits.

    A chain: one player per stage, T = 6.

    Args:
        shape: (height, width, channels).
        classes: number of logits.
        width: channels of the first two convolutions; the others have twice as many.

    Raises:
        ValueError: for another rank.
    """
    inputs = keras.Input(image("feedforward", shape), name="input")
    h = inputs
    for number, (factor, stride) in enumerate(_CONVOLUTIONS, 1):
        conv = layers.Conv2D(
            factor * width, 3, strides=stride, padding="same", name=f"conv_{number}"
        )
        h = layers.ReLU(name=f"relu_{number}")(conv(h))
    h = layers.Flatten(name="flatten")(h)
    h = layers.Dense(4 * width, activation="relu", name="dense")(h)
    return keras.Model(inputs, layers.Dense(classes, name="logits")(h), name="feedforward")
