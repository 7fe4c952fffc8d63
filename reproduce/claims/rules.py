"""Claims, findings and verdicts: what a 95 % interval has to exclude."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from scipy import stats

SUPPORTED, REFUTED, OPEN = "supported", "not supported", "undecided"
#: Half a 95 % interval in standard errors of a mean over thousands of paths.
NORMAL = 1.96

Document = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """What one result says of a claim: what was run, `on` which data or games, network, epochs; the
    number that the rule reads, with its interval and n; the verdict. On the same `data` the finding
    of a larger preset takes the place of a smaller one's."""

    on: str
    result: str
    verdict: str
    data: str = ""


@dataclass(frozen=True)
class Claim:
    """A claim of a paper: the item whose records decide it; its words, in quotation marks where
    they are the paper's; the rule in words, and as `judges`, bound to their arguments: JSON of the
    item → findings; what the paper has and no record here, or the paper's data sets, of which those
    without a record are named as missing."""

    item: str
    words: str
    rule: str
    judges: Sequence[Callable[[Document], list[Finding]]]
    missing: str = ""
    data: Sequence[str] = ()

    def judge(self, document: Document) -> list[Finding]:
        """What the item's JSON says of the claim."""
        return [finding for judge in self.judges for finding in judge(document)]


@dataclass(frozen=True)
class Contrast:
    """Something that contradicts or bounds a paper: whose records show it, and a sentence from
    their JSON, or None where these do not show it."""

    items: tuple[str, ...]
    tell: Callable[[list[Document]], str | None]


def above(low: float, high: float, limit: float = 0.0) -> str:
    """Whether a quantity is above a limit, by its interval. NaN is a failure, not a doubt."""
    if math.isnan(low) or math.isnan(high):
        return REFUTED
    return SUPPORTED if low > limit else REFUTED if high < limit else OPEN


def below(low: float, high: float, limit: float) -> str:
    """Whether a quantity is below a limit, by its interval."""
    return above(-high, -low, -limit)


def every(verdicts: Iterable[str]) -> str:
    """The verdict on a claim about several cases: all must be supported, one can refute it."""
    found = set(verdicts)
    return REFUTED if REFUTED in found else SUPPORTED if found == {SUPPORTED} else OPEN


def share_difference(first: Sequence[int], second: Sequence[int]) -> tuple[float, float, float]:
    """The second share minus the first, and its 95 % interval (Newcombe's, from Wilson's), of
    pairs of successes and trials."""
    (one, low_one, high_one), (two, low_two, high_two) = (_wilson(*own) for own in (first, second))
    apart = two - one
    return (apart, apart - math.hypot(two - low_two, high_one - one),
            apart + math.hypot(high_two - two, one - low_one))  # fmt: skip


def _wilson(successes: int, trials: int) -> tuple[float, float, float]:
    interval = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    return successes / trials, interval.low, interval.high
