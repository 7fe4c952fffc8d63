"""A cheap estimate of the certificate, for use during a solve."""

from typing import Any

import numpy as np
from keras import ops

from fictitious_play import checks, rollout
from fictitious_play.networks.joint_policy import JointPolicy
from fictitious_play.solver import exact_response
from fictitious_play.solver.certificate import Certificate, assemble
from fictitious_play.solver.evaluation import policy_controls
from fictitious_play.solver.response_search import ResponseSearch
from fictitious_play.solver.samples import response_sample

#: What `Result.converged` holds the regret against when no tolerance was given.
DEFAULT_TOLERANCE = 0.01
#: Paths on which it is measured, and evaluations and paths of the search for linear responses.
_PATHS, _EVALUATIONS, _SEARCH_PATHS = 1024, 16, 256
#: Most features of the regression behind an exact estimate, and most numbers in a training step of
#: a searched one. Games beyond either have no cheap estimate.
_FEATURES, _NUMBERS = 600, 2**26


class RegretMeter:
    """Estimates what each player could gain by leaving a profile, at a small part of the cost of a
    certificate.

    In a linear-quadratic game it is the exact theory's gain, of an open-loop profile on a sample,
    of a closed-loop one by its affine feedbacks. In every other game it is what linear responses
    gain that a few quasi-Newton steps find: less than there is, so that a large regret means a bad
    profile and a small one a profile that no linear response improves.

    Args:
        game: the `Game`.
        policy: the profile, whose weights may move between two estimates.
        seed: of the paths.
    """

    def __init__(self, game, policy, seed: int):
        self.game, self.policy, self.seed = game, policy, seed
        self._search: ResponseSearch | None = None
        self._latest: Certificate | None = None
        self._stage = -1

    def __call__(self, stage: int) -> Certificate | None:
        """The estimate for the profile as it is now, after a stage; None where the game is too
        large for a cheap one."""
        if stage != self._stage:
            self._stage, self._latest = stage, self._estimate()
        return self._latest

    def _estimate(self) -> Certificate | None:
        game, policy = self.game, self.policy
        if game.is_linear_quadratic and isinstance(policy, JointPolicy):
            features = 1 + game.state_size + game.noise_size * game.steps
            if features > _FEATURES:
                return None
            paths = max(_PATHS, 6 * features)
            found = exact_response.open_loop(game, policy, paths, self.seed)
            return assemble({"exact": found}, "exact", (), None)
        if game.is_linear_quadratic:
            return assemble({"exact": self._affine()}, "exact", (), None)
        if self._search is None:
            search = ResponseSearch(game, policy, self.seed, path=False)
            if search.numbers * search.batch_size > _NUMBERS:
                return None
            self._search = search
        self._search.measure_units()
        found = self._search.run(_PATHS, _EVALUATIONS, _SEARCH_PATHS)
        return assemble({"trained": found}, "trained", found.by, None)

    def _affine(self) -> exact_response.Found:
        game, policy = self.game, self.policy
        paths = max(_PATHS, 4 * (game.state_size + 1))
        sample = response_sample(game, self.seed, "regret", 0, paths, policy.variable_dtype)
        controls = policy_controls(policy, sample)
        tensors = [ops.convert_to_tensor(a) for a in (sample.initial_state, controls, sample.noise)]
        states = ops.convert_to_numpy(rollout.joint_states(game, *tensors))[:, :-1]
        costs = ops.convert_to_numpy(rollout.joint_costs(game, *tensors)).astype(np.float64)
        found = exact_response.nothing_found(game, costs, controls)
        if not found.non_finite.any():
            gain, _ = exact_response.affine_gain(
                game, controls.astype(np.float64), states.astype(np.float64)
            )
            found.gain[:], found.standard_error[:] = gain, 0.0
        return found


def check_regret(every: Any, tolerance: Any) -> tuple[int | None, float | None]:
    """The settings `regret_every` and `regret_tolerance`, or an error."""
    if every is not None:
        every = checks.integer("regret_every", every, least=1)
    if tolerance is not None:
        tolerance = checks.number("regret_tolerance", tolerance, above=0.0)
        if every is None:
            raise ValueError(
                "`regret_tolerance` needs the regret to be estimated. Received: "
                f"regret_tolerance={tolerance:g}, regret_every=None"
            )
    return every, tolerance
