"""Networks of the DGNOpt paper as Keras Functional models: ReLU inside, logits out."""

import importlib
import inspect
import operator
from collections.abc import Sequence
from typing import Any

_MODULES = {
    "residual-dense": "residual_dense",
    "residual-conv": "residual_conv",
    "inception": "inception",
    "cooperative": "cooperative",
    "feedforward": "feedforward",
    "resnet18": "resnet18",
}
#: The names that `build` knows.
NAMES = tuple(_MODULES)


def build(name: str, shape: Sequence[int], classes: int, **options: Any) -> Any:
    """A network by its name.

    The weights are drawn with Keras's global seed (`keras.utils.set_random_seed`). The names of the
    layers do not depend on what was built before, so that alignments can refer to them.

    Args:
        name: one of `NAMES`.
        shape: of one input, without the batch axis: `(height, width, channels)`, or `(features,)`
            for the networks that have a dense form.
        classes: the number of logits.
        options: settings of the network, as its module's `network` takes them.

    Returns:
        A `keras.Model` from `(batch, *shape)` to `(batch, classes)`.

    Raises:
        ValueError: for an unknown name, an unknown option, an impossible shape, size or choice.
    """
    if name not in _MODULES:
        raise ValueError(f"`name` must be one of {', '.join(NAMES)}. Received: name={name!r}")
    sizes = _sizes(shape)
    _positive("classes", classes)
    network = importlib.import_module(f"reproduce.networks.{_MODULES[name]}").network
    known = [
        p.name for p in inspect.signature(network).parameters.values() if p.kind == p.KEYWORD_ONLY
    ]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(
            f"The options of '{name}' are {', '.join(known)}. Received: {', '.join(unknown)}"
        )
    for option in ("width", "blocks", "stride"):
        if option in options:
            _positive(option, options[option])
    return network(sizes, classes, **options)


def _sizes(shape: Sequence[int]) -> tuple[int, ...]:
    try:
        sizes = tuple(operator.index(size) for size in shape)
    except TypeError:
        sizes = ()
    if not sizes or min(sizes) < 1:
        raise ValueError(
            "`shape` must hold the positive sizes of one input, without the batch axis. "
            f"Received: shape={shape!r}"
        )
    return sizes


def _positive(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value!r}")
