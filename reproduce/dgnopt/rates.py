"""The search for learning rates: the same small grid, rule and budget for every method.

Every rate of a method's grid is tried with one seed of its own for a few hundred steps. While the
best one is at an end of the grid, the grid goes on past that end, and below it where every rate
diverged, by two rates per side at most. The best two are tried with two further seeds; one that
diverges there gives way to the next best. The rate is taken whose further seeds have the better
mean accuracy on the validation images, which nothing is ever trained on. Items read the rates from
this item's result in their own folder, or else from the committed one.
"""

import bisect
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from reproduce import provenance, store
from reproduce.catalogue import find
from reproduce.dgnopt import problems as problem_list
from reproduce.report import Table
from reproduce.training import cell as cell_of
from reproduce.training import cells

#: Name → `method`, what is trained; `grid`, the rates tried at first, 1 and 3 times powers of ten;
#: and `otherwise`, the rate where no search was made.
SEARCHED: dict[str, dict[str, Any]] = find("dgnopt-rates").table["searched"]
#: Seed of the search: no item trains with it.
SEED = 1000
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
        if (found := _taken(folder, title, name)) is not None:
            return found, f"{NAME}, preset {context.preset}"
    return SEARCHED[name]["otherwise"], "default"


def _taken(folder: Path, title: str, name: str) -> float | None:
    """The rate that the search whose result is in a folder took."""
    path = folder / f"{NAME}.json"
    rows = store.read(path)["results"]["rows"] if path.exists() else []
    found = (row["chosen"] for row in rows if (row["problem"], row["name"]) == (title, name))
    return next(found, None)


def run(context: Any) -> dict[str, Any]:
    """Trains every method at every rate of its grid, and the best two with more seeds."""
    settings = context.settings
    rows = _rows(context)
    while wanted := [(row, *run) for row in rows for run in _missing(row, settings)]:
        for row, rate, number, score in _tried(context, wanted):
            if rate not in row["rates"]:
                place = bisect.bisect(row["rates"], rate)
                for key, value in (("rates", rate), ("accuracy", score), ("further", [])):
                    row[key].insert(place, value)
            elif number:
                row["further"][row["rates"].index(rate)].append(score)
                if score is None and rate not in row["rejected"]:
                    row["rejected"].append(rate)
            else:
                row["accuracy"][row["rates"].index(rate)] = score
    for row in rows:
        row["chosen"] = _chosen(row)
    return {"rows": [{k: v for k, v in row.items() if k not in ("where", "tried")} for row in rows]}


def _rows(context: Any) -> list[dict[str, Any]]:
    """An empty row per method and problem.

    Entries: `grid`, the rates at first; `rates`, those tried, ascending; `accuracy` of each, None
    where it diverged; `further`, the accuracies of each with further seeds; `rejected`, rates that
    diverged with one of those; `chosen`, the rate taken; `revision` of the sources that made the
    runs; `where`, the problem; `tried`, whether the first grid was.
    """
    settings = context.settings
    budget = {"steps": settings["steps"], "confirmations": settings["confirmations"],
              "seed": SEED + context.seed}  # fmt: skip
    rows = []
    for kind, problem in context.problems(list(settings["methods"])):
        for name in settings["methods"][kind]:
            grid = SEARCHED[name]["grid"][-settings["rates"] :]
            rows.append({
                "kind": kind, "problem": problem_list.title(problem), "name": name,
                "budget": budget, "grid": grid, "rates": list(grid), "accuracy": [None] * len(grid),
                "further": [[] for _ in grid], "rejected": [], "errors": [], "chosen": None,
                "cpu_seconds": 0.0, "revision": "", "where": problem, "tried": False,
            })  # fmt: skip
    return rows


def _missing(row: dict[str, Any], settings: dict[str, Any]) -> list[tuple[float, int]]:
    """Pairs of a rate and the number of a seed that the search wants next; none at its end."""
    if not row["tried"]:
        row["tried"] = True
        return [(rate, 0) for rate in row["rates"]]
    if (rate := beyond(row, settings["beyond"])) is not None:
        return [(rate, 0)]
    return [
        (rate, number)
        for rate in _best(row)
        for number in range(1, settings["confirmations"] + 1)
        if not row["further"][row["rates"].index(rate)]
    ]


def beyond(row: dict[str, Any], most: int) -> float | None:
    """The next rate past the end of the grid where the best one is, or None. Below the grid where
    every rate diverged.

    Args:
        row: with `grid`, `rates`, `accuracy`, `rejected`.
        most: how many rates may be added a side.
    """
    best = _best(row)[0] if _best(row) else row["rates"][0]
    above = sum(rate > row["grid"][-1] for rate in row["rates"])
    below = sum(rate < row["grid"][0] for rate in row["rates"])
    if best == row["rates"][-1] and above < most:
        return neighbour(best, 1)
    if best == row["rates"][0] and below < most:
        return neighbour(best, -1)
    return None


def neighbour(rate: float, way: int) -> float:
    """The next of 1 and 3 times powers of ten, up (1) or down (-1)."""
    place = round(2 * math.log10(rate)) + way
    return float(f"{(3 if place % 2 else 1)}e{place // 2}")


def _best(row: dict[str, Any]) -> list[float]:
    """The two best rates by their first seed, the best first, of those that never diverged."""
    left = [
        (score, rate)
        for rate, score in zip(row["rates"], row["accuracy"], strict=True)
        if score is not None and rate not in row["rejected"]
    ]
    return [rate for _, rate in sorted(left, reverse=True)[:2]]


def _chosen(row: dict[str, Any]) -> float | None:
    """Of `_best` the one with the best mean over its further seeds; the first without any."""
    further = {rate: row["further"][row["rates"].index(rate)] for rate in _best(row)}
    return max(further, key=lambda rate: np.mean(further[rate] or [0.0]), default=None)


def _tried(
    context: Any, wanted: list[tuple[dict[str, Any], float, int]]
) -> Iterator[tuple[dict[str, Any], float, int, float | None]]:
    """Trains (row, rate, number of the seed) and gives them with the validation accuracy, None
    where the run diverged."""
    steps = context.settings["steps"]
    made = [
        cell_of.make(**{**row["where"], "curve_images": 1},
                     method=SEARCHED[row["name"]]["method"], rate=rate, score="validation",
                     steps=steps, seed=SEED + context.seed + number, evaluate_every=steps)
        for row, rate, number in wanted
    ]  # fmt: skip
    results = cells.run(made, context, "searching") if made else []
    for (row, rate, number), result in zip(wanted, results, strict=True):
        here = result["made"]["revision"] if "made" in result else provenance.revision()
        if here not in row["revision"]:
            row["revision"] = ", ".join(filter(None, (row["revision"], here)))
        row["cpu_seconds"] += result.get("cpu_seconds", 0.0)
        if "error" in result:
            row["errors"].append(result["error"])
        lost = "error" in result or result["diverged"]
        yield row, rate, number, None if lost else result["accuracy"]


def summary(document: dict[str, Any]) -> list[Table]:
    """The rates tried, their accuracies, those with further seeds, and the rate taken."""

    def tried(row):
        return ", ".join(map(_shown, row["rates"], row["accuracy"]))

    def further(row):
        seeds = row.get("further") or [[]] * len(row["rates"])
        means = {rate: np.mean([np.nan if a is None else a for a in own])
                 for rate, own in zip(row["rates"], seeds, strict=True) if own}  # fmt: skip
        return ", ".join(_shown(*pair) for pair in means.items())

    title = f"Learning rates after {document['settings']['steps']} steps"
    return [Table.of(title, document["results"]["rows"], {
        "problem": lambda row: row["problem"],
        "method": lambda row: row["name"],
        "rate: validation accuracy (%)": tried,
        "mean over further seeds": further,
        "taken": lambda row: "none" if row["chosen"] is None else f"{row['chosen']:g}",
    })]  # fmt: skip


def _shown(rate: float, accuracy: float | None) -> str:
    lost = accuracy is None or np.isnan(accuracy)
    return f"{rate:g}: {'diverged' if lost else f'{accuracy:.1f}'}"


def facts(document: dict[str, Any]) -> dict[str, Any]:
    """Of the text: the seed, the rule of the confirmation, rates at an end, revisions."""
    settings, rows = document["settings"], document["results"]["rows"]
    ends = [f"{row['name']} on {row['problem']} ({row['chosen']:g})" for row in rows
            if row["chosen"] in (row["rates"][0], row["rates"][-1])]  # fmt: skip
    rule = (f"The best one is tried with {settings['confirmations']} more seeds and gives way to "
            "the next best if it diverges.")  # fmt: skip
    if any(row.get("further") for row in rows):
        rule = (f"The best two are tried with {settings['confirmations']} more seeds, one that "
                "diverges there gives way to the next best, and that with the better mean over "
                "these seeds is taken.")  # fmt: skip
    return {
        "seed": SEED + document["provenance"]["seed"],
        "rule": rule,
        "ends": f"Still at an end: {'; '.join(ends)}." if ends else "No rate taken is at an end.",
        "revisions": ", ".join(
            sorted({one for row in rows for one in row["revision"].split(", ")})
        ),
    }
