"""Figure 5: what each tuned baseline gains from richer information."""

from typing import Any

from reproduce.dgnopt import experiment
from reproduce.dgnopt.comparison import Comparison

_BASELINES = ["SGD", "RMSprop", "Adam", "EKFAC"]


def _entries(settings: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    # The residual networks have one player per stage: feedback and cooperation are the same step.
    structures = settings["structures"] if kind != "residual" else ["feedback"]
    entries = []
    for name in settings["baselines"]:
        entries.append(experiment.entry(name, {"name": name}))
        entries += [experiment.entry(f"{name}, {structure}", {"name": name, "structure": structure})
                    for structure in structures]  # fmt: skip
    return entries


def _gained(problem: dict[str, Any]) -> list[tuple[str, str]]:
    return [(name, f"{name}, {structure}") for name in _BASELINES
            for structure in ("feedback", "cooperative")]  # fmt: skip


def _pairs(problem: dict[str, Any]) -> list[tuple[str, str]]:
    """From each baseline, and from feedback to cooperation."""
    beside = [(f"{name}, feedback", f"{name}, cooperative") for name in _BASELINES]
    return [*_gained(problem), *beside]


run, draw, summary, facts = Comparison(
    entries=_entries,
    pairs=_pairs,
    cells={"decay": [0.5, 0.75]},
).parts()
