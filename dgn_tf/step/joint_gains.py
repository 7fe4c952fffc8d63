"""The other cooperative solvers: the players of a stage by their joint Kronecker factors."""

from collections.abc import Iterator

from dgn_tf.game.game import Stage
from dgn_tf.game.players import Player
from dgn_tf.recursion import khatri_rao, prop5
from dgn_tf.recursion.stage_value import StageValue
from dgn_tf.rules import PROP5
from dgn_tf.step.gains import Change, Update
from dgn_tf.step.sample_space_gains import SampleSpaceGains, projected


class JointGains(SampleSpaceGains):
    """Stages of several players solved by joint factors, the others in sample space.

    The joint matrix holds the stage's own curvature, so that the right sides are the open gradients
    and feedback terms of the value function *ahead*, (1/B) U_n (v + C s) + ℓ_u for player n.
    """

    def team(self, stage: Stage, change: Change) -> Iterator[tuple[Player, Update]]:
        if len(stage.players) == 1:
            yield from super().team(stage, change)
            return
        captures = [self.observation.captures[player.name] for player in stage.players]
        s = projected(self.observation, stage.index, change)
        weights = self.observation.by_column(self._ahead(stage.index).weights(s))
        right = []
        for player, capture in zip(stage.players, captures, strict=True):
            side = capture.weighted_matrix(weights)
            l_u = self.observation.l_u[player.name]
            right.append(side if l_u is None else side + capture.matrix(l_u))
        rules = self.optimizer.rules
        damping, fisher = rules.curvature.damping, rules.curvature.fisher
        if rules.solver == PROP5:
            solved = prop5.solve(captures, right, damping, fisher)
        else:
            factors = khatri_rao.joint_factors(captures, damping, fisher)
            solved = khatri_rao.conjugate_gradients(factors, right, rules.khatri_rao_iterations)
        for player, capture, matrix in zip(stage.players, captures, solved, strict=True):
            yield player, capture.tensors(matrix)

    def _ahead(self, stage: int) -> StageValue:
        """The value function a stage's players look at: the next stage's, or the terminal cost.

        In the proximal form a stage's value is the one *at* the stage, after its own players'
        response; in the explicit one, that ahead.
        """
        if not self.optimizer.rules.structure.sees_state:
            return StageValue(self.observation.v_T)
        stage += self.optimizer.rules.second.curved
        if stage < len(self.values):
            return next(value for value in self.values[stage] if value is not None)
        return StageValue(self.observation.v_T, self.observation.C_T)
