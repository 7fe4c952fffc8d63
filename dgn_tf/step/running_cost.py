"""The running cost ℓ_{t,n} = ½ wd |θ|², and what regularisers add to the gradient."""

import tensorflow as tf

from dgn_tf.game.game import Game
from dgn_tf.game.players import Owner, Player
from dgn_tf.optimizer import DGNOpt


def running_costs(optimizer: DGNOpt, game: Game, extras: dict[int, tf.Tensor]) -> dict:
    """Owner's name → ℓ_u with the gradients of regularisers and added losses (id of variable →
    gradient, absent where zero), variable-shaped; None where all are zero."""
    return {owner.name: _extra_gradient(optimizer, owner, extras) for owner in game.owners}


def _extra_gradient(optimizer: DGNOpt, owner: Owner, extras: dict[int, tf.Tensor]) -> tuple | None:
    terms = []
    for variable in owner.variables:
        term = extras.get(id(variable))
        if optimizer.decays(variable) and owner.decays:
            decay = tf.constant(optimizer.weight_decay, variable.dtype) * variable.value
            term = decay if term is None else term + decay
        terms.append(term)
    if all(term is None for term in terms):
        return None
    pairs = zip(owner.variables, terms, strict=True)
    return tuple(tf.zeros_like(v.value) if term is None else term for v, term in pairs)


def shift_of(optimizer: DGNOpt, player: Player, lr: tf.Tensor) -> tf.Tensor | None:
    """lr ℓ_uu, which joins M in the proximal form only: else Theorem 6 would be lost.

    None where weight decay leaves out one of the player's variables (its ℓ_uu is no multiple of I).
    """
    if not optimizer.rules.shifts:
        return None
    if not all(optimizer.decays(variable) for variable in player.variables):
        return None
    return lr * tf.constant(optimizer.weight_decay, lr.dtype)
