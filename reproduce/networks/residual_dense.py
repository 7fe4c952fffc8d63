"""A residual network of dense blocks."""

import keras
from keras import layers

from reproduce.networks.parts import choice


def network(
    shape: tuple[int, ...],
    classes: int,
    *,
    width: int = 32,
    blocks: int = 3,
    shortcut: str = "identity",
) -> keras.Model:
    """h = ReLU(Dense x), then blocks h ← S(h) + Dense(ReLU(Dense h)), then logits.

    Args:
        shape: of one input, of any rank; it is flattened.
        classes: number of logits.
        width: units of every layer.
        blocks: number of residual blocks.
        shortcut: S is the "identity", or a "dense" layer, a player that may move in either stage
            of its block.

    Raises:
        ValueError: for another shortcut.
    """
    choice("shortcut", shortcut, ("identity", "dense"))
    inputs = keras.Input(shape, name="input")
    x = inputs if len(shape) == 1 else layers.Flatten(name="flatten")(inputs)
    h = layers.Dense(width, activation="relu", name="stem")(x)
    for number in range(1, blocks + 1):
        block = f"block_{number}"
        skip = h if shortcut == "identity" else layers.Dense(width, name=f"{block}_shortcut")(h)
        h = layers.Dense(width, activation="relu", name=f"{block}_dense_1")(h)
        h = layers.Dense(width, name=f"{block}_dense_2")(h)
        h = layers.Add(name=f"{block}_add")([skip, h])
    return keras.Model(inputs, layers.Dense(classes, name="logits")(h), name="residual_dense")
