"""The gains with a preconditioner: open loop, and the recursions in sample space.

`docs/sample_space.md` derives them: with (v, C) the value function of `recursion.sample_space`,

    k + K δx = lr M⁻¹ ((1/B) U (v + C s) + ℓ_u),   s = D'δx.
"""

from typing import Any

import tensorflow as tf

from dgn_tf.curvature.base import Preconditioner, add
from dgn_tf.game.game import Game
from dgn_tf.game.players import Player
from dgn_tf.optimizer import DGNOpt
from dgn_tf.recursion import sample_space
from dgn_tf.step.gains import Change, Gains, Update, shift_of
from dgn_tf.step.observe import Observation


class OpenLoopGains(Gains):
    """(5): M⁻¹ H_θ, the ordinary optimizers; `left` is what the statistics left of this batch."""

    feedback = False

    def __init__(self, optimizer: DGNOpt, game: Game, observation: Observation, left: dict):
        super().__init__(optimizer, game, observation)
        self._updates = {p.name: self._update(p, left.get(p.name)) for p in game.players}

    def _update(self, player: Player, left: Any) -> Update:
        block, step = self.optimizer.rules.curvature, self.optimizer.iterations.value
        state, l_u = self.optimizer.states.players[player.name], self.observation.l_u[player.name]
        made = block.on(state, self.observation.captures.get(player.name), step, None, left)
        if left is not None and l_u is None:
            return _times(player.agents, made.gain(self.observation.factor.v))
        gradient = add(tuple(self.observation.gradients[id(v)] for v in player.variables), l_u)
        return _times(player.agents, made.solve(self._averaged_by(block, state, gradient)))

    def player(self, player: Player, change: Change) -> Update:
        return self._updates[player.name]


class SampleSpaceGains(Gains):
    """(9) and (10), or (11) and (25), in sample space at a learning rate.

    Attributes:
        values: for every stage and slot the value (v, C) of `recursion.sample_space.solve`.
    """

    def __init__(
        self, optimizer: DGNOpt, game: Game, observation: Observation, left: dict, lr: tf.Tensor
    ):
        super().__init__(optimizer, game, observation)
        rules, step = optimizer.rules, optimizer.iterations.value
        self.feedback = rules.closed_loop
        self.blocks: dict[str, Preconditioner] = {
            player.name: rules.curvature.on(
                optimizer.states.players[player.name],
                observation.captures[player.name],
                step,
                shift_of(optimizer, player, lr),
                left.get(player.name),
            )
            for player in game.players
        }
        # M⁻¹ ℓ_u, which the value function needs and the gain needs again.
        self._solved: dict[str, Update] = {}
        self.values = self._recursion(lr)
        averaged = game.players if rules.curvature.momentum else ()
        self._averaged = {player.name: self._average(player) for player in averaged}

    def _recursion(self, lr: tf.Tensor) -> list[list]:
        rules, game, observation = self.optimizer.rules, self.game, self.observation
        kernels: list[list] = [[None] * game.slots for _ in game.stages]
        drift: list[list] = [[None] * game.slots for _ in game.stages]
        before: list = []  # of long tangents, those of one player are in memory at a time
        for player in game.players:
            place, block = (player.stage, player.slot), self.blocks[player.name]
            with tf.control_dependencies(before):
                kernel = block.kernel() if rules.second.reduces else 0.0
            if rules.second.reduces and not block.cap.tangents_stay:
                before = [kernel]
            kernels[place[0]][place[1]] = kernel
            l_u = observation.l_u[player.name]
            if l_u is not None and rules.second.reduces:
                solved = self._solved[player.name] = block.solve(l_u)
                drift[place[0]][place[1]] = block.cap.pullback(solved)
        agents = [max((p.agents for p in stage.players), default=1) for stage in game.stages]
        game_of = (observation.v_T, observation.C_T, kernels, drift, lr, observation.batch)
        how = (rules.form_name, rules.information_structure, rules.absent_players)
        counts = agents if max(agents) > 1 else None
        return sample_space.solve(*game_of, *how, counts, observation.flat)

    def _average(self, player: Player) -> Update:
        """The first moment with this batch's open gradient (1/B) U v + ℓ_u."""
        observation, value = self.observation, self.values[player.stage][player.slot]
        gradient = observation.captures[player.name].weighted(observation.by_column(value.v))
        gradient = add(gradient, observation.l_u[player.name])
        state = self.optimizer.states.players[player.name]
        return self._averaged_by(self.optimizer.rules.curvature, state, gradient)

    def player(self, player: Player, change: Change) -> Update:
        block, observation = self.blocks[player.name], self.observation
        value = self.values[player.stage][player.slot]
        s = projected(observation, player.stage, change)
        averaged = self._averaged.get(player.name)
        if averaged is not None:
            if s is not None:
                averaged = add(averaged, block.cap.weighted(observation.by_column(value.apply(s))))
            return _times(player.agents, block.solve(averaged))
        weights, l_u = observation.by_column(value.weights(s)), observation.l_u[player.name]
        solved = self._solved.get(player.name)
        opened = block.gain(weights, l_u if solved is None else None)
        return _times(player.agents, add(opened, solved))


def projected(observation: Observation, stage: int, change: Change) -> tf.Tensor | None:
    """s = D'δx, `(B R,)`, None where nothing has moved."""
    parts: list = []
    change = {} if change is None else change
    for key, costate in observation.costates[stage].items():
        if key in change:
            moved = tf.cast(change[key], costate.dtype)
            axes = list(range(2, len(costate.shape)))
            parts.append(tf.reduce_sum(costate * tf.expand_dims(moved, 1), axes))
    return tf.reshape(tf.add_n(parts), [-1]) if parts else None


def _times(agents: int, update: Update) -> Update:
    """The sum over equal agents, equation (16)."""
    return update if agents == 1 else tuple(agents * u for u in update)
