"""Networks of the DGNOpt paper as Keras Functional models: ReLU inside, logits out."""

import inspect
import operator
from collections.abc import Sequence
from importlib import import_module
from typing import Any

#: Name → the module of its function, and whether it takes images alone.
_NETWORKS = {
    "residual-dense": ("residual", False),
    "residual-conv": ("residual", True),
    "inception": ("branched", True),
    "cooperative": ("branched", False),
    "feedforward": ("branched", True),
    "resnet18": ("residual", True),
}
#: The names that `build` knows.
NAMES = tuple(_NETWORKS)


def build(name: str, shape: Sequence[int], classes: int, **options: Any) -> Any:
    """A network by its name.

    The weights are drawn with Keras's global seed (`keras.utils.set_random_seed`). The names of the
    layers do not depend on what was built before, so that alignments can refer to them.

    Args:
        name: one of `NAMES`.
        shape: of one input, without the batch axis: `(height, width, channels)`, or `(features,)`
            for the networks that have a dense form.
        classes: the number of logits.
        options: settings of the network, as its function takes them: `width`, units or channels of
            every layer; `blocks`, their number; `stride` of the stem; `pooling` of the grid before
            the logits, "average", "quarters" or "flatten"; and its own.

    Returns:
        A `keras.Model` from `(batch, *shape)` to `(batch, classes)`.

    Raises:
        ValueError: for an unknown name, an unknown option, an impossible shape, size or choice.
    """
    if name not in _NETWORKS:
        raise ValueError(f"`name` must be one of {', '.join(NAMES)}. Received: name={name!r}")
    try:
        sizes = tuple(operator.index(size) for size in shape)
    except TypeError:
        sizes = ()
    if not sizes or min(sizes) < 1:
        raise ValueError(
            "`shape` must hold the positive sizes of one input, without the batch axis. "
            f"Received: shape={shape!r}"
        )
    module, of_images = _NETWORKS[name]
    network = getattr(import_module(f"reproduce.networks.{module}"), name.replace("-", "_"))
    parameters = inspect.signature(network).parameters.values()
    known = [p.name for p in parameters if p.kind == p.KEYWORD_ONLY]
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(
            f"The options of '{name}' are {', '.join(known)}. Received: {', '.join(unknown)}"
        )
    for option, value in {"classes": classes, **options}.items():
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        if option in ("classes", "width", "blocks", "stride") and not whole:
            raise ValueError(f"`{option}` must be a positive integer. Received: {option}={value!r}")
    import keras

    from reproduce.networks import parts

    inputs = keras.Input(sizes, name="input")
    if of_images:
        parts.image(name, inputs)
    logits = network(inputs, classes, **options)
    return keras.Model(inputs, logits, name=name.replace("-", "_"))
