"""Networks of the DGNOpt paper as Keras Functional models: ReLU inside, logits out.

Every network is a function of its input, the number of classes, and its options.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers


def build(name: str, shape: Sequence[int], classes: int, **options: Any) -> keras.Model:
    """A network by its name: a model from `(batch, *shape)` to the logits `(batch, classes)`.

    The weights are drawn with Keras's global seed (`keras.utils.set_random_seed`). The names of the
    layers do not depend on what was built before, so that alignments can refer to them.

    Args of every network: the `shape` of one input, without the batch axis, `(height, width,
    channels)`, or `(features,)` for the networks that have a dense form; and its options: `width`,
    units or channels of every layer; `blocks`, their number; `stride` of the stem; `pooling` of the
    grid before the logits, "average", "quarters" or "flatten"; and its own. A ValueError for an
    unknown name or choice, Python's and Keras's own errors for other options and shapes."""
    if name not in _NETWORKS:
        raise ValueError(f"`name` must be one of {', '.join(NAMES)}. Received: name={name!r}")
    inputs = keras.Input(shape, name="input")
    logits = _NETWORKS[name](inputs, classes, **options)
    return keras.Model(inputs, logits, name=name.replace("-", "_"))


def _choice(option: str, value: Any, *allowed: str) -> None:
    if value not in allowed:
        raise ValueError(
            f"`{option}` must be one of {', '.join(allowed)}. Received: {option}={value!r}"
        )


def _flat(x: Any) -> Any:
    return x if len(x.shape) == 2 else layers.Flatten(name="flatten")(x)


def _dense(x: Any, units: int, name: str, **settings: Any) -> Any:
    return layers.Dense(units, name=name, **settings)(x)


def _conv(x: Any, channels: int, size: int, name: str, stride: int = 1, **settings: Any) -> Any:
    """A convolution of `size` × `size` windows, padded: the grid of its result is
    ⌈height / stride⌉ × ⌈width / stride⌉."""
    settings |= {"strides": stride, "padding": "same", "name": name}
    return layers.Conv2D(channels, size, **settings)(x)


def _relu(x: Any, name: str) -> Any:
    return layers.ReLU(name=name)(x)


def _stem(x: Any, width: int, stride: int) -> Any:
    """A strided convolution, 3 × 3 or as large as its stride, to see all pixels, and ReLU."""
    return _relu(_conv(x, width, max(3, stride), "stem", stride), "stem_relu")


def _head(x: Any, classes: int, pooling: str = "average") -> Any:
    """Logits of a grid: of the "average" over all positions; of the averages over four "quarters"
    side by side; or, with "flatten", of all positions side by side."""
    _choice("pooling", pooling, "average", "quarters", "flatten")
    if pooling == "average":
        return _dense(layers.GlobalAveragePooling2D(name="average")(x), classes, "logits")
    if pooling == "quarters":
        size = [-(-n // 2) for n in x.shape[1:3]]
        x = layers.AveragePooling2D(size, strides=size, padding="same", name="quarters")(x)
    return _dense(_flat(x), classes, "logits")


def residual_dense(
    x: Any, classes: int, *, width: int = 32, blocks: int = 3, shortcut: str = "identity"
) -> Any:
    """h = ReLU(Dense x), then blocks h ← S(h) + Dense(ReLU(Dense h)), then logits; an image is
    flattened. `shortcut`: S is the "identity", or a "dense" layer, a player that may move in
    either stage of its block."""
    _choice("shortcut", shortcut, "identity", "dense")
    h = _dense(_flat(x), width, "stem", activation="relu")
    for block in (f"block_{number}" for number in range(1, blocks + 1)):
        skip = h if shortcut == "identity" else _dense(h, width, f"{block}_shortcut")
        h = _dense(h, width, f"{block}_dense_1", activation="relu")
        h = _dense(h, width, f"{block}_dense_2")
        h = layers.Add(name=f"{block}_add")([skip, h])
    return _dense(h, classes, "logits")


def residual_conv(
    x: Any, classes: int, *, width: int = 16, blocks: int = 3, stride: int = 4,
    shortcut: str = "identity", pooling: str = "average",
) -> Any:  # fmt: skip
    """A strided stem, then blocks h ← ReLU(S(h) + Conv(ReLU(Conv h))), then logits.

    `shortcut`: S is the "identity", which has no slack, or a 1 × 1 "convolution", a player beside a
    path of two, which may move in either stage of its block: with three blocks 2³ = 8 schedules
    (Figure 10a of the paper)."""
    _choice("shortcut", shortcut, "identity", "convolution")
    h = _stem(x, width, stride)
    for block in (f"block_{number}" for number in range(1, blocks + 1)):
        skip = h if shortcut == "identity" else _conv(h, width, 1, f"{block}_shortcut")
        h = _relu(_conv(h, width, 3, f"{block}_conv_1"), f"{block}_relu_1")
        h = _conv(h, width, 3, f"{block}_conv_2")
        h = _relu(layers.Add(name=f"{block}_add")([skip, h]), f"{block}_relu_2")
    return _head(h, classes, pooling)


def resnet18(x: Any, classes: int, *, width: int = 64) -> Any:
    """ResNet18 (He et al. 2016), made for 32 × 32 pixels: a 3 × 3 stem without pooling, four groups
    of two basic blocks, average, logits; batch normalisation after every convolution, which has no
    bias. The groups have 1, 2, 4 and 8 times `width` channels; each but the first halves the grid,
    with a 1 × 1 convolution as the shortcut of its first block."""

    def normed(h: Any, channels: int, size: int, stride: int, name: str) -> Any:
        h = _conv(h, channels, size, name, stride, use_bias=False)
        return layers.BatchNormalization(name=f"{name}_norm")(h)

    h = _relu(normed(x, width, 3, 1, "stem"), "stem_relu")
    for group, block in ((group, block) for group in range(1, 5) for block in (1, 2)):
        stride = 2 if group > 1 and block == 1 else 1
        name, channels, skip = f"group_{group}_block_{block}", width * 2 ** (group - 1), h
        if stride > 1:
            skip = normed(h, channels, 1, stride, f"{name}_shortcut")
        h = _relu(normed(h, channels, 3, stride, f"{name}_conv_1"), f"{name}_relu_1")
        h = normed(h, channels, 3, 1, f"{name}_conv_2")
        h = _relu(layers.Add(name=f"{name}_add")([skip, h]), f"{name}_relu_2")
    return _head(h, classes)


def inception(
    x: Any, classes: int, *, width: int = 8, blocks: int = 2, stride: int = 4,
    reduce: bool = False, pooling: str = "average",
) -> Any:  # fmt: skip
    """A strided stem, blocks of 1 × 1, 3 × 3, 5 × 5 and pooled 1 × 1 branches of `width` channels
    each, then logits. `reduce`: whether a 1 × 1 convolution stands before the 3 × 3 and the 5 × 5.
    Without it the four players of a block move in one stage."""
    h = _stem(x, width, stride)
    for block in (f"block_{number}" for number in range(1, blocks + 1)):
        pooled = layers.MaxPooling2D(3, strides=1, padding="same", name=f"{block}_pool")(h)
        branches = [_conv(h, width, 1, f"{block}_1x1")]
        for size in (3, 5):
            own, name = h, f"{block}_{size}x{size}"
            if reduce:
                own = _relu(_conv(own, width, 1, f"{name}_reduce"), f"{name}_reduce_relu")
            branches.append(_conv(own, width, size, name))
        branches.append(_conv(pooled, width, 1, f"{block}_pool_1x1"))
        h = _relu(layers.Concatenate(name=f"{block}_join")(branches), f"{block}_relu")
    return _head(h, classes, pooling)


def cooperative(
    x: Any, classes: int, *, width: int = 16, blocks: int = 3, stride: int = 4,
    kind: str = "auto", pooling: str = "average",
) -> Any:  # fmt: skip
    """Blocks h ← ReLU(f1(h) + f2(h)) of two players that read the same input, then logits
    (Figure 3a of the paper). `kind`: players are "dense" or "convolution" layers, those of the
    first block as large as their stride, at least 3 × 3; "auto" takes convolutions for images.
    Dense players flatten an image."""
    _choice("kind", kind, "auto", "dense", "convolution")
    plain = kind == "dense" or (kind == "auto" and len(x.shape) == 2)
    h = _flat(x) if plain else x
    for number in range(1, blocks + 1):
        name, step = f"block_{number}", stride if number == 1 else 1
        names = f"{name}_f1", f"{name}_f2"
        both = [_dense(h, width, own) if plain else _conv(h, width, max(3, step), own, step)
                for own in names]  # fmt: skip
        h = _relu(layers.Add(name=f"{name}_add")(both), f"{name}_relu")
    return _dense(h, classes, "logits") if plain else _head(h, classes, pooling)


def feedforward(x: Any, classes: int, *, width: int = 16) -> Any:
    """Four 3 × 3 convolutions down to an eighth of the image, the first two of `width` channels,
    the others of twice as many, a dense layer of 4 · `width` units, and the logits. A chain: one
    player per stage, T = 6."""
    for number, (factor, stride) in enumerate(((1, 2), (1, 1), (2, 2), (2, 2)), 1):
        x = _relu(_conv(x, factor * width, 3, f"conv_{number}", stride), f"relu_{number}")
    return _dense(_dense(_flat(x), 4 * width, "dense", activation="relu"), classes, "logits")


_NETWORKS = {
    network.__name__.replace("_", "-"): network
    for network in (residual_dense, residual_conv, inception, cooperative, feedforward, resnet18)
}
#: The names that `build` knows.
NAMES = tuple(_NETWORKS)
