"""What each difference between our update and the printed one does, and where each breaks."""

import math
from typing import Any

import numpy as np

from reproduce.dgnopt import experiment, ladder
from reproduce.report import Table
from reproduce.training.methods import PRINTED

_OURS = {"name": "EKFAC", "structure": "cooperative"}
_CLIP = {"kl_clip": 1e-3}
_OPEN = "open loop"
#: On one player per stage: FNE and GR are one step, and Proposition 5 has nothing to solve.
_CHAIN: dict[str, dict[str, Any]] = {
    _OPEN: {"name": "EKFAC"},
    "ours": _OURS,
    "ours, without K δx": {**_OURS, "state_feedback": False},
    "ours, exact terminal": {**_OURS, "terminal": "exact"},
    "feedback only": {**_OURS, "form": "feedback_only"},
    "explicit": {**_OURS, "form": "explicit"},
    "as printed": PRINTED,
    "as printed, without K δx": {**PRINTED, "state_feedback": False},
    "open loop, KL clip": {"name": "EKFAC", "structure": "open_loop", **_CLIP},
    "ours, KL clip": {**_OURS, **_CLIP},
    "as printed, KL clip": {**PRINTED, **_CLIP},
}
#: On two players per stage.
_BLOCKS: dict[str, dict[str, Any]] = {
    _OPEN: {"name": "EKFAC"},
    "GR, exact": _OURS,
    "FNE": {**_OURS, "structure": "feedback"},
    "GR, Proposition 5": {**_OURS, "solver": "prop5"},
    "as printed": {**PRINTED, "solver": "prop5"},
}
#: (from, to): what one change of the update does.
_PAIRS = [
    (_OPEN, "ours"), (_OPEN, "as printed"), ("explicit", "ours"), ("as printed", "explicit"),
    ("ours", "ours, exact terminal"), ("ours, without K δx", "ours"),
    ("as printed, without K δx", "as printed"), ("feedback only", "ours"),
    (_OPEN, "open loop, KL clip"), ("open loop, KL clip", "ours, KL clip"),
    ("as printed", "as printed, KL clip"), ("FNE", "GR, exact"), ("GR, Proposition 5", "GR, exact"),
]  # fmt: skip
draw = ladder.draw


def run(context: Any) -> dict[str, Any]:
    """Trains every variant at every rate, the step guard off."""
    settings, problems = context.settings, []
    for kind, labels in settings["methods"].items():
        methods = _CHAIN if kind == "residual" else _BLOCKS
        entries = [experiment.entry(label, {**methods[label], "guard": False}, rate=rate)
                   for rate in settings["rates"] for label in labels or methods]  # fmt: skip
        problems += experiment.experiment(context, kind, entries)
    return {"problems": problems}


def _pairs(rung: ladder.Rung) -> list[tuple[str, str]]:
    return [pair for pair in _PAIRS if set(pair) <= rung.methods.keys()]


def summary(document: dict[str, Any]) -> list[Table]:
    """Accuracy of every variant at every rate, and what one change does."""
    return ladder.summary(document, _pairs)


def facts(document: dict[str, Any]) -> dict[str, Any]:
    """Of the text: the answer, and the conditions."""
    return {
        "effects": _effects(document), "best": _best(document), **ladder.facts(document),
    }  # fmt: skip


def _ends(document: dict[str, Any]) -> dict[str, list[float]]:
    """Label → the largest rate with which every run learned, a problem each; 0 for none."""
    ends: dict[str, list[float]] = {}
    for _, _, label, rate in ladder.breaks(document):
        ends.setdefault(label, []).append(rate or 0.0)
    return ends


def _effects(document: dict[str, Any]) -> str:
    """What each change of the update does to the largest usable rate, the largest effect first."""
    found: dict[str, list[tuple[float, str]]] = {"raised": [], "not changed": [], "lowered": []}
    for problem in document["results"]["problems"]:
        ends = _ends({"results": {"problems": [problem]}})
        for first, second in _PAIRS:
            if first in ends and second in ends:
                (before,), (after,) = ends[first], ends[second]
                word = "raised" if after > before else "not changed"
                word = "lowered" if after < before else word
                shown = " → ".join(f"{end:g}" if end else "none" for end in (before, after))
                size = abs(math.log((after or 1e-9) / (before or 1e-9)))
                found[word].append((-size, f"{first} → {second} ({shown})"))
    return "; ".join(
        f"{word} by {', '.join(text for _, text in sorted(effects, key=lambda pair: pair[0]))}"
        for word, effects in found.items() if effects
    )  # fmt: skip


def _best(document: dict[str, Any]) -> str:
    """The best mean accuracy of each variant over the rates where every run learned."""
    parts = []
    for problem in document["results"]["problems"]:
        best: dict[str, float] = {}
        for rung in ladder.rungs(problem):
            for label, method in rung.methods.items():
                values = experiment.accuracies(ladder.learned(method))
                if np.isfinite(values).all():
                    best[label] = max(best.get(label, 0.0), float(values.mean()))
        ranked = sorted(best.items(), key=lambda pair: -pair[1])
        parts.append(", ".join(f"{label} {value:.2f}" for label, value in ranked))
    return "; ".join(parts)
