"""Curvature blocks: the preconditioner of a player's gain."""

from dgn_tf.curvature.adam import Adam
from dgn_tf.curvature.base import Curvature, Preconditioner
from dgn_tf.curvature.diagonal import Diagonal
from dgn_tf.curvature.ekfac import EKFAC
from dgn_tf.curvature.elementwise import Elementwise
from dgn_tf.curvature.gauss_newton import GaussNewton
from dgn_tf.curvature.identity import Identity
from dgn_tf.curvature.kfac import KFAC
from dgn_tf.curvature.rmsprop import RMSprop

BLOCKS: dict[str, type[Curvature]] = {
    block.name: block for block in (Identity, RMSprop, Adam, Diagonal, KFAC, EKFAC, GaussNewton)
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
    "EKFAC",
    "KFAC",
    "Adam",
    "Curvature",
    "Diagonal",
    "Elementwise",
    "GaussNewton",
    "Identity",
    "Preconditioner",
    "RMSprop",
    "get",
]
