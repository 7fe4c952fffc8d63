"""Networks whose blocks are layers side by side, and one that is a chain."""

from typing import Any

from keras import layers

from reproduce.networks.parts import choice, conv, dense, flat, head, image, relu, stem


def inception(
    x: Any, classes: int, *, width: int = 8, blocks: int = 2, stride: int = 4,
    reduce: bool = False, pooling: str = "average",
) -> Any:  # fmt: skip
    """A strided stem, blocks of 1 × 1, 3 × 3, 5 × 5 and pooled 1 × 1 branches, then logits.

    Args:
        x, classes, blocks, stride, pooling: as for `reproduce.networks.build`.
        width: channels of every branch; a block has four times as many.
        reduce: whether a 1 × 1 convolution stands before the 3 × 3 and the 5 × 5. Without it the
            four players of a block move in one stage.
    """
    if not isinstance(reduce, bool):
        raise ValueError(f"`reduce` must be True or False. Received: reduce={reduce!r}")
    h = stem(x, width, stride)
    for block in (f"block_{number}" for number in range(1, blocks + 1)):
        pooled = layers.MaxPooling2D(3, strides=1, padding="same", name=f"{block}_pool")(h)
        branches = [conv(h, width, 1, f"{block}_1x1")]
        for size in (3, 5):
            own, name = h, f"{block}_{size}x{size}"
            if reduce:
                own = relu(conv(own, width, 1, f"{name}_reduce"), f"{name}_reduce_relu")
            branches.append(conv(own, width, size, name))
        branches.append(conv(pooled, width, 1, f"{block}_pool_1x1"))
        h = relu(layers.Concatenate(name=f"{block}_join")(branches), f"{block}_relu")
    return head(h, classes, pooling)


def cooperative(
    x: Any, classes: int, *, width: int = 16, blocks: int = 3, stride: int = 4,
    kind: str = "auto", pooling: str = "average",
) -> Any:  # fmt: skip
    """Blocks h ← ReLU(f1(h) + f2(h)) of two players that read the same input, then logits
    (Figure 3a of the paper).

    Args:
        x, classes, width, blocks, pooling: as for `reproduce.networks.build`; width is that of
            every player.
        stride: of the convolutions of the first block, which are as large as their stride, at
            least 3 × 3.
        kind: players are "dense" or "convolution" layers; "auto" takes convolutions for images.
            Dense players flatten an image.
    """
    choice("kind", kind, ("auto", "dense", "convolution"))
    plain = kind == "dense" or (kind == "auto" and len(x.shape) == 2)
    if not plain:
        image("cooperative", x)
    h = flat(x) if plain else x
    for number in range(1, blocks + 1):
        name, step = f"block_{number}", stride if number == 1 else 1
        names = f"{name}_f1", f"{name}_f2"
        both = [dense(h, width, own) if plain else conv(h, width, max(3, step), own, step)
                for own in names]  # fmt: skip
        h = relu(layers.Add(name=f"{name}_add")(both), f"{name}_relu")
    return dense(h, classes, "logits") if plain else head(h, classes, pooling)


def feedforward(x: Any, classes: int, *, width: int = 16) -> Any:
    """Four 3 × 3 convolutions down to an eighth of the image, a dense layer of 4 · `width` units,
    and the logits. A chain: one player per stage, T = 6.

    Args:
        x, classes: as for `reproduce.networks.build`.
        width: channels of the first two convolutions; the others have twice as many.
    """
    for number, (factor, stride) in enumerate(((1, 2), (1, 1), (2, 2), (2, 2)), 1):
        x = relu(conv(x, factor * width, 3, f"conv_{number}", stride), f"relu_{number}")
    return dense(dense(flat(x), 4 * width, "dense", activation="relu"), classes, "logits")
