"""What runs say, a number per seed: accuracy, steps to a target, the loss on the way; intervals,
and differences between methods: runs of one seed share weights and batches and are paired."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats


def by_seed(method: dict[str, Any], of: Callable[[dict[str, Any]], float]) -> np.ndarray:
    """A number of every run, `(seeds,)`: NaN where it diverged or failed."""
    return np.array([
        np.nan if "error" in run or run["diverged"] else of(run) for run in method["runs"]
    ])  # fmt: skip


def accuracies(method: dict[str, Any]) -> np.ndarray:
    """Percent for every seed."""
    return by_seed(method, lambda run: run["accuracy"])


def average_losses(method: dict[str, Any]) -> np.ndarray:
    """Training loss averaged over all steps, for every seed: lower is faster."""
    return by_seed(method, lambda run: np.mean(run["curve"]["loss"]))


def steps_to(method: dict[str, Any], target: float) -> np.ndarray:
    """For every seed the first step of its curve with a test accuracy of at least `target` percent:
    infinity where the run ended before; NaN where it diverged, even after it had been there."""

    def first(run: dict[str, Any]) -> float:
        curve = zip(run["curve"]["step"], run["curve"]["accuracy"], strict=True)
        return next((float(step) for step, value in curve if value >= target), np.inf)

    return by_seed(method, first)


def spread(values: np.ndarray, digits: int = 2) -> str:
    """`mean ± standard deviation (seeds)` of the finite ones; empty where there is none."""
    good = values[np.isfinite(values)]
    error = f" ± {np.std(good, ddof=1):.{digits}f}" if len(good) > 1 else ""
    return f"{np.mean(good):.{digits}f}{error} ({len(good)})" if len(good) else ""


def shown_steps(found: np.ndarray, most: int) -> str:
    """The `spread` of what `steps_to` returned; `> most` for seeds that never came there."""
    lost = (f"> {most}", np.isinf(found).sum()), ("diverged", np.isnan(found).sum())
    parts = [spread(found, 0), *(f"{text} ({count})" for text, count in lost if count)]
    return ", ".join(filter(None, parts))


def mean_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """The mean and half its 95 % interval (Student's t); the half is infinite for one value."""
    given = np.asarray(values, float)
    if len(given) < 2:
        return (float(given.mean()) if len(given) else math.nan), math.inf
    return float(given.mean()), float(stats.t.ppf(0.975, len(given) - 1) * stats.sem(given))


@dataclass(frozen=True)
class Difference:
    """The change of a quantity from one method to another: the mean over the pairs of finished
    runs, NaN without any; half the width of its 95 % interval (Student's t); the number of pairs;
    and how many runs of the first and of the second were lost.

    The half is infinite where it is unknown: of one pair, and where it is narrower than the
    quantity's resolution, since runs that agree so well by chance say nothing of how well others
    would."""

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
    """The difference of a quantity measured seed by seed, `(seeds,)`, NaN where a run did not
    finish. An interval that is narrower than the resolution, the quantity's smallest step, is
    none."""
    lost = int(np.isnan(first).sum()), int(np.isnan(second).sum())
    pairs = min(len(first), len(second))
    found = second[:pairs] - first[:pairs]
    found = found[np.isfinite(found)]
    mean, half = mean_interval(found)
    if len(found) and half <= max(resolution, 1e-9 * float(np.max(np.abs(found)))):
        half = math.inf
    return Difference(mean, half, len(found), lost)
