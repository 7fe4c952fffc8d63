"""Open-loop play: controls are functions of the noise, and the others do not answer a deviation."""

from collections.abc import Sequence

import numpy as np

from fictitious_play import devices
from fictitious_play.games.base import Game
from fictitious_play.networks.joint_policy import JointPolicy
from fictitious_play.solver.belief import Belief, copy_weights
from fictitious_play.solver.initial_belief import InitialBelief, initial_belief_function
from fictitious_play.solver.training import BestResponseModel


class OpenLoopBelief(Belief):
    """The others' controls along the noise, an input of the training models.

    Args:
        game: the `Game`.
        evaluator: a built `JointPolicy` of the belief's own, which evaluates earlier profiles with
            their moving averages, one after another.
        rule, damping: as in `Belief`.
        initial: α^0.
    """

    def __init__(
        self,
        game: Game,
        evaluator: JointPolicy,
        rule: str = "last",
        damping: float = 0.5,
        initial: InitialBelief = 0.0,
    ):
        super().__init__(game.players, rule, damping)
        self.evaluator = evaluator
        self._initial = initial_belief_function(game, initial)
        self._loaded: int | None = None

    def inputs(self, sample):
        return [self.controls(sample)]

    def controls(self, sample) -> np.ndarray:
        """The belief along a sample, (paths, steps, players, control_size)."""
        total = np.zeros(())
        if self.shares[0]:
            total = self.shares[0] * self._initial(*sample)
        for stage, profile, share in zip(self.stages, self.profiles, self.shares[1:], strict=True):
            if self._loaded != stage:
                for variable, value in zip(self.evaluator.weights, profile, strict=True):
                    variable.assign(value)
                self._loaded = stage
            total = total + share * devices.predict(self.evaluator, list(sample))
        if self.moved.any() and not self.moved.all():
            total[:, :, ~self.moved] = self._initial(*sample)[:, :, ~self.moved]
        return np.asarray(total, sample.noise.dtype)

    def _take(self, policy):
        copy_weights(policy, self.evaluator)
        self._loaded = self.stages[0]


class OpenLoop:
    """What open-loop play is made of.

    Args:
        game: the `Game`.
        network: arguments of `JointPolicy`.
        initial_belief: α^0.
    """

    def __init__(self, game: Game, network: dict, initial_belief: InitialBelief):
        self.game, self.network, self.initial_belief = game, network, initial_belief

    def policy(self, only: int | None = None) -> JointPolicy:
        """The networks of all players, or of one."""
        return self._policy("policy", only)

    def follow(self, policy: JointPolicy, others: Sequence[JointPolicy] = ()) -> None:
        """Moves no units: those of the noise are known and those of X_0 are the game's."""

    def belief(self, rule: str, damping: float) -> OpenLoopBelief:
        """A belief in which nobody has moved."""
        evaluator = self._policy("belief")
        return OpenLoopBelief(self.game, evaluator, rule, damping, self.initial_belief)

    def model(self, policy: JointPolicy, belief: OpenLoopBelief) -> BestResponseModel:
        """The model that trains a policy against a belief."""
        return BestResponseModel(policy)

    def fits(self, model: BestResponseModel, belief: OpenLoopBelief) -> bool:
        """Whether a model still serves a belief that has moved: always, as it is an input."""
        return True

    def _policy(self, name: str, only: int | None = None) -> JointPolicy:
        policy = JointPolicy(self.game, **self.network, only=only, name=name)
        policy.build()
        return policy
