"""The search for learning rates: the same small grid and budget for every method.

Every rate of a method's grid is tried with one seed of its own for a few hundred steps; the rate
with the best accuracy on the validation images, which nothing is ever trained on, is taken. Items
read the rates from this item's result in their own folder, or else from the committed one.
"""

import math
from pathlib import Path
from typing import Any

from reproduce import figures, store
from reproduce.dgnopt import problems as problem_list
from reproduce.report import Table
from reproduce.training import cell as cell_of
from reproduce.training import cells

#: Rates tried, a grid a method.
GRIDS: dict[str, list[float]] = {
    "SGD": [0.03, 0.1, 0.3, 1.0],
    "RMSprop": [3e-4, 1e-3, 3e-3, 1e-2],
    "Adam": [3e-4, 1e-3, 3e-3, 1e-2],
    "K-FAC": [0.003, 0.01, 0.03, 0.1],
    "EKFAC": [0.003, 0.01, 0.03, 0.1],
    "EMSA": [0.03, 0.1, 0.3, 1.0],
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
DEFAULTS = {"SGD": 0.1, "RMSprop": 1e-3, "Adam": 1e-3, "K-FAC": 0.01, "EKFAC": 0.01, "EMSA": 0.3,
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
    "smoke": {"steps": 4, "rates": 2, "methods": {"residual": ["SGD", "EKFAC"]}},
    "quick": {"steps": 100, "rates": 4, "methods": _NEEDED},
    "standard": {"steps": 200, "rates": 4, "methods": _NEEDED},
    "paper": {"steps": 1000, "rates": 4, "methods": _NEEDED},
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
    """Trains every method at every rate of its grid and takes the best on the validation images."""
    plan = []
    for kind, names in context.settings["methods"].items():
        for problem in problem_list.problems(context.preset, kind, context.options.data_dir):
            for name in names:
                grid = GRIDS[name][-context.settings["rates"] :]
                made = [
                    cell_of.make(**problem, method=METHODS[name], rate=rate, score="validation",
                                 steps=context.settings["steps"], seed=SEED + context.seed,
                                 evaluate_every=context.settings["steps"])
                    for rate in grid
                ]  # fmt: skip
                for cell in made:
                    cell["validation"], cell["curve_images"] = 256, 1
                plan.append((kind, problem, name, grid, made))
    flat = [cell for *_, made in plan for cell in made]
    results = iter(cells.run(flat, context, "searching"))
    rows = []
    for kind, problem, name, grid, made in plan:
        tried = [next(results) for _ in made]
        scores = [None if "error" in one or one["diverged"] else one["accuracy"] for one in tried]
        known = [score for score in scores if score is not None]
        chosen = grid[scores.index(max(known))] if known else None
        rows.append({
            "kind": kind, "problem": problem_list.title(problem), "name": name, "rates": grid,
            "accuracy": scores, "chosen": chosen,
            "errors": [one["error"] for one in tried if "error" in one],
            "cpu_seconds": sum(one.get("cpu_seconds", 0.0) for one in tried),
        })  # fmt: skip
    return {"rows": rows}


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
            "none" if row["chosen"] is None else f"{row['chosen']:g}",
        )
        for row in document["results"]["rows"]
    ]
    steps = document["settings"]["steps"]
    columns = ("problem", "method", "rates tried", "validation accuracy (%)", "taken")
    return [Table(f"Learning rates after {steps} steps, one seed", columns, rows)]


def markdown(document: dict[str, Any]) -> str:
    """How the rates are found."""
    return (
        f"Every method gets the same search: four rates, {document['settings']['steps']} steps, "
        f"seed {SEED + document['provenance']['seed']}, the accuracy on 256 validation images "
        "that no run trains on; hollow marks in the figure diverged. The other items take their "
        "rates from here. A best rate at the end of a grid is a sign that the grid should be "
        "longer. DGNOpt is EKFAC in the cooperative structure and proximal form; with a structure "
        "beside it, any other method keeps its baseline's rate." + _at_an_end(document)
    )


def _at_an_end(document: dict[str, Any]) -> str:
    ends = [
        f"{row['name']} on {row['problem']} ({row['chosen']:g})"
        for row in document["results"]["rows"]
        if row["chosen"] in (row["rates"][0], row["rates"][-1])
    ]
    return f" Taken at an end of the grid: {'; '.join(ends)}." if ends else ""
