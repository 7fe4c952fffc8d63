"""The search for learning rates: the same small grid, rule and budget for every method.

Every rate of a method's grid is tried with one seed of its own for a few hundred steps. While the
best one is at an end of the grid, the grid goes on past that end, and below it where every rate
diverged, by two rates per side at most. The best two are tried with two further seeds; one that
diverges there gives way to the next best. The rate is taken whose further seeds have the better
mean accuracy on the validation images, which nothing is ever trained on. Items read the rates from
this item's result in their own folder, or else from the committed one.
"""

import math
from dataclasses import dataclass, field
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
    wanted = problem_list.title(problem), name
    for folder in (context.results, _COMMITTED / context.preset):
        path = folder / f"{NAME}.json"
        for row in store.read(path)["results"]["rows"] if path.exists() else []:
            if (row["problem"], row["name"]) == wanted and row["chosen"] is not None:
                return row["chosen"], f"{NAME}, preset {context.preset}"
    return SEARCHED[name]["otherwise"], "default"


@dataclass
class Search:
    """The search for one method's rate on one problem of a kind: the rates tried at first, the
    `scores`, (rate, number of the seed) → validation accuracy, None where the run diverged, and
    errors, CPU-seconds and revisions of the runs."""

    kind: str
    problem: dict[str, Any]
    name: str
    grid: list[float]
    scores: dict[tuple[float, int], float | None] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    cpu_seconds: float = 0.0
    revisions: dict[str, None] = field(default_factory=dict)

    @property
    def rates(self) -> list[float]:
        """Those tried, ascending."""
        return sorted({rate for rate, _ in self.scores})

    def further(self, rate: float) -> list[float | None]:
        """The accuracies of a rate with further seeds."""
        return [score for (own, number), score in self.scores.items() if own == rate and number]

    def rejected(self) -> list[float]:
        """Rates that diverged with a further seed."""
        lost = (rate for (rate, number), score in self.scores.items() if number and score is None)
        return list(dict.fromkeys(lost))

    def best(self) -> list[float]:
        """The two best rates by their first seed, the best first, of those that never diverged."""
        left = [(score, rate) for (rate, number), score in self.scores.items()
                if not number and score is not None and rate not in self.rejected()]  # fmt: skip
        return [rate for _, rate in sorted(left, reverse=True)[:2]]

    def wanted(self, settings: dict[str, Any]) -> list[tuple[float, int]]:
        """Pairs of a rate and the number of a seed to try next; none at the end. The next rate past
        the end of the grid where the best one is, or below it where every rate diverged, by
        `beyond` per side at most; then further seeds of the best two."""
        if not self.scores:
            return [(rate, 0) for rate in self.grid]
        rates, most, best = self.rates, settings["beyond"], (self.best() or self.rates)[0]
        if best == rates[-1] and sum(rate > self.grid[-1] for rate in rates) < most:
            return [(neighbour(best, 1), 0)]
        if best == rates[0] and sum(rate < self.grid[0] for rate in rates) < most:
            return [(neighbour(best, -1), 0)]
        seeds = range(1, settings["confirmations"] + 1)
        return [(rate, number) for rate in self.best() if not self.further(rate)
                for number in seeds]  # fmt: skip

    def row(self, budget: dict[str, Any]) -> dict[str, Any]:
        """The record; `chosen` is, of `best`, the one with the best mean over its further seeds,
        the first without any."""
        means = {rate: np.array(self.further(rate) or [0.0], float).mean() for rate in self.best()}
        return {
            "kind": self.kind, "problem": problem_list.title(self.problem), "name": self.name,
            "budget": budget, "grid": self.grid, "rates": self.rates,
            "accuracy": [self.scores[rate, 0] for rate in self.rates],
            "further": [self.further(rate) for rate in self.rates], "rejected": self.rejected(),
            "errors": self.errors, "chosen": max(means, key=lambda rate: means[rate], default=None),
            "cpu_seconds": self.cpu_seconds, "revision": ", ".join(self.revisions),
        }  # fmt: skip


def neighbour(rate: float, way: int) -> float:
    """The next of 1 and 3 times powers of ten, up (1) or down (-1)."""
    place = round(2 * math.log10(rate)) + way
    return float(f"{(3 if place % 2 else 1)}e{place // 2}")


def run(context: Any) -> dict[str, Any]:
    """Trains every method at every rate of its grid, and the best two with more seeds."""
    settings, seed = context.settings, SEED + context.seed
    budget = {"steps": settings["steps"], "confirmations": settings["confirmations"], "seed": seed}
    searches = [
        Search(kind, problem, name, SEARCHED[name]["grid"][-settings["rates"] :])
        for kind, problem in context.problems(list(settings["methods"]))
        for name in settings["methods"][kind]
    ]
    while wanted := [(each, *run) for each in searches for run in each.wanted(settings)]:
        made = [
            cell_of.make(**{**search.problem, "curve_images": 1}, score="validation", rate=rate,
                         method=SEARCHED[search.name]["method"], seed=seed + number,
                         steps=settings["steps"], evaluate_every=settings["steps"])
            for search, rate, number in wanted
        ]  # fmt: skip
        results = cells.run(made, context, "searching")
        for (search, rate, number), result in zip(wanted, results, strict=True):
            here = result["made"]["revision"] if "made" in result else provenance.revision()
            search.revisions[here] = None
            search.errors += [result["error"]] if "error" in result else []
            search.cpu_seconds += result.get("cpu_seconds", 0.0)
            lost = "error" in result or result["diverged"]
            search.scores[rate, number] = None if lost else result["accuracy"]
    return {"rows": [each.row(budget) for each in searches]}


def summary(document: dict[str, Any]) -> list[Table]:
    """The rates tried, their accuracies, those with further seeds, and the rate taken."""

    def further(row):
        seeds = zip(row["rates"], row.get("further") or [[]] * len(row["rates"]), strict=True)
        means = {rate: np.mean([np.nan if a is None else a for a in own])
                 for rate, own in seeds if own}  # fmt: skip
        return ", ".join(_shown(*pair) for pair in means.items())

    title = f"Learning rates after {document['settings']['steps']} steps"
    return [Table.of(title, document["results"]["rows"], {
        "problem": lambda row: row["problem"],
        "method": lambda row: row["name"],
        "rate: validation accuracy (%)": lambda row: ", ".join(
            map(_shown, row["rates"], row["accuracy"])),
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
    further = f"with {settings['confirmations']} more seeds"
    rule = f"The best one is tried {further} and gives way to the next best if it diverges."
    if any(row.get("further") for row in rows):
        rule = (f"The best two are tried {further}, one that diverges there gives way to the next "
                "best, and that with the better mean over these seeds is taken.")  # fmt: skip
    revisions = {one for row in rows for one in row["revision"].split(", ")}
    return {
        "seed": SEED + document["provenance"]["seed"],
        "rule": rule,
        "ends": f"Still at an end: {'; '.join(ends)}." if ends else "No rate taken is at an end.",
        "revisions": ", ".join(sorted(revisions)),
    }
