"""A cheap estimate of the certificate, for use during a solve."""

from typing import Any

import numpy as np

from fictitious_play import checks
from fictitious_play.networks.feedback_policy import FeedbackPolicy
from fictitious_play.solver import exact_response
from fictitious_play.solver.certificate import Certificate, assemble
from fictitious_play.solver.deviation_gain import of_everybody
from fictitious_play.solver.deviations import Deviations, path_numbers
from fictitious_play.solver.response_search import search

#: What `Result.converged` holds the regret against when no tolerance was given.
DEFAULT_TOLERANCE = 0.01
#: Paths on which it is measured, and evaluations and paths of the search for linear responses: the
#: second number of paths where the first finds little.
_PATHS, _EVALUATIONS, _SEARCH_PATHS = 1024, 16, (256, 1024)
#: Features of the regression behind an exact estimate beyond which players who are alike share one,
#: and most features at all.
_POOLED, _FEATURES = 600, 1500
#: Numbers that a path may hold in a search for everybody, and in one for some of the players, at
#: least one of them; time and memory grow with them.
_NUMBERS, _SAMPLED_NUMBERS = 2**18, 2**15
#: Paths on which the regret of some of the players is measured, and evaluations: one of them may
#: take as long as many players of a smaller game.
_SAMPLED = 256, 8


class RegretMeter:
    """Estimates what each player could gain by leaving a profile, at a small part of the cost of a
    certificate.

    In a linear-quadratic game it is the exact theory's gain, of an open-loop profile on a sample,
    of a closed-loop one by its affine feedbacks. In every other game, and in open-loop games of
    too many different players for that, it is what linear responses gain that a few quasi-Newton
    steps find: less than there is, so that a large regret means a bad profile and a small one a
    profile that no linear response improves. Where even that is too much for all players, as with
    some 200 different ones, it is sought for a few, evenly spread over them, and NaN for the
    others: enough to see a bad profile, and not to call a good one good.

    What a few noisy paths teach may save nothing on others, so a regret below the tolerance is held
    against a search on four times as many.

    Args:
        game: the `Game`.
        policy: the profile, whose weights may move between two estimates.
        seed: of the paths.
        tolerance: the regret, with two standard errors, that counts as small.
    """

    def __init__(self, game: Any, policy: Any, seed: int, tolerance: float = DEFAULT_TOLERANCE):
        self.game, self.policy, self.seed = game, policy, seed
        self.tolerance = tolerance
        self._deviations: Deviations | None = None
        self._latest: Certificate | None = None
        self._stage = -1

    def __call__(self, stage: int) -> Certificate:
        """The estimate for the profile as it is now, after a stage."""
        latest = self._latest
        if latest is None or stage != self._stage:
            latest = self._estimate()
            self._stage, self._latest = stage, latest
        return latest

    def _estimate(self) -> Certificate:
        game, policy = self.game, self.policy
        if game.is_linear_quadratic and isinstance(policy, FeedbackPolicy):
            gains = exact_response.affine(policy, _PATHS, self.seed)
            return assemble({"exact": gains}, "exact", ())
        if game.is_linear_quadratic:
            features = self._features()
            if features <= _FEATURES:
                paths = max(_PATHS, 6 * features)
                gains = exact_response.open_loop(game, policy, paths, self.seed)
                return assemble({"exact": gains}, "exact", ())
        if self._deviations is None:
            who = looked_at(game, policy)
            self._deviations = Deviations(game, policy, self.seed, path=False, who=who)
        self._deviations.measure_units()
        sampled = len(self._deviations.who) < game.players
        measured, evaluations = _SAMPLED if sampled else (_PATHS, _EVALUATIONS)
        for paths in _SEARCH_PATHS:
            gains = search(self._deviations, measured, evaluations, paths)
            gains = of_everybody(gains, self._deviations.who, game.players)
            estimate = assemble({"trained": gains}, "trained", gains.by)
            if not estimate.upper <= self.tolerance:
                break
        return estimate

    def _features(self) -> int:
        """Of the regression in `lq.exploitability`."""
        game = self.game
        features = 1 + game.state_size + game.noise_size * game.steps
        symmetric = getattr(game, "symmetric_parameters", None) is not None
        return 2 + 2 * game.steps if symmetric and features > _POOLED else features


def looked_at(game: Any, policy: Any) -> np.ndarray | None:
    """Indices of the players for whom linear responses are searched, None for all."""
    numbers = path_numbers(game, policy)
    if numbers * game.players <= _NUMBERS:
        return None
    count = max(1, _SAMPLED_NUMBERS // numbers)
    return np.arange(count) * game.players // count


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
