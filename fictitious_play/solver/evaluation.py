"""Expected costs of a profile on a fixed sample, with the exact equilibrium as control variate."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from fictitious_play.games.base import Game
from fictitious_play.networks.feedback_policy import FeedbackPolicy
from fictitious_play.networks.joint_policy import JointPolicy
from fictitious_play.solver.samples import Sample

#: Most paths of a part of an evaluation, and entries of one activation of the stacked networks.
_PATHS, _ACTIVATIONS = 1024, 2**23
#: So few paths are played by themselves: filling a part would cost more than another computation.
_FEW = 8


def play(policy: JointPolicy | FeedbackPolicy, sample: Sample, *wanted: str) -> list[np.ndarray]:
    """What a profile, with moving averages, makes of a sample.

    Args:
        policy: the profile.
        sample: initial states and noise.
        wanted: of `Paths`, by name.

    Returns:
        An array for each of them.
    """
    collected: list[list[np.ndarray]] = [[] for _ in wanted]
    size = _part_size(policy) if sample.paths > _FEW else sample.paths
    for start in range(0, sample.paths, size):
        # Parts have one shape, filled up with paths again, as each is a computation to compile.
        place = np.arange(start, start + size) % sample.paths
        paths = policy.paths(*(array[place] for array in sample))
        for parts, name in zip(collected, wanted, strict=True):
            part = ops.convert_to_numpy(getattr(paths, name))
            parts.append(part[: sample.paths - start])
    return [np.concatenate(parts) for parts in collected]


def policy_controls(policy: JointPolicy | FeedbackPolicy, sample: Sample) -> np.ndarray:
    """Controls along a sample, (paths, steps, players, control_size), with moving averages."""
    return play(policy, sample, "controls")[0]


def batches(policy: JointPolicy | FeedbackPolicy, sample: Sample) -> Iterator[Sample]:
    """A sample in parts, so that a profile's activations on each of them are not too many."""
    size = _part_size(policy)
    for start in range(0, sample.paths, size):
        yield sample.part(start, size)


def _part_size(policy: JointPolicy | FeedbackPolicy) -> int:
    """Most paths of a part, a power of two as samples mostly are."""
    game = policy.game
    most = _ACTIVATIONS // (game.steps * game.players * max(policy.hidden))
    return 1 << (min(max(2, most), _PATHS).bit_length() - 1)


@dataclass(frozen=True)
class Cost:
    """Expected costs on a sample.

    Attributes:
        mean, standard_error: (players,) each; not finite where the cost of a path is not.
        spread: (players,) standard deviations of a path's cost.
        non_finite: (players,) numbers of paths whose cost is NaN or infinite.
        paths: size of the sample.
    """

    mean: np.ndarray
    standard_error: np.ndarray
    spread: np.ndarray
    non_finite: np.ndarray
    paths: int

    @property
    def complaint(self) -> str | None:
        """A sentence on paths without a finite cost, None where there are none."""
        if not self.non_finite.any():
            return None
        who = ", ".join(
            f"player {player}: {count}" for player, count in enumerate(self.non_finite) if count
        )
        return (
            f"The cost of some of {self.paths} paths is NaN or infinite ({who}), so the expected "
            "cost does not exist on this sample. Costs and dynamics must be finite wherever the "
            "state can go."
        )


class CostMeter:
    """Measures the cost of joint profiles, always on the same paths.

    Where an exact equilibrium exists, its cost along the same noise is the control variate with
    coefficient 1: the mean is its exact expected cost plus the mean difference of the path costs.
    Standard errors are over antithetic pairs.

    Args:
        game: the `Game`.
        sample: antithetic paths 2k, 2k + 1.
        equilibrium: the game's exact `lq.Equilibrium`, or None for plain Monte Carlo.
    """

    def __init__(self, game: Game, sample: Sample, equilibrium: Any = None):
        self.game = game
        self.sample = sample
        self._mean = 0.0
        self._control_variate = 0.0
        if equilibrium is not None:
            self._mean = equilibrium.cost
            self._control_variate = equilibrium.simulate(
                np.asarray(sample.initial_state, np.float64), np.asarray(sample.noise, np.float64)
            ).cost

    def __call__(self, policy: JointPolicy | FeedbackPolicy) -> Cost:
        """Cost of a profile."""
        return self.cost(*play(policy, self.sample, "costs"))

    def cost(self, costs: np.ndarray) -> Cost:
        """Cost of the profile with these path costs on the sample, (paths, players)."""
        costs = costs.astype(np.float64)
        pairs = (costs - self._control_variate).reshape(-1, 2, self.game.players).mean(axis=1)
        with np.errstate(invalid="ignore"):  # paths that are not finite are counted
            error = pairs.std(axis=0, ddof=1) / np.sqrt(len(pairs)) if len(pairs) > 1 else np.nan
            return Cost(
                mean=self._mean + pairs.mean(axis=0),
                standard_error=np.broadcast_to(error, (self.game.players,)).copy(),
                spread=costs.std(axis=0),
                non_finite=(~np.isfinite(costs)).sum(axis=0),
                paths=len(costs),
            )
