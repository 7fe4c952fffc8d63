"""Curvature blocks: the preconditioner of a player's gain."""

import warnings
from typing import Any

from dgn_tf.curvature.base import Curvature, Preconditioner
from dgn_tf.curvature.ekfac import EKFACBlock
from dgn_tf.curvature.elementwise import Adam, Diagonal, Elementwise, Identity, RMSprop
from dgn_tf.curvature.gauss_newton import GaussNewton
from dgn_tf.curvature.kfac import KFACBlock
from dgn_tf.settings import one_of

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
    one_of("curvature", identifier, BLOCKS)
    return BLOCKS[identifier]()


__all__ = ["Adam", "Curvature", "Diagonal", "EKFACBlock", "Elementwise", "GaussNewton", "Identity",
           "KFACBlock", "Preconditioner", "RMSprop", "get"]  # fmt: skip


def __getattr__(name: str) -> Any:
    """The blocks under the names that are now the optimizers' alone, for one more release."""
    if name not in ("KFAC", "EKFAC"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(
        f"`dgn_tf.curvature.{name}` is now `dgn_tf.curvature.{name}Block`; `dgn_tf.{name}` is "
        "the optimizer.",
        DeprecationWarning,
        stacklevel=2,
    )
    return BLOCKS[name.lower()]
