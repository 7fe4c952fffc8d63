"""Figure 5: what each tuned baseline gains from richer information."""

from typing import Any

from reproduce.dgnopt import experiment
from reproduce.dgnopt.comparison import Comparison
from reproduce.dgnopt.problems import PAPER_STEPS, QUICK_STEPS

_BASELINES = ["SGD", "RMSprop", "Adam", "EKFAC"]
_ALL: dict[str, Any] = {
    "kinds": ["residual", "inception"], "baselines": _BASELINES,
    "structures": ["feedback", "cooperative"],
}  # fmt: skip
_ONE = {"kinds": ["residual"], "structures": ["feedback"]}


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


PRESETS, run, draw, summary, facts = Comparison(
    presets={
        "smoke": {**_ALL, **_ONE, "steps": 4, "seeds": 2, "baselines": ["SGD"]},
        "quick": {**_ALL, **_ONE, "steps": QUICK_STEPS, "seeds": 2, "problems": 1},
        "standard": {**_ALL, "steps": 600, "seeds": 3},
        "paper": {**_ALL, "steps": PAPER_STEPS, "seeds": 6},
    },
    entries=_entries,
    pairs=_pairs,
    cells={"decay": [0.5, 0.75]},
).parts()
