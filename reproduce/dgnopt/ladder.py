"""Methods along a ladder of learning rates: how well each trains, and where it breaks."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from reproduce import figures
from reproduce.dgnopt import experiment
from reproduce.dgnopt.seeds import accuracies, spread
from reproduce.report import Table
from reproduce.training import cells

#: Percent of the test images; a run that ends below it has learned nothing worth the name.
LEARNED = 50.0
FATES = ("learned", "stuck", "diverged", "failed")


def fate(run: dict[str, Any]) -> str:
    """What became of a run: "learned", "stuck" (finished, below half the images), "diverged"
    or "failed" (with an error)."""
    if "error" in run:
        return "failed"
    if run["diverged"]:
        return "diverged"
    return "learned" if run["accuracy"] >= LEARNED else "stuck"


@dataclass(frozen=True)
class Rung:
    """All methods, by label, of one problem at the optimizer `curvature` and one learning rate."""

    curvature: str
    rate: float
    methods: dict[str, dict[str, Any]]

    @property
    def title(self) -> str:
        return f"{self.curvature} {self.rate:g}"


def rungs(problem: dict[str, Any]) -> list[Rung]:
    """The rungs of a problem, in order."""
    found: dict[tuple[str, float], Rung] = {}
    for method in problem["methods"]:
        key = method["method"]["name"], method["rate"]
        found.setdefault(key, Rung(*key, {})).methods[method["label"]] = method
    return list(found.values())


def learned(method: dict[str, Any]) -> np.ndarray:
    """The accuracy of every run that learned, NaN of the others."""
    runs = [one if fate(one) == "learned" else {**one, "diverged": True} for one in method["runs"]]
    return accuracies({**method, "runs": runs})


def breaks(problem: dict[str, Any]) -> dict[tuple[str, str], float]:
    """Optimizer and label → the largest rate up to which every run of it learned; 0 for none."""
    largest: dict[tuple[str, str], float] = {}
    broken = set()
    for rung in sorted(rungs(problem), key=lambda rung: rung.rate):
        for label, method in rung.methods.items():
            key = rung.curvature, label
            largest.setdefault(key, 0.0)
            if not np.isfinite(learned(method)).all():
                broken.add(key)
            elif key not in broken:
                largest[key] = rung.rate
    return largest


@dataclass(frozen=True)
class Ladder:
    """Methods along learning rates, as `items.toml` has them: it has what an item's module has.

    `methods` are rows as `experiment.rows_for` takes them, `method` without its name, which is the
    rates' optimizer; `pairs`, (reference, method) labels whose difference says something."""

    methods: list[dict[str, Any]]
    pairs: list[list[str]]

    def run(self, context: Any) -> dict[str, Any]:
        """Trains every method at every rate of every optimizer, the step guard off."""
        settings = context.settings

        def rows(kind: str) -> Iterator[dict[str, Any]]:
            for name, rates in settings["rates"].items():
                for rate, row in product(rates, experiment.rows_for(self.methods, settings, kind)):
                    method = {"name": name, **row["method"]}
                    method |= {"guard": False} if cells.is_game(method) else {}
                    yield {"label": row["label"], "method": method, "rate": rate}

        return experiment.experiment(context, settings["kinds"], rows)

    def summary(self, document: dict[str, Any]) -> list[Table]:
        """Accuracy at every rate, where each method breaks, and paired differences."""
        problems = document["results"]["problems"]
        changes = [
            (f"{problem['data']}, {rung.title}", f"{second} minus {first}",
             experiment.difference(rung.methods[first], rung.methods[second], learned))
            for problem in problems for rung in rungs(problem)
            for first, second in self.pairs if {first, second} <= rung.methods.keys()
        ]  # fmt: skip
        title = ("Paired differences of the seeds that learned with both, percentage points, "
                 "95 % interval")  # fmt: skip
        pairs = [(where, what, str(change.pairs), change.verdict())
                 for where, what, change in changes if change.pairs]  # fmt: skip
        paired = Table(title, ("setting", "difference", "seeds", "change"), pairs)
        return [*map(_accuracies, problems), paired]

    def facts(self, document: dict[str, Any]) -> dict[str, Any]:
        """Of a text: the conditions, and what each change does."""
        problems = document["results"]["problems"]
        labels = [method["label"] for problem in problems for method in problem["methods"]]
        one = (" Every stage of these networks has one player, so the feedback (FNE) and the "
               "cooperative (GR) structure are the same step and are trained once.")  # fmt: skip
        return {
            "steps": experiment.steps_shown(problems),
            "batch": problems[0]["batch"],
            "changed": experiment.revisions_shown(document),
            "learned": LEARNED,
            "same": one if any(label.startswith("FNE = GR") for label in labels) else "",
            "best": "; ".join(map(_best, problems)),
            "effects": self._effects(problems),
        }

    def _effects(self, problems: list[dict[str, Any]]) -> str:
        """What each change does to the largest usable rate, the largest effect first."""
        found: dict[str, list[tuple[float, str]]] = {"raised": [], "not changed": [], "lowered": []}
        for ends in map(breaks, problems):
            for name in dict.fromkeys(name for name, _ in ends):
                for first, second in self.pairs:
                    if not {(name, first), (name, second)} <= ends.keys():
                        continue
                    before, after = ends[name, first], ends[name, second]
                    word = "lowered" if after < before else "not changed"
                    size = abs(math.log((after or 1e-9) / (before or 1e-9)))
                    shown = f"{first} → {second} ({_rate(before)} → {_rate(after)})"
                    found["raised" if after > before else word].append((-size, shown))
        return "; ".join(
            f"{word} by {', '.join(text for _, text in sorted(effects, key=lambda pair: pair[0]))}"
            for word, effects in found.items() if effects
        )  # fmt: skip

    def draw(self, document: dict[str, Any]) -> Any:
        """Methods by learning rates, a panel per problem: mean accuracy of the runs that learned,
        the darker the better, and how many did not; a field where none did is empty."""
        problems = document["results"]["problems"]
        ladders = [sorted(rungs(problem), key=lambda rung: (rung.curvature, rung.rate))
                   for problem in problems]  # fmt: skip
        labels = [list(dict.fromkeys(label for rung in ladder for label in rung.methods))
                  for ladder in ladders]  # fmt: skip
        widths = [2.6 + 0.95 * len(ladder) for ladder in ladders]
        figure, axes = figures.subplots(
            1, len(problems), figsize=(sum(widths), 1.5 + 0.36 * max(map(len, labels))),
            squeeze=False, width_ratios=widths,
        )  # fmt: skip
        for axis, problem, ladder, rows in zip(axes[0], problems, ladders, labels, strict=True):
            fields = [[_field(rung.methods.get(label)) for rung in ladder] for label in rows]
            means = np.array([[mean for mean, _ in row] for row in fields])
            words = [[text for _, text in row] for row in fields]
            columns = [rung.title.replace(" ", "\n") for rung in ladder]
            figures.field(axis, means, words, rows, columns)
            axis.set_title(problem["title"].replace(" · ", "\n"), fontsize=9)
        return figure


def _rate(rate: float) -> str:
    return f"{rate:g}" if rate else "none"


def _accuracies(problem: dict[str, Any]) -> Table:
    """A row per method: its accuracy at every rate, and where it breaks."""
    ladder, last = rungs(problem), breaks(problem)
    optimizers = dict.fromkeys(rung.curvature for rung in ladder)

    def row(label: str) -> tuple[str, ...]:
        ends = (_rate(last[name, label]) for name in optimizers if (name, label) in last)
        return label, *(_shown(rung.methods.get(label)) for rung in ladder), ", ".join(ends)

    title = (f"{problem['title']}: test accuracy (%) of the runs that learned, mean ± standard "
             "deviation (their number), by learning rate")  # fmt: skip
    columns = ("method", *(rung.title for rung in ladder), "learns up to")
    return Table(title, columns, [row(label) for label in dict.fromkeys(key[1] for key in last)])


def _shown(method: dict[str, Any] | None) -> str:
    if method is None:
        return "–"
    fates = [fate(run) for run in method["runs"]]
    lost = [f"{fates.count(name)} {name}" for name in FATES[1:] if name in fates]
    return ", ".join(filter(None, [spread(learned(method)), *lost]))


def _field(method: dict[str, Any] | None) -> tuple[float, str]:
    """The mean of the runs that learned, NaN without any, and what is written into the field."""
    values = np.array([]) if method is None else learned(method)
    good = values[np.isfinite(values)]
    mean, lost = float(good.mean()) if len(good) else math.nan, len(values) - len(good)
    words = [f"{mean:.2f}"] * (len(good) > 0) + [f"{lost} of {len(values)} failed"] * (lost > 0)
    return mean, "\n".join(words)


def _best(problem: dict[str, Any]) -> str:
    """The best mean accuracy of each method over the rates where every run learned."""
    best: dict[str, float] = {}
    for label, mean in ((method["label"], learned(method).mean()) for method in problem["methods"]):
        if mean >= 0:
            best[label] = max(best.get(label, 0.0), float(mean))
    ranked = sorted(best.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{label} {value:.2f}" for label, value in ranked)
