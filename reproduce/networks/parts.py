"""What several networks share: the stem, the head, and checks at the door."""

from typing import Any

from keras import layers


def image(network: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of an image, `(height, width, channels)`.

    Raises:
        ValueError: for another rank.
    """
    if len(shape) != 3:
        raise ValueError(
            f"`shape` of '{network}' must be (height, width, channels). Received: shape={shape!r}"
        )
    return shape


def choice(option: str, value: Any, allowed: tuple[str, ...]) -> str:
    """One of the allowed values.

    Raises:
        ValueError: for any other.
    """
    if value not in allowed:
        raise ValueError(
            f"`{option}` must be one of {', '.join(allowed)}. Received: {option}={value!r}"
        )
    return value


def stem(x: Any, width: int, stride: int, name: str = "stem") -> Any:
    """A strided convolution and ReLU; 3 × 3, or as large as its stride, so that it sees all pixels.

    Args:
        x: `(batch, height, width, channels)`.
        width: channels of the result.
        stride: pixels between two positions; the grid is ⌈height / stride⌉ × ⌈width / stride⌉.
    """
    size = max(3, stride)
    x = layers.Conv2D(width, size, strides=stride, padding="same", name=name)(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def head(x: Any, classes: int, pooling: str = "average") -> Any:
    """Logits of a grid `(batch, height, width, channels)`.

    Args:
        x: the grid.
        classes: number of logits.
        pooling: "average" over all positions; "quarters", the averages over four quarters side by
            side; or "flatten", all positions side by side.

    Raises:
        ValueError: for another pooling.
    """
    choice("pooling", pooling, ("average", "quarters", "flatten"))
    if pooling == "average":
        x = layers.GlobalAveragePooling2D(name="average")(x)
    elif pooling == "quarters":
        size = [-(-n // 2) for n in x.shape[1:3]]
        x = layers.AveragePooling2D(size, strides=size, padding="same", name="quarters")(x)
        x = layers.Flatten(name="flatten")(x)
    else:
        x = layers.Flatten(name="flatten")(x)
    return layers.Dense(classes, name="logits")(x)
