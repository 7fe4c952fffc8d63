"""Figure 10 and Table 5: the alignment of a residual network, fixed, random, or by a bandit."""

from pathlib import Path
from typing import Any

import numpy as np

from reproduce import figures
from reproduce.dgnopt import curves, experiment
from reproduce.dgnopt.problems import DATA_TITLES, QUICK_STEPS
from reproduce.report import Table

_GAME = {"name": "EKFAC", "structure": "cooperative"}
_METHODS: dict[str, dict[str, Any]] = {
    "EKFAC": {"name": "EKFAC"},
    "fixed": _GAME,
    "fixed, as late as possible": {**_GAME, "alignment": "alap"},
    "random": {**_GAME, "policy": "random"},
    "adaptive": {**_GAME, "policy": "adaptive"},
}
PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {"steps": 4, "seeds": 1, "every": 2, "methods": ["fixed", "adaptive"]},
    "quick": {"steps": QUICK_STEPS, "seeds": 2, "every": 10, "methods": list(_METHODS)},
    "standard": {"steps": 400, "seeds": 3, "every": 20, "methods": list(_METHODS)},
    "paper": {"steps": 20000, "seeds": 4, "every": 200, "methods": list(_METHODS)},
}
#: The paper's Table 5: EKFAC, fixed, random, adaptive.
PAPER = {"svhn": (87.49, 88.20, 88.12, 88.33), "cifar10": (84.67, 85.20, 85.27, 85.65)}
_PAPER_COLUMNS = ("EKFAC", "fixed", "random", "adaptive")


def run(context) -> dict[str, Any]:
    """Trains EKFAC and the cooperative game under every choice of the alignment."""
    settings = context.settings
    entries = [
        experiment.entry(label, _METHODS[label], rate_of="EKFAC") for label in settings["methods"]
    ]
    problems = experiment.experiment(context, "aligned", entries, evaluate_every=settings["every"])
    return {"problems": problems}


def _by_label(problem: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {method["label"]: method for method in problem["methods"]}


def _shares(method: dict[str, Any]) -> np.ndarray:
    """How much of a run each arm was played, `(seeds, arms)`; empty where nothing was chosen."""
    played = [run["arms"] for run in method["runs"] if run.get("arms")]
    arms = max((len(counts) for counts in played), default=0)
    full = np.array([[*counts, *[0] * (arms - len(counts))] for counts in played], dtype=float)
    return full / full.sum(axis=1, keepdims=True) if len(played) else np.empty((0, 0))


def draw(document: dict[str, Any], stem: Path) -> list[Path]:
    """Test accuracy against steps, and how often each alignment was played; a row a problem."""
    from matplotlib import pyplot

    problems = document["results"]["problems"]
    figure, axes = pyplot.subplots(
        len(problems), 2, figsize=(8.8, 3.3 * len(problems)), squeeze=False
    )
    for row, problem in zip(axes, problems, strict=True):
        for place, method in enumerate(problem["methods"]):
            curves.plot(row[0], method, "accuracy", figures.STYLES[place], method["label"])
        curves.finish(row[0], "accuracy", problem["title"].replace(" · ", "\n"))
        row[0].legend(loc="lower right")
        _draw_arms(row[1], problem)
    return [figures.save(figure, stem)]


def _draw_arms(axis: Any, problem: dict[str, Any]) -> None:
    chosen = [(m["label"], _shares(m)) for m in problem["methods"] if "policy" in m["method"]]
    chosen = [(label, shares) for label, shares in chosen if shares.size]
    width = 0.8 / max(len(chosen), 1)
    for place, (label, shares) in enumerate(chosen):
        color = figures.STYLES[3 + place]["color"]
        where = np.arange(shares.shape[1]) + (place - (len(chosen) - 1) / 2) * width
        spread = shares.std(axis=0, ddof=1) if len(shares) > 1 else None
        axis.bar(where, 100 * shares.mean(axis=0), width * 0.9, label=label, color=color,
                 hatch="//" if place else "", edgecolor="white",
                 yerr=None if spread is None else 100 * spread)  # fmt: skip
    if chosen:
        arms = chosen[0][1].shape[1]
        axis.axhline(100 / arms, color="#5a5a5a", linewidth=0.8, linestyle=":", label="uniform")
        axis.set_xticks(range(arms), [str(arm + 1) for arm in range(arms)])
        axis.set_ylim(0, 1.45 * axis.get_ylim()[1])
        axis.legend(loc="upper center", ncols=3)
    axis.set(xlabel="alignment", ylabel="share of the steps (%)", title="alignments played")
    axis.title.set_fontsize(9)


def summary(document: dict[str, Any]) -> list[Table]:
    """Final accuracy beside the paper's, and the differences."""
    labels = document["settings"]["methods"]
    rows, changes = [], []
    used = set()
    for problem in document["results"]["problems"]:
        methods = _by_label(problem)
        rows.append((problem["title"], *(experiment.shown(methods[label]) for label in labels)))
        if problem["data"] in PAPER:
            used.add(problem["data"])
            rows.append(_quoted(problem["data"], labels))
        changes.append((
            problem["title"],
            *(experiment.verdict(experiment.difference(methods["fixed"], methods[label]))
              for label in labels if label != "fixed"),
        ))  # fmt: skip
    rows += [_quoted(data, labels) for data in PAPER if data not in used]
    others = tuple(label for label in labels if label != "fixed")
    return [
        Table("Test accuracy (%), mean ± standard deviation (seeds)",
              ("data and network", *labels), rows),
        Table("Minus the fixed alignment, in points, paired by seed, with a 95 % interval",
              ("data and network", *others), changes),
    ]  # fmt: skip


def _quoted(data: str, labels: list[str]) -> tuple[str, ...]:
    values = dict(zip(_PAPER_COLUMNS, PAPER[data], strict=True))
    shown = (f"{values[label]:.2f}" if label in values else "–" for label in labels)
    return (f"the paper's, {DATA_TITLES[data]}", *shown)


def markdown(document: dict[str, Any]) -> str:
    """The conditions of the runs, and what the numbers say."""
    problems = document["results"]["problems"]
    rates = "; ".join(f"{p['title']}: {p['methods'][0]['rate']:g}" for p in problems)
    sources = sorted({str(p.get("source")) for p in problems})
    return (
        "A residual network whose shortcuts are layers of their own: each can move at "
        "either of two stages, so three blocks have eight alignments. *Fixed*: every layer as "
        "soon as possible. *Random*: an alignment drawn at every step. *Adaptive*: EXP3++ with a "
        "memory of 200 choices, rewarded with the accuracy on 256 fixed validation images after "
        "the step. All but EKFAC itself are the cooperative structure in proximal form. "
        f"{experiment.steps_shown(document)} of batch {problems[0]['batch']} at EKFAC's rate "
        f"({rates}). "
        f"Here, {finding(document)[1]}. Data: {'; '.join(sources)}."
    )


def finding(document: dict[str, Any]) -> tuple[str, str]:
    """What should hold, and what was seen."""
    seen = []
    for problem in document["results"]["problems"]:
        methods = _by_label(problem)
        parts = [
            f"{label} {experiment.verdict(experiment.difference(methods['fixed'], methods[label]))}"
            for label in methods
            if label != "fixed"
        ]
        shares = _shares(methods["adaptive"]) if "adaptive" in methods else np.empty((0, 0))
        if shares.size:
            mean = shares.mean(axis=0)
            parts.append(
                f"the bandit played its favourite {100 * mean.max():.0f} % of the time, "
                f"uniform would be {100 / len(mean):.0f} %"
            )
        seen.append(f"{problem['title']}, from the fixed alignment: " + ", ".join(parts))
    return "an adaptive alignment does at least as well as a fixed or a random one", "; ".join(seen)


def holds(document: dict[str, Any]) -> str:
    """Whether the bandit's alignment gains on a fixed and on a random one, beyond the noise."""
    changes = []
    for problem in document["results"]["problems"]:
        methods = _by_label(problem)
        if "adaptive" in methods:
            changes += [experiment.difference(methods[other], methods["adaptive"])
                        for other in ("fixed", "random") if other in methods]  # fmt: skip
    return experiment.gains(changes)
