"""The running cost ℓ_{t,n} = ½ wd |θ|², and what regularisers add to the gradient."""

from typing import Any

import tensorflow as tf

from dgn_tf.step.observe import Observation


def note_running_costs(optimizer: Any, game: Any, seen: Observation) -> None:
    """Fills `seen.running` for every player and bystander."""
    for owner in (*game.players, *game.bystanders):
        seen.running[owner.name] = extra_gradient(optimizer, owner, seen)


def extra_gradient(optimizer: Any, owner: Any, seen: Observation) -> tuple | None:
    """ℓ_u and the gradients of regularisers and added losses; None where all are zero.

    Args:
        optimizer: the `DGNOpt`.
        owner: a player or a bystander.
        seen: the batch.
    """
    terms = []
    for variable in owner.variables:
        term = seen.extras.get(id(variable))
        if optimizer.decays(variable) and getattr(owner, "decays", True):
            decay = optimizer.weight_decay * variable.value
            term = decay if term is None else term + decay
        terms.append(term)
    if all(term is None for term in terms):
        return None
    return tuple(
        tf.zeros_like(variable.value) if term is None else term
        for variable, term in zip(owner.variables, terms, strict=True)
    )


def shift_of(optimizer: Any, player: Any, lr: tf.Tensor) -> tf.Tensor | None:
    """lr ℓ_uu, which joins M in the proximal form only: else Theorem 6 would be lost."""
    if not optimizer.rules.shifts:
        return None
    if not all(optimizer.decays(variable) for variable in player.variables):
        return None
    return lr * tf.cast(optimizer.weight_decay, lr.dtype)
