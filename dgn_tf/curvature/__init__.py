"""Curvature blocks: the preconditioner of a player's gain."""

import warnings
from typing import Any

from dgn_tf.curvature.adam import Adam
from dgn_tf.curvature.base import Curvature, Preconditioner
from dgn_tf.curvature.ekfac import EKFACBlock
from dgn_tf.curvature.elementwise import Diagonal, Elementwise, RMSprop
from dgn_tf.curvature.gauss_newton import GaussNewton
from dgn_tf.curvature.identity import Identity
from dgn_tf.curvature.kfac import KFACBlock

BLOCKS: dict[str, type[Curvature]] = {
    block.name: block
    for block in (Identity, RMSprop, Adam, Diagonal, KFACBlock, EKFACBlock, GaussNewton)
}


def get(identifier: str | Curvature) -> Curvature:
    """A curvature block from its name, with default settings, or the block itself.

    Raises:
        ValueError: for an unknown name.
        TypeError: for anything else.
    """
    if isinstance(identifier, Curvature):
        return identifier
    if not isinstance(identifier, str):
        raise TypeError(
            f"`curvature` must be a name or a Curvature block. Received: {identifier!r}."
        )
    if identifier not in BLOCKS:
        raise ValueError(
            f"`curvature` must be one of {', '.join(BLOCKS)}. Received: {identifier!r}."
        )
    return BLOCKS[identifier]()


__all__ = [
    "Adam",
    "Curvature",
    "Diagonal",
    "EKFACBlock",
    "Elementwise",
    "GaussNewton",
    "Identity",
    "KFACBlock",
    "Preconditioner",
    "RMSprop",
    "get",
]

_RENAMED = {"KFAC": KFACBlock, "EKFAC": EKFACBlock}


def __getattr__(name: str) -> Any:
    """The blocks under the names that are now the optimizers' alone, for one more release."""
    if name not in _RENAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    block = _RENAMED[name]
    warnings.warn(
        f"`dgn_tf.curvature.{name}` is now `dgn_tf.curvature.{block.__name__}`; `dgn_tf.{name}` is "
        "the optimizer.",
        DeprecationWarning,
        stacklevel=2,
    )
    return block
