"""Residual networks: of dense layers, of convolutions, and ResNet18 (He et al. 2016)."""

from typing import Any

from keras import layers

from reproduce.networks.parts import choice, conv, dense, flat, head, relu, stem


def residual_dense(
    x: Any, classes: int, *, width: int = 32, blocks: int = 3, shortcut: str = "identity"
) -> Any:
    """h = ReLU(Dense x), then blocks h ← S(h) + Dense(ReLU(Dense h)), then logits.

    Args:
        x, classes, width, blocks: as for `reproduce.networks.build`; an image is flattened.
        shortcut: S is the "identity", or a "dense" layer, a player that may move in either stage
            of its block.
    """
    choice("shortcut", shortcut, ("identity", "dense"))
    h = dense(flat(x), width, "stem", activation="relu")
    for block in (f"block_{number}" for number in range(1, blocks + 1)):
        skip = h if shortcut == "identity" else dense(h, width, f"{block}_shortcut")
        h = dense(h, width, f"{block}_dense_1", activation="relu")
        h = dense(h, width, f"{block}_dense_2")
        h = layers.Add(name=f"{block}_add")([skip, h])
    return dense(h, classes, "logits")


def residual_conv(
    x: Any, classes: int, *, width: int = 16, blocks: int = 3, stride: int = 4,
    shortcut: str = "identity", pooling: str = "average",
) -> Any:  # fmt: skip
    """A strided stem, then blocks h ← ReLU(S(h) + Conv(ReLU(Conv h))), then logits.

    A shortcut that is a convolution is a player beside a path of two, which may move in either
    stage of its block: with three blocks 2³ = 8 schedules (Figure 10a of the paper). An identity
    has no slack.

    Args:
        x, classes, width, blocks, stride, pooling: as for `reproduce.networks.build`.
        shortcut: S is the "identity" or a 1 × 1 "convolution".
    """
    choice("shortcut", shortcut, ("identity", "convolution"))
    h = stem(x, width, stride)
    for block in (f"block_{number}" for number in range(1, blocks + 1)):
        skip = h if shortcut == "identity" else conv(h, width, 1, f"{block}_shortcut")
        h = relu(conv(h, width, 3, f"{block}_conv_1"), f"{block}_relu_1")
        h = conv(h, width, 3, f"{block}_conv_2")
        h = relu(layers.Add(name=f"{block}_add")([skip, h]), f"{block}_relu_2")
    return head(h, classes, pooling)


def resnet18(x: Any, classes: int, *, width: int = 64) -> Any:
    """A 3 × 3 stem without pooling, four groups of two basic blocks, average, logits; batch
    normalisation after every convolution, which has no bias.

    The groups have 1, 2, 4 and 8 times `width` channels; each but the first halves the grid, with a
    1 × 1 convolution as the shortcut of its first block. Made for 32 × 32 pixels; fewer work.

    Args:
        x, classes, width: as for `reproduce.networks.build`.
    """

    def normed(h: Any, channels: int, size: int, stride: int, name: str) -> Any:
        h = conv(h, channels, size, name, stride, use_bias=False)
        return layers.BatchNormalization(name=f"{name}_norm")(h)

    h = relu(normed(x, width, 3, 1, "stem"), "stem_relu")
    for group, block in ((group, block) for group in range(1, 5) for block in (1, 2)):
        stride = 2 if group > 1 and block == 1 else 1
        name, channels, skip = f"group_{group}_block_{block}", width * 2 ** (group - 1), h
        if stride > 1:
            skip = normed(h, channels, 1, stride, f"{name}_shortcut")
        h = relu(normed(h, channels, 3, stride, f"{name}_conv_1"), f"{name}_relu_1")
        h = normed(h, channels, 3, 1, f"{name}_conv_2")
        h = relu(layers.Add(name=f"{name}_add")([skip, h]), f"{name}_relu_2")
    return head(h, classes)
