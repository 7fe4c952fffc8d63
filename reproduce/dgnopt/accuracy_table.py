"""What tables 2 and 3 share: six methods, an accuracy each, the paper's row beside ours."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reproduce import figures, verdicts
from reproduce.dgnopt import experiment
from reproduce.dgnopt.problems import DATA_TITLES
from reproduce.report import Table
from reproduce.training.methods import PRINTED

#: The paper's columns, and what it has none of: its own update as printed, and Muon.
PAPER_COLUMNS = ("SGD", "RMSprop", "Adam", "EKFAC", "EMSA", "DGNOpt")
COLUMNS = (*PAPER_COLUMNS, "as printed", "Muon")


def entries(emsa_seeds: int) -> list[dict[str, Any]]:
    """The methods: Keras's own three, EKFAC in open loop, EMSA, DGNOpt, DGNOpt as printed, Muon."""
    entry = experiment.entry
    return [
        entry("SGD", {"name": "SGD"}),
        entry("RMSprop", {"name": "RMSprop"}),
        entry("Adam", {"name": "Adam"}),
        entry("EKFAC", {"name": "EKFAC"}),
        entry("EMSA", {"name": "EMSA"}, seeds=emsa_seeds),
        entry("DGNOpt", {"name": "EKFAC", "structure": "cooperative"}, rate_of="DGNOpt"),
        entry("as printed", PRINTED, rate_of="as printed"),
        entry("Muon", {"name": "Muon"}),
    ]


def draw(document: dict[str, Any], stem: Path) -> list[Path]:
    """Accuracy by method, a panel a problem: mean, standard deviation, and every seed."""
    from matplotlib import pyplot

    problems = document["results"]["problems"]
    figure, axes = pyplot.subplots(
        1, len(problems), figsize=(4.6 * len(problems), 3.4), squeeze=False
    )
    for axis, problem in zip(axes[0], problems, strict=True):
        for place, method in enumerate(problem["methods"]):
            values = experiment.accuracies(method)
            good = values[np.isfinite(values)]
            look = {k: v for k, v in figures.STYLES[place].items() if k != "linestyle"}
            if len(good):
                spread = np.std(good, ddof=1) if len(good) > 1 else None
                axis.errorbar(place, np.mean(good), spread, capsize=4, **look)
                axis.plot(np.full(len(good), place + 0.18), good, ".", color="#9a9a9a", ms=4)
            else:
                axis.text(place, 0.5, "diverged", rotation=90, ha="center", va="center",
                          transform=axis.get_xaxis_transform())  # fmt: skip
        labels = [method["label"] for method in problem["methods"]]
        axis.set_xticks(range(len(labels)), labels, rotation=30)
        axis.set_xlim(-0.6, len(labels) - 0.4)
        axis.set(ylabel="test accuracy (%)", title=problem["title"].replace(" · ", "\n"))
        axis.title.set_fontsize(9)
    return [figures.save(figure, stem)]


def summary(
    document: dict[str, Any], caption: str, paper: Mapping[str, Sequence[float]]
) -> list[Table]:
    """Ours by problem and method; the paper's values by data set."""
    rows = []
    for problem in document["results"]["problems"]:
        shown = {method["label"]: experiment.shown(method) for method in problem["methods"]}
        rows.append((problem["title"], *(shown.get(name, "–") for name in COLUMNS)))
        if problem["data"] in paper:
            quoted = paper[problem["data"]]
            title = f"the paper's, {DATA_TITLES[problem['data']]}"
            rows.append((title, *_quoted(quoted)))
    ours = Table(f"{caption}: test accuracy (%), mean ± standard deviation (seeds)",
                 ("data and network", *COLUMNS), rows)  # fmt: skip
    used = {problem["data"] for problem in document["results"]["problems"]}
    others = [
        (DATA_TITLES[name], *_quoted(values)) for name, values in paper.items() if name not in used
    ]
    tables = [ours]
    if others:
        title = "The paper's values, on data sets and networks that this run did not use"
        tables.append(Table(title, ("data", *COLUMNS), others))
    return [*tables, _differences(document)]


def _quoted(values: Sequence[float]) -> list[str]:
    """The paper's row, with dashes for the methods that it does not have."""
    return [f"{value:.2f}" for value in values] + ["–"] * (len(COLUMNS) - len(values))


def _best_other(problem: dict[str, Any]) -> tuple[dict[str, dict[str, Any]], str | None]:
    """Methods by label, and which baseline has the best mean; None without runs to compare."""
    methods = {method["label"]: method for method in problem["methods"]}
    means = {
        name: float(np.nanmean(values))
        for name, method in methods.items()
        if np.isfinite(values := experiment.accuracies(method)).any()
    }
    own = means.pop("DGNOpt", None)
    means = {name: mean for name, mean in means.items() if name in PAPER_COLUMNS}
    best = None if own is None or not means else max(means, key=lambda name: means[name])
    return methods, best


def holds(document: dict[str, Any]) -> str:
    """Whether DGNOpt is nowhere below the best baseline beyond the noise, nor loses more runs."""
    flags = []
    for problem in document["results"]["problems"]:
        methods, best = _best_other(problem)
        if best is not None:
            changed = experiment.difference(methods[best], methods["DGNOpt"])
            below = experiment.stands_out(changed) and changed["change"] < 0
            flags += [not below, changed["lost"][1] <= changed["lost"][0]]
    return verdicts.all_of(flags)


def finding(document: dict[str, Any]) -> tuple[str, str]:
    """What the paper's table says, and how DGNOpt stands against the best of the others."""
    seen = []
    for problem in document["results"]["problems"]:
        methods, best = _best_other(problem)
        if best is None:
            seen.append(f"{problem['title']}: no finished run to compare")
            continue
        change = experiment.difference(methods[best], methods["DGNOpt"])
        seen.append(
            f"{problem['title']}: {experiment.shown(methods['DGNOpt'])} %, best other {best} "
            f"{experiment.shown(methods[best])} %: {experiment.verdict(change)}"
        )
    return "DGNOpt's accuracy is at or near the best of the baselines", "; ".join(seen)


def _differences(document: dict[str, Any]) -> Table:
    rows = []
    others = [name for name in COLUMNS if name != "DGNOpt"]
    for problem in document["results"]["problems"]:
        methods = {method["label"]: method for method in problem["methods"]}
        rows.append((
            problem["title"],
            *(experiment.verdict(experiment.difference(methods[name], methods["DGNOpt"]))
              if name in methods else "–" for name in others),
        ))  # fmt: skip
    title = "DGNOpt minus each method, in points, paired by seed, with a 95 % interval"
    return Table(title, ("data and network", *others), rows)


def markdown(document: dict[str, Any]) -> str:
    """The conditions of the runs."""
    problem = document["results"]["problems"][0]
    sources = sorted({str(p.get("source")) for p in document["results"]["problems"]})
    taken = "; ".join(
        f"{p['title']}: " + ", ".join(f"{m['label']} {m['rate']:g}" for m in p["methods"])
        for p in document["results"]["problems"]
    )
    return (
        f"{experiment.steps_shown(document)} of batch {problem['batch']}, ReLU, the learning "
        f"rate divided by ten at {_percent(problem['decay'])} of the steps; SGD, "
        "RMSprop and Adam are Keras's own, EKFAC is ours in open loop, EMSA maximises "
        "the augmented Hamiltonian by L-BFGS, "
        "DGNOpt is EKFAC in the cooperative structure, proximal form; *as printed* is the paper's "
        "own update: explicit form (13), terminal curvature of Gauss and Newton (Section 4.2); "
        "Muon is Keras's, with its Adam on the output layer and whatever is no matrix. Where every "
        "stage has one player, as in a residual network with identity skips, the cooperative and "
        f"the feedback structure are the same. Learning rates: {taken}. Data: {'; '.join(sources)}."
        + experiment.revisions_shown(document)
    )


def _percent(fractions: list[float]) -> str:
    return " and ".join(f"{100 * fraction:g} %" for fraction in fractions) or "no part"
