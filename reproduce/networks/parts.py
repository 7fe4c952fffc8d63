"""What several networks share: layers by their names, the stem, the head, and checks."""

from typing import Any

from keras import layers


def image(network: str, x: Any) -> None:
    """Checks that an input is an image, `(batch, height, width, channels)`.

    Raises:
        ValueError: for another rank.
    """
    if len(x.shape) != 4:
        raise ValueError(
            f"`shape` of '{network}' must be (height, width, channels). "
            f"Received: shape={x.shape[1:]!r}"
        )


def choice(option: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Checks that an option has one of the allowed values.

    Raises:
        ValueError: for any other.
    """
    if value not in allowed:
        raise ValueError(
            f"`{option}` must be one of {', '.join(allowed)}. Received: {option}={value!r}"
        )


def flat(x: Any) -> Any:
    """The input `(batch, features)`."""
    return x if len(x.shape) == 2 else layers.Flatten(name="flatten")(x)


def dense(x: Any, units: int, name: str, **settings: Any) -> Any:
    """A dense layer."""
    return layers.Dense(units, name=name, **settings)(x)


def conv(x: Any, channels: int, size: int, name: str, stride: int = 1, **settings: Any) -> Any:
    """A convolution of `size` × `size` windows, padded: the grid of its result is
    ⌈height / stride⌉ × ⌈width / stride⌉."""
    settings |= {"strides": stride, "padding": "same", "name": name}
    return layers.Conv2D(channels, size, **settings)(x)


def relu(x: Any, name: str) -> Any:
    """ReLU, as a layer of its own."""
    return layers.ReLU(name=name)(x)


def stem(x: Any, width: int, stride: int) -> Any:
    """A strided convolution, 3 × 3 or as large as its stride, to see all pixels, and ReLU."""
    return relu(conv(x, width, max(3, stride), "stem", stride), "stem_relu")


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
        return dense(layers.GlobalAveragePooling2D(name="average")(x), classes, "logits")
    if pooling == "quarters":
        size = [-(-n // 2) for n in x.shape[1:3]]
        x = layers.AveragePooling2D(size, strides=size, padding="same", name="quarters")(x)
    return dense(flat(x), classes, "logits")
