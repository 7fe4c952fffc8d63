"""Closed-loop play: controls are functions of the state, and the others answer a deviation."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from fictitious_play import rollout
from fictitious_play.beliefs import BeliefRule
from fictitious_play.compiled import Compiled
from fictitious_play.games.base import Game
from fictitious_play.networks.feedback_mixture import FeedbackMixture
from fictitious_play.networks.feedback_policy import FeedbackPolicy
from fictitious_play.networks.units import Units, control_units, state_units
from fictitious_play.solver.belief import Belief
from fictitious_play.solver.evaluation import policy_controls
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

    def __init__(
        self, structure: "ClosedLoop", rule: str | BeliefRule = "last", damping: float = 0.5
    ):
        super().__init__(structure.game.players, rule, damping)
        self._structure = structure
        self.mixture = structure.mixture(slots=1)

    def by_step(self, chunk: Any) -> dict[str, Any]:
        return {}

    def _take(self, policy: Any) -> None:
        self._fill([policy.profile])

    def _hold(self) -> None:
        slots = 1 << (len(self.profiles) - 1).bit_length()
        if slots != self.mixture.slots:
            self.mixture = self._structure.mixture(slots)
        self._fill(self.profiles)

    def _fill(self, profiles: Any) -> None:
        self.mixture.hold(profiles, self.shares_of_players())


class ClosedLoop:
    """What closed-loop play is made of.

    Its networks read the state in units of the play that goes on: in the first stage, those of
    paths along which everybody plays α^0, and then those of the current profile, which `follow`
    measures before every stage on the same sample.

    Where noise spreads the states less than half as much as a unit of control would, the players'
    hands tremble in training: independent normals, a unit of control large at most, move the
    states beside the controls and cost nothing. A feedback is a control in states that the play
    itself may never reach, and how the others answer there is what a deviation is held against;
    without noise nothing would determine it. In a linear-quadratic game trembles change no best
    response. In others hands become steadier: from the share of the solve that is left up to one,
    all sizes are there in a batch. Small ones show what to do where the play goes, without much of
    the bias of large ones, which keep networks from leaping where the play does not go: were all
    of them small, nothing would hold a network just off its path.

    Args:
        game: the `Game`.
        network: arguments of `FeedbackPolicy`.
        initial_belief: α^0, a number or an array.
        sample: initial states and noise of the paths for the units.
    """

    def __init__(self, game: Game, network: dict, initial_belief: InitialBelief, sample: Sample):
        self.game, self.network, self.sample = game, network, sample
        controls = initial_belief_array(game, initial_belief).astype(sample.noise.dtype)
        self.constant = game.project(controls)
        self.control_unit = control_units(game, network.get("control_unit"))
        self._exact = game.is_linear_quadratic
        self._play = Compiled(partial(rollout.joint_states, game))
        controls = np.broadcast_to(self.constant, (sample.paths, *controls.shape))
        self.units, self._tremble = self._measured(controls)

    def policy(self, only: int | None = None) -> FeedbackPolicy:
        """The networks of all players, or of one."""
        policy = FeedbackPolicy(self.game, **self.network, only=only, name="policy")
        policy.build()
        policy.set_units(self.units)
        return policy

    def follow(self, policy: FeedbackPolicy, others: Sequence[FeedbackPolicy] = ()) -> None:
        """Moves a policy, and others that read the state as it does, to the units of its own
        paths. Their controls remain the same functions of the state. Paths that are not finite
        move nothing."""
        controls = policy_controls(policy, self.sample)
        if not np.isfinite(controls).all():
            return
        units, self._tremble = self._measured(controls)
        for each in (policy, *others):
            each.change_units(units)

    def fixed(self, left: float, paths: int) -> dict:
        """What else the training models are told: the standard deviations of how hands tremble,
        (paths, 1, players, control_size), spread evenly on a logarithmic scale over the antithetic
        pairs of a batch.

        Args:
            left: the share of the solve that is still to come.
            paths: of a batch.
        """
        pair = (np.arange(paths) // 2 + 0.5) / (paths // 2)
        sizes = np.ones(paths) if self._exact else left**pair
        tremble = sizes[:, None, None, None] * self._tremble * self.control_unit
        return {"tremble": np.asarray(tremble, self.sample.noise.dtype)}

    def _measured(self, controls: np.ndarray) -> tuple[Units, float]:
        """Units along the paths of these controls, and the trembles' size in units of control."""
        pooled = self.network.get("time_shared", False)
        initial_state, noise = self.sample
        units, own = state_units(
            self.game, initial_state, controls, noise, pooled, self._play, self.control_unit
        )
        return units, max(0.0, 1.0 - (2.0 * own) ** 2) ** 0.5

    def mixture(self, slots: int) -> FeedbackMixture:
        """Room for a number of profiles, with everybody at α^0."""
        mixture = FeedbackMixture(self.game, slots=slots, **self.network, name="belief")
        mixture.build()
        mixture.set_units(self.units)
        mixture.constant.assign(self.constant)
        return mixture

    def belief(self, rule: str | BeliefRule, damping: float) -> FeedbackBelief:
        """A belief in which nobody has moved."""
        return FeedbackBelief(self, rule, damping)

    def model(self, policy: FeedbackPolicy, belief: FeedbackBelief) -> FeedbackResponseModel:
        """The model that trains a policy against a belief, as large as it is now."""
        return FeedbackResponseModel(policy, belief.mixture)

    def fits(self, model: FeedbackResponseModel, belief: FeedbackBelief) -> bool:
        """Whether a model still serves a belief that has moved, which may have grown."""
        return model.belief is belief.mixture
