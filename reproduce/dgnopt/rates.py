"""The search for learning rates: the same small grid and budget for every method.

Every rate of a method's grid is tried with one seed of its own for a few hundred steps; the rate
with the best accuracy on the validation images, which nothing is ever trained on, is taken if two
further seeds do not diverge with it, or else the next best. Items read the rates from this item's
result in their own folder, or else from the committed one.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reproduce import figures, provenance, store
from reproduce.dgnopt import problems as problem_list
from reproduce.report import Table
from reproduce.training import cell as cell_of
from reproduce.training import cells

#: Rates tried, a grid a method.
GRIDS: dict[str, list[float]] = {
    "SGD": [0.1, 0.3, 1.0, 3.0],
    "RMSprop": [3e-4, 1e-3, 3e-3, 1e-2],
    "Adam": [3e-4, 1e-3, 3e-3, 1e-2],
    "K-FAC": [0.003, 0.01, 0.03, 0.1],
    "EKFAC": [0.003, 0.01, 0.03, 0.1],
    "EMSA": [0.1, 0.3, 1.0, 3.0],
    "DGNOpt": [0.01, 0.03, 0.1, 0.3],
}
#: What is trained under each name.
METHODS: dict[str, dict[str, Any]] = {
    "SGD": {"name": "SGD"},
    "RMSprop": {"name": "RMSprop"},
    "Adam": {"name": "Adam"},
    "EKFAC": {"name": "EKFAC"},
    "EMSA": {"name": "EMSA"},
    "DGNOpt": {"name": "EKFAC", "structure": "cooperative"},
}
#: Where no search was made.
DEFAULTS = {"SGD": 0.1, "RMSprop": 1e-3, "Adam": 1e-3, "K-FAC": 0.01, "EKFAC": 0.01, "EMSA": 1.0,
            "DGNOpt": 0.03}  # fmt: skip
#: Seed of the search: no item trains with it.
SEED = 1000
_ALL = list(METHODS)
_NEEDED = {
    "residual": _ALL,
    "inception": _ALL,
    "cooperative": ["EKFAC"],
    "feedforward": ["SGD", "EKFAC"],
    "aligned": ["EKFAC"],
}
PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {
        "steps": 4,
        "rates": 2,
        "confirmations": 1,
        "methods": {"residual": ["SGD", "EKFAC"]},
    },
    "quick": {"steps": 100, "rates": 4, "confirmations": 2, "methods": _NEEDED},
    "standard": {"steps": 200, "rates": 4, "confirmations": 2, "methods": _NEEDED},
    "paper": {"steps": 1000, "rates": 4, "confirmations": 2, "methods": _NEEDED},
}
NAME = "dgnopt-rates"
_COMMITTED = Path(__file__).resolve().parents[2] / "results"


def rate_for(context: Any, problem: dict[str, Any], given: dict[str, Any]) -> tuple[float, str]:
    """The learning rate of an entry on a problem, and where it comes from."""
    if "rate" in given:
        return given["rate"], "given"
    if "rate_times" in given:
        plain = {key: value for key, value in given.items() if key != "rate_times"}
        rate, origin = rate_for(context, problem, plain)
        return given["rate_times"] * rate, f"{given['rate_times']:g} × that of {origin}"
    name = given.get("rate_of", given["method"]["name"])
    title = problem_list.title(problem)
    for folder in (context.results, _COMMITTED / context.preset):
        path = folder / f"{NAME}.json"
        if not path.exists():
            continue
        for row in store.read(path)["results"]["rows"]:
            if row["problem"] == title and row["name"] == name and row["chosen"] is not None:
                return row["chosen"], f"{NAME}, preset {context.preset}"
    return DEFAULTS[name], "default"


def run(context: Any) -> dict[str, Any]:
    """Trains every method at every rate of its grid, and the best with two more seeds.

    Taken is the rate with the best accuracy on the validation images whose runs with further seeds
    do not diverge either; where one does, the next best is tried. Rows of an earlier result in the
    same folder with the same grid and budget are kept: remove the file to search anew.
    """
    settings = context.settings
    budget = {"steps": settings["steps"], "confirmations": settings["confirmations"],
              "seed": SEED + context.seed}  # fmt: skip
    before = _before(context)
    every: list[dict[str, Any]] = []
    for kind, names in settings["methods"].items():
        for problem in problem_list.problems(context.preset, kind, context.options.data_dir):
            for name in names:
                row = {
                    "kind": kind, "problem": problem_list.title(problem), "name": name,
                    "rates": GRIDS[name][-settings["rates"] :], "budget": budget,
                }  # fmt: skip
                kept = next((b for b in before if row.items() <= b.items()), None)
                every.append(kept or {
                    **row, "chosen": None, "rejected": [], "errors": [], "cpu_seconds": 0.0,
                    "revision": provenance.revision(), "where": problem,
                })  # fmt: skip
    rows = [row for row in every if "where" in row]
    tried = _tried(context, [(row, rate, 0) for row in rows for rate in row["rates"]])
    for row in rows:
        row["accuracy"] = [next(tried) for _ in row["rates"]]
    undecided = rows
    while undecided:
        for row in undecided:
            row["chosen"] = _best(row)
        undecided = [row for row in undecided if row["chosen"] is not None]
        more = range(1, settings["confirmations"] + 1)
        found = _tried(context, [(row, row["chosen"], k) for row in undecided for k in more])
        confirmed = [[next(found) for _ in more] for _ in undecided]
        for row, scores in zip(undecided, confirmed, strict=True):
            if None in scores:
                row["rejected"].append(row["chosen"])
        undecided = [
            row for row, scores in zip(undecided, confirmed, strict=True) if None in scores
        ]
    for row in rows:
        del row["where"]
    return {"rows": every}


def _before(context: Any) -> list[dict[str, Any]]:
    path = context.results / f"{NAME}.json"
    return store.read(path)["results"]["rows"] if path.exists() else []


def _best(row: dict[str, Any]) -> float | None:
    left = [
        (score, rate)
        for rate, score in zip(row["rates"], row["accuracy"], strict=True)
        if score is not None and rate not in row["rejected"]
    ]
    return max(left)[1] if left else None


def _tried(context: Any, wanted: list[tuple[dict[str, Any], float, int]]) -> Iterator[float | None]:
    """Validation accuracies of (row, rate, number of the seed); None where a run diverged."""
    steps = context.settings["steps"]
    made = [
        cell_of.make(**{**row["where"], "validation": 256, "curve_images": 1},
                     method=METHODS[row["name"]], rate=rate, score="validation", steps=steps,
                     seed=SEED + context.seed + number, evaluate_every=steps)
        for row, rate, number in wanted
    ]  # fmt: skip
    for (row, _, _), result in zip(wanted, cells.run(made, context, "searching"), strict=True):
        row["cpu_seconds"] += result.get("cpu_seconds", 0.0)
        if "error" in result:
            row["errors"].append(result["error"])
        yield None if "error" in result or result["diverged"] else result["accuracy"]


def draw(document: dict[str, Any], stem: Path) -> list[Path]:
    """Accuracy on the validation images against the rate, a panel a problem; hollow: diverged."""
    from matplotlib import pyplot

    rows = document["results"]["rows"]
    titles = list(dict.fromkeys(row["problem"] for row in rows))
    columns = min(3, len(titles))
    lines = math.ceil(len(titles) / columns)
    figure, axes = pyplot.subplots(
        lines,
        columns,
        figsize=(4.4 * columns, 3.3 * lines),
        squeeze=False,
        sharex=True,
        sharey=True,
    )
    names = list(METHODS)
    for axis, title in zip(axes.flat, titles, strict=False):
        for row in (row for row in rows if row["problem"] == title):
            tried = list(zip(row["rates"], row["accuracy"], strict=True))
            look = figures.STYLES[names.index(row["name"]) % len(figures.STYLES)]
            found = [pair for pair in tried if pair[1] is not None]
            if found:
                axis.plot(*zip(*found, strict=True), label=row["name"], **look)
            lost = [rate for rate, accuracy in tried if accuracy is None]
            axis.plot(
                lost,
                [0.03] * len(lost),
                transform=axis.get_xaxis_transform(),
                ls="none",
                marker=look["marker"],
                mfc="none",
                mec=look["color"],
            )
        axis.set(xscale="log", title=title.replace(" · ", "\n"), xlabel="learning rate")
        axis.title.set_fontsize(8.5)
    for axis in axes.flat[len(titles) :]:
        axis.set_visible(False)
    for axis in axes[:, 0]:
        axis.set_ylabel("validation accuracy (%)")
    entries: dict[str, Any] = {}
    for axis in axes.flat:
        for handle, text in zip(*axis.get_legend_handles_labels(), strict=True):
            entries.setdefault(text, handle)
    figure.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=6)
    return [figures.save(figure, stem)]


def summary(document: dict[str, Any]) -> list[Table]:
    """The grid, the accuracies and the rate taken."""
    rows = [
        (
            row["problem"],
            row["name"],
            ", ".join(f"{rate:g}" for rate in row["rates"]),
            ", ".join("diverged" if a is None else f"{a:.1f}" for a in row["accuracy"]),
            ", ".join(f"{rate:g}" for rate in row["rejected"]) or "–",
            "none" if row["chosen"] is None else f"{row['chosen']:g}",
        )
        for row in document["results"]["rows"]
    ]
    steps = document["settings"]["steps"]
    columns = (
        "problem",
        "method",
        "rates tried",
        "validation accuracy (%)",
        "diverged later",
        "taken",
    )
    return [Table(f"Learning rates after {steps} steps", columns, rows)]


def markdown(document: dict[str, Any]) -> str:
    """How the rates are found."""
    return (
        f"Every method gets the same search: four rates, {document['settings']['steps']} steps, "
        f"seed {SEED + document['provenance']['seed']}, the accuracy on 256 validation images "
        "that no run trains on; hollow marks in the figure diverged. The other items take their "
        "rates from here. A best rate at the end of a grid is a sign that the grid should be "
        "longer. The rate taken is tried with "
        f"{document['settings']['confirmations']} more seeds; one that diverges there gives way "
        "to the next best. DGNOpt is EKFAC in the cooperative structure and proximal form; with a "
        "structure beside it, any other method keeps its baseline's rate." + _at_an_end(document)
    )


def _at_an_end(document: dict[str, Any]) -> str:
    ends = [
        f"{row['name']} on {row['problem']} ({row['chosen']:g})"
        for row in document["results"]["rows"]
        if row["chosen"] in (row["rates"][0], row["rates"][-1])
    ]
    return f" Taken at an end of the grid: {'; '.join(ends)}." if ends else ""
