"""Intervals of what was measured seed by seed, and differences between methods: runs of one seed
share weights and batches and are paired."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


def mean_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """The mean and half its 95 % interval (Student's t); the half is infinite for one value."""
    given = np.asarray(values, float)
    if len(given) < 2:
        return (float(given.mean()) if len(given) else math.nan), math.inf
    return float(given.mean()), float(stats.t.ppf(0.975, len(given) - 1) * stats.sem(given))


@dataclass(frozen=True)
class Difference:
    """The change of a quantity from one method to another.

    Attributes:
        mean: over the pairs of finished runs; NaN without any.
        half: half the width of its 95 % interval (Student's t). Infinite where it is unknown: of
            one pair, and where it is narrower than the quantity's resolution, since runs that
            agree so well by chance say nothing of how well others would.
        pairs: of runs that finished both.
        lost: how many runs of the first and of the second did not.
    """

    mean: float
    half: float
    pairs: int
    lost: tuple[int, int]

    @property
    def low(self) -> float:
        """Where the interval begins."""
        return self.mean - self.half if self.pairs else -math.inf

    @property
    def high(self) -> float:
        """Where the interval ends."""
        return self.mean + self.half if self.pairs else math.inf

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.half)

    @property
    def significant(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0

    def shown(self, digits: int = 2) -> str:
        """`+1.00 ± 0.25 (n = 3)`."""
        if not self.pairs:
            return "no pair of finished runs"
        return f"{self._text(digits)} (n = {self.pairs})"

    def verdict(self, digits: int = 2) -> str:
        """The same, and whether it is significant."""
        if not self.pairs:
            return self.shown()
        told = f", {'' if self.significant else 'not '}significant"
        if not self.known:
            why = f": {self.pairs} seeds agree to less than an image"
            one, many = " (one seed: interval unknown)", f" (interval unknown{why})"
            told = one if self.pairs == 1 else many
        return self._text(digits) + told

    def _text(self, digits: int) -> str:
        noise = f" ± {self.half:.{digits}f}" if self.known else ""
        return f"{round(self.mean, digits) + 0.0:+.{digits}f}{noise}"


def between(first: np.ndarray, second: np.ndarray, resolution: float = 0.0) -> Difference:
    """The difference of a quantity measured seed by seed.

    Args:
        first, second: `(seeds,)`, NaN where a run did not finish.
        resolution: the smallest step of the quantity: a narrower interval is none.
    """
    lost = int(np.isnan(first).sum()), int(np.isnan(second).sum())
    pairs = min(len(first), len(second))
    found = second[:pairs] - first[:pairs]
    found = found[np.isfinite(found)]
    mean, half = mean_interval(found)
    if len(found) and half <= max(resolution, 1e-9 * float(np.max(np.abs(found)))):
        half = math.inf
    return Difference(mean, half, len(found), lost)
