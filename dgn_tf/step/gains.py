"""Gains: what the players of a batch answer, one interface for every way of finding it.

A player's update is θ ← θ - lr (k + K δx) with k and K made here without the learning rate. Weights
that are no player's get the preconditioned gradient M⁻¹ H_θ of (5).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

from dgn_tf.curvature.base import add
from dgn_tf.game.game import Game, Stage
from dgn_tf.game.players import Owner, Player
from dgn_tf.optimizer import DGNOpt
from dgn_tf.step.observe import Observation

Update = tuple
Change = Mapping[int, tf.Tensor] | None
"""δx at a cut by tensor key; None where the open gain alone is asked for."""


class Gains(ABC):
    """The gains of one batch at one learning rate, from a `DGNOpt`, a game and its observation.

    Attributes:
        moments: pairs (variable, new value) of the first moments that the gains have used, for the
            step that is applied to assign.
    """

    feedback: bool
    """Whether the gains answer δx."""

    def __init__(self, optimizer: DGNOpt, game: Game, observation: Observation):
        self.optimizer, self.game, self.observation = optimizer, game, observation
        self.moments: list[tuple] = []
        self._bystanders = {b.name: self._gradient_of(b) for b in game.bystanders}

    @abstractmethod
    def player(self, player: Player, change: Change) -> Update:
        """(k + K δx) / lr of a player, summed over its agents, one tensor per variable, from δx at
        the cut before its stage."""

    def stage(self, stage: Stage, change: Change) -> Iterator[tuple[Player, Update]]:
        """Everyone who moves at a stage, bystanders first, with the update."""
        for bystander in self.game.bystanders:
            if bystander.stage == stage.index:
                yield bystander, self._bystanders[bystander.name]
        yield from self.team(stage, change)

    def team(self, stage: Stage, change: Change) -> Iterator[tuple[Player, Update]]:
        """The players of a stage with the update."""
        for player in stage.players:
            yield player, self.player(player, change)

    def opened(self) -> dict[str, Update]:
        """k / lr of all weights, by the owner's name."""
        stages = self.game.stages
        return {owner.name: u for stage in stages for owner, u in self.stage(stage, None)}

    def _gradient_of(self, owner: Owner) -> Update:
        """The preconditioned gradient of weights that are no player's, a block per variable."""
        block = self.optimizer.rules.fallback
        step, l_u = self.optimizer.iterations.value, self.observation.l_u[owner.name]
        states = self.optimizer.states.bystanders[owner.name]
        update: Update = ()
        for i, (variable, state) in enumerate(zip(owner.variables, states, strict=True)):
            gradient: Update = (self.observation.gradients[id(variable)],)
            gradient = add(gradient, None if l_u is None else l_u[i : i + 1])
            averaged = self._averaged_by(block, state, gradient)
            update += block.on(state, None, step).solve(averaged)
        return update

    def _averaged_by(self, block: Any, state: Any, gradient: Update) -> Update:
        """The block's first moment with a gradient, which the step is to assign."""
        averaged, moved = block.first_moment(state, gradient, self.optimizer.iterations.value)
        self.moments += moved
        return averaged


def shift_of(optimizer: DGNOpt, player: Player, lr: tf.Tensor) -> tf.Tensor | None:
    """lr ℓ_uu, which joins M in the proximal form only: else Theorem 6 would be lost.

    None where weight decay leaves out one of the player's variables (its ℓ_uu is no multiple of I).
    """
    if not (optimizer.rules.shifts and all(map(optimizer.decays, player.variables))):
        return None
    return lr * tf.constant(optimizer.weight_decay, lr.dtype)
