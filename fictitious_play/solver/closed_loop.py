"""Closed-loop play: controls are functions of the state, and the others answer a deviation."""

import numpy as np
from keras import ops

from fictitious_play import rollout
from fictitious_play.games.base import Game
from fictitious_play.networks.feedback_mixture import FeedbackMixture
from fictitious_play.networks.feedback_policy import FeedbackPolicy
from fictitious_play.solver.belief import Belief
from fictitious_play.solver.initial_belief import InitialBelief, initial_belief_array
from fictitious_play.solver.samples import Sample
from fictitious_play.solver.training import FeedbackResponseModel


class FeedbackBelief(Belief):
    """The others' feedback, Σ_k w_k α^k(t, X_t) along whatever path is played.

    The sum is a part of the training model, whose gradient runs through it: a `FeedbackMixture`
    with a power of two of slots. It doubles when the profiles no longer fit, so that a solve of K
    stages traces its training step 1 + log_2 K times at most and evaluates less than twice the
    networks that count.

    Args:
        structure: the `ClosedLoop` that makes the mixture.
        rule, damping: as in `Belief`.

    Attributes:
        mixture: the `FeedbackMixture` that now holds the profiles; another one when it has grown.
    """

    def __init__(self, structure: "ClosedLoop", rule: str = "last", damping: float = 0.5):
        super().__init__(structure.game.players, rule, damping)
        self._structure = structure
        self.mixture = structure.mixture(slots=1)

    def inputs(self, sample):
        return []

    def _take(self, policy):
        self._fill([policy.stacked_weights])

    def _hold(self):
        slots = 1 << (len(self.profiles) - 1).bit_length()
        if slots != self.mixture.slots:
            self.mixture = self._structure.mixture(slots)
        self._fill(self.profiles)

    def _fill(self, profiles):
        shares = self.shares[:, None] * self.moved
        shares[0, ~self.moved] = 1.0
        self.mixture.hold(profiles, shares)


class ClosedLoop:
    """What closed-loop play is made of.

    All its networks read the state in the same units, those of paths along which everybody plays
    α^0.

    Args:
        game: the `Game`.
        network: arguments of `FeedbackPolicy`.
        initial_belief: α^0, a number or an array.
        sample: paths for the units.
    """

    def __init__(self, game: Game, network: dict, initial_belief: InitialBelief, sample: Sample):
        self.game, self.network = game, network
        controls = initial_belief_array(game, initial_belief).astype(sample.noise.dtype)
        self.constant = controls
        controls = np.broadcast_to(controls, (sample.paths, *controls.shape))
        arrays = (sample.initial_state, controls, sample.noise)
        states = rollout.joint_states(game, *(ops.convert_to_tensor(array) for array in arrays))
        self._states = ops.convert_to_numpy(states)

    def policy(self, only: int | None = None) -> FeedbackPolicy:
        """The networks of all players, or of one."""
        policy = FeedbackPolicy(self.game, **self.network, only=only, name="policy")
        policy.build()
        policy.set_units(self._states)
        return policy

    def mixture(self, slots: int) -> FeedbackMixture:
        """Room for a number of profiles, with everybody at α^0."""
        mixture = FeedbackMixture(self.game, slots=slots, **self.network, name="belief")
        mixture.build()
        mixture.set_units(self._states)
        mixture.constant.assign(self.constant)
        return mixture

    def belief(self, rule: str, damping: float) -> FeedbackBelief:
        """A belief in which nobody has moved."""
        return FeedbackBelief(self, rule, damping)

    def model(self, policy: FeedbackPolicy, belief: FeedbackBelief) -> FeedbackResponseModel:
        """The model that trains a policy against a belief, as large as it is now."""
        return FeedbackResponseModel(policy, belief.mixture)

    def fits(self, model: FeedbackResponseModel, belief: FeedbackBelief) -> bool:
        """Whether a model still serves a belief that has moved, which may have grown."""
        return model.belief is belief.mixture
