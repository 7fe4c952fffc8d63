"""Methods along a ladder of learning rates: how well each trains, and where it breaks."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reproduce import figures
from reproduce.dgnopt import experiment
from reproduce.dgnopt.paired import Difference
from reproduce.report import Table
from reproduce.training import cells

#: Per cent of the test images; a run that ends below it has learned nothing worth the name.
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
    """All methods of one problem at one curvature and learning rate.

    Attributes:
        problem: of the document.
        curvature: name of the baseline's optimizer.
        rate: learning rate.
        methods: label → method.
    """

    problem: dict[str, Any]
    curvature: str
    rate: float
    methods: dict[str, dict[str, Any]] = field(compare=False)

    @property
    def title(self) -> str:
        return f"{self.curvature} {self.rate:g}"


def rungs(problem: dict[str, Any]) -> list[Rung]:
    """The rungs of a problem, in order."""
    found: dict[tuple[str, float], Rung] = {}
    for method in problem["methods"]:
        key = method["method"]["name"], method["rate"]
        rung = found.setdefault(key, Rung(problem, *key, {}))
        rung.methods[method["label"]] = method
    return list(found.values())


def learned(method: dict[str, Any]) -> dict[str, Any]:
    """The method with every run that did not learn as one that diverged."""
    runs = [one if fate(one) == "learned" else {**one, "diverged": True} for one in method["runs"]]
    return {**method, "runs": runs}


def breaks(problem: dict[str, Any]) -> dict[tuple[str, str], float]:
    """Optimizer and label → the largest rate up to which every run of it learned; 0 for none."""
    largest: dict[tuple[str, str], float] = {}
    broken = set()
    for rung in sorted(rungs(problem), key=lambda rung: rung.rate):
        for label, method in rung.methods.items():
            key = rung.curvature, label
            largest.setdefault(key, 0.0)
            if any(fate(one) != "learned" for one in method["runs"]):
                broken.add(key)
            elif key not in broken:
                largest[key] = rung.rate
    return largest


def _accuracies(problem: dict[str, Any]) -> Table:
    """A row per method: its accuracy at every rate, and where it breaks."""
    ladder, last = rungs(problem), breaks(problem)
    labels = dict.fromkeys(label for _, label in last)
    optimizers = dict.fromkeys(rung.curvature for rung in ladder)

    def ends(label: str) -> str:
        own = [last[name, label] for name in optimizers if (name, label) in last]
        return ", ".join(f"{end:g}" if end else "none" for end in own)

    rows = [(label, *(_shown(rung.methods.get(label)) for rung in ladder), ends(label))
            for label in labels]  # fmt: skip
    title = (f"{problem['title']}: test accuracy (%) of the runs that learned, mean ± standard "
             "deviation (their number), by learning rate")  # fmt: skip
    return Table(title, ("method", *(rung.title for rung in ladder), "learns up to"), rows)


def _best(problem: dict[str, Any]) -> str:
    """The best mean accuracy of each method over the rates where every run learned."""
    best: dict[str, float] = {}
    for rung in rungs(problem):
        for label, method in rung.methods.items():
            values = experiment.accuracies(learned(method))
            if np.isfinite(values).all():
                best[label] = max(best.get(label, 0.0), float(values.mean()))
    ranked = sorted(best.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{label} {value:.2f}" for label, value in ranked)


@dataclass(frozen=True)
class Ladder:
    """Methods along learning rates, as `items.toml` has them: it has what an item's module has.

    Attributes:
        methods: a row each: `label`, `method` without its name, which is the rates' optimizer, and
            where wanted `kinds`, of the problems that it trains on. Settings may name the `methods`
            to train.
        pairs: (reference, method) labels whose difference says something.
    """

    methods: list[dict[str, Any]]
    pairs: list[list[str]]

    def run(self, context: Any) -> dict[str, Any]:
        """Trains every method at every rate of every optimizer, the step guard off."""
        settings, problems = context.settings, []
        for kind in settings["kinds"]:
            rows = experiment.rows_for(self.methods, settings, kind)
            entries = [
                experiment.entry(row["label"], _unguarded({"name": name, **row["method"]}),
                                 rate=rate)
                for name, rates in settings["rates"].items() for rate in rates for row in rows
            ]  # fmt: skip
            problems += experiment.experiment(context, kind, entries)
        return {"problems": problems}

    def summary(self, document: dict[str, Any]) -> list[Table]:
        """Accuracy at every rate, where each method breaks, and paired differences."""
        problems = document["results"]["problems"]
        changes = [
            (rung, first, second, _change(rung, first, second))
            for problem in problems for rung in rungs(problem)
            for first, second in self.pairs if {first, second} <= rung.methods.keys()
        ]  # fmt: skip
        title = ("Paired differences of the seeds that learned with both, percentage points, "
                 "95 % interval")  # fmt: skip
        pairs = Table.of(title, [row for row in changes if row[-1].pairs], {
            "setting": lambda row: f"{row[0].problem['data']}, {row[0].title}",
            "difference": lambda row: f"{row[2]} minus {row[1]}",
            "seeds": lambda row: str(row[-1].pairs),
            "change": lambda row: row[-1].verdict(),
        })  # fmt: skip
        return [*(_accuracies(problem) for problem in problems), pairs]

    def facts(self, document: dict[str, Any]) -> dict[str, Any]:
        """Of a text: the conditions, and what each change does."""
        problems = document["results"]["problems"]
        labels = [method["label"] for problem in problems for method in problem["methods"]]
        one = (" Every stage of these networks has one player, so the feedback (FNE) and the "
               "cooperative (GR) structure are the same step and are trained once.")  # fmt: skip
        return {
            "steps": experiment.steps_shown(document),
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
        for problem in problems:
            ends = breaks(problem)
            both = [
                (first, second, ends[name, first], ends[name, second])
                for name in dict.fromkeys(name for name, _ in ends) for first, second in self.pairs
                if {(name, first), (name, second)} <= ends.keys()
            ]  # fmt: skip
            for first, second, before, after in both:
                word = "raised" if after > before else "not changed"
                word = "lowered" if after < before else word
                shown = " → ".join(f"{end:g}" if end else "none" for end in (before, after))
                size = abs(math.log((after or 1e-9) / (before or 1e-9)))
                found[word].append((-size, f"{first} → {second} ({shown})"))
        return "; ".join(
            f"{word} by {', '.join(text for _, text in sorted(effects, key=lambda pair: pair[0]))}"
            for word, effects in found.items() if effects
        )  # fmt: skip

    def draw(self, document: dict[str, Any]) -> Any:
        """Methods by learning rates, a panel per problem: mean accuracy of the runs that learned,
        the darker the better, and how many did not; a field where none did is empty."""
        problems = document["results"]["problems"]
        grids = [_grid(problem) for problem in problems]
        figure, axes = figures.subplots(
            1, len(grids), figsize=(sum(2.6 + 0.95 * g.shape[1] for g, *_ in grids),
                                    1.5 + 0.36 * max(g.shape[0] for g, *_ in grids)),
            squeeze=False, width_ratios=[2.6 + 0.95 * grid.shape[1] for grid, *_ in grids],
        )  # fmt: skip
        for axis, problem, (means, words, labels, ladder) in zip(
            axes[0], problems, grids, strict=True
        ):
            columns = [rung.title.replace(" ", "\n") for rung in ladder]
            figures.field(axis, means, words, labels, columns)
            axis.set_title(problem["title"].replace(" · ", "\n"), fontsize=9)
        return figure


def _unguarded(method: dict[str, Any]) -> dict[str, Any]:
    return {**method, "guard": False} if cells.is_game(method) else method


def _change(rung: Rung, first: str, second: str) -> Difference:
    return experiment.difference(learned(rung.methods[first]), learned(rung.methods[second]))


def _shown(method: dict[str, Any] | None) -> str:
    if method is None:
        return "–"
    fates = [fate(run) for run in method["runs"]]
    lost = [f"{fates.count(name)} {name}" for name in FATES[1:] if name in fates]
    good = experiment.spread(experiment.accuracies(learned(method)))
    return ", ".join(filter(None, [good, *lost]))


def _grid(problem: dict[str, Any]) -> tuple[np.ndarray, list[list[str]], list[str], list[Rung]]:
    """Means `(methods, rungs)`, what is written into each field, labels and rungs."""
    ladder = sorted(rungs(problem), key=lambda rung: (rung.curvature, rung.rate))
    labels = list(dict.fromkeys(label for rung in ladder for label in rung.methods))
    means, words = np.full((len(labels), len(ladder)), np.nan), []
    for row, label in enumerate(labels):
        words.append([""] * len(ladder))
        for column, rung in enumerate(ladder):
            if label not in rung.methods:
                continue
            values = experiment.accuracies(learned(rung.methods[label]))
            good = values[np.isfinite(values)]
            lost = len(values) - len(good)
            text = [f"{lost} of {len(values)} failed"] if lost else []
            if len(good):
                means[row, column] = good.mean()
                text.insert(0, f"{good.mean():.2f}")
            words[row][column] = "\n".join(text)
    return means, words, labels, ladder
