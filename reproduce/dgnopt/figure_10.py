"""Figure 10 and Table 5: the alignment of a residual network, fixed, random, or by a bandit."""

from typing import Any

import numpy as np

from reproduce.dgnopt import experiment
from reproduce.dgnopt.comparison import Comparison, by_label

_GAME = {"name": "EKFAC", "structure": "cooperative"}
_METHODS: dict[str, dict[str, Any]] = {
    "EKFAC": {"name": "EKFAC"},
    "fixed": _GAME,
    "fixed, as late as possible": {**_GAME, "alignment": "alap"},
    "random": {**_GAME, "policy": "random"},
    "adaptive": {**_GAME, "policy": "adaptive"},
}
_COLUMNS = ("EKFAC", "fixed", "random", "adaptive")
#: The paper's Table 5.
_PAPER = {"svhn": (87.49, 88.20, 88.12, 88.33), "cifar10": (84.67, 85.20, 85.27, 85.65)}


def _entries(settings: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [experiment.entry(label, _METHODS[label], rate_of="EKFAC")
            for label in settings.get("methods", _METHODS)]  # fmt: skip


def _pairs(problem: dict[str, Any]) -> list[tuple[str, str]]:
    return [("fixed", label) for label in by_label(problem) if label != "fixed"]


def _favourite(problem: dict[str, Any], method: dict[str, Any]) -> str:
    """How much of a run the arm was played that was played most, the mean over seeds."""
    counts = [np.array(run["arms"]) for run in method["runs"] if run.get("arms")]
    shares = [count.max() / count.sum() for count in counts]
    return f"{100 * np.mean(shares):.0f} %" if shares else "–"


run, draw, summary, facts = Comparison(
    kinds=("aligned",),
    entries=_entries,
    pairs=_pairs,
    paper={data: dict(zip(_COLUMNS, row, strict=True)) for data, row in _PAPER.items()},
    extra=("most played alignment", _favourite),
).parts()  # fmt: skip
