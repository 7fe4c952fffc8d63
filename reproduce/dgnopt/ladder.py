"""Methods along a ladder of learning rates: how well each trains, and where it breaks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reproduce import figures
from reproduce.dgnopt import experiment
from reproduce.dgnopt.paired import Difference
from reproduce.report import Table

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


def breaks(document: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, str, float | None]]:
    """Problem, curvature, label, and the largest rate up to which every run of it learned."""
    for problem in document["results"]["problems"]:
        largest: dict[tuple[str, str], float | None] = {}
        broken = set()
        for rung in sorted(rungs(problem), key=lambda rung: rung.rate):
            for label, method in rung.methods.items():
                key = rung.curvature, label
                largest.setdefault(key, None)
                if any(fate(one) != "learned" for one in method["runs"]):
                    broken.add(key)
                elif key not in broken:
                    largest[key] = rung.rate
        for (curvature, label), rate in largest.items():
            yield problem, curvature, label, rate


def summary(document: dict[str, Any], pairs: Callable[[Rung], list]) -> list[Table]:
    """Accuracy at every rate, where each method breaks, and paired differences.

    Args:
        document: of the item.
        pairs: (reference, method) labels of a rung whose difference says something.
    """
    tables = []
    last = {(id(p), c, label): rate for p, c, label, rate in breaks(document)}
    for problem in document["results"]["problems"]:
        ladder = rungs(problem)
        labels = dict.fromkeys(label for rung in ladder for label in rung.methods)
        rows = []
        for label in labels:
            ends = [last[id(problem), c, label] for c in dict.fromkeys(r.curvature for r in ladder)
                    if (id(problem), c, label) in last]  # fmt: skip
            rows.append(
                (
                    label,
                    *(_shown(rung.methods.get(label)) for rung in ladder),
                    ", ".join("none" if end is None else f"{end:g}" for end in ends),
                )
            )
        title = (f"{problem['title']}: test accuracy (%) of the runs that learned, mean ± standard "
                 "deviation (their number), by learning rate")  # fmt: skip
        columns = ("method", *(rung.title for rung in ladder), "learns up to")
        tables.append(Table(title, columns, rows))
    rows = [
        (f"{rung.problem['data']}, {rung.title}", f"{second} minus {first}",
         str(change.pairs), change.verdict())
        for problem in document["results"]["problems"] for rung in rungs(problem)
        for first, second in pairs(rung)
        if (change := _change(rung, first, second)).pairs
    ]  # fmt: skip
    title = (
        "Paired differences of the seeds that learned with both, percentage points, 95 % interval"
    )
    return [*tables, Table(title, ("setting", "difference", "seeds", "change"), rows)]


def _change(rung: Rung, first: str, second: str) -> Difference:
    return experiment.difference(learned(rung.methods[first]), learned(rung.methods[second]))


def _shown(method: dict[str, Any] | None) -> str:
    if method is None:
        return "–"
    fates = [fate(run) for run in method["runs"]]
    lost = [f"{fates.count(name)} {name}" for name in FATES[1:] if name in fates]
    good = experiment.spread(experiment.accuracies(learned(method)))
    return ", ".join(filter(None, [good, *lost]))


def facts(document: dict[str, Any]) -> dict[str, Any]:
    """Of a text: steps, batch, and a sentence on runs that other code made."""
    return {
        "steps": experiment.steps_shown(document),
        "batch": document["results"]["problems"][0]["batch"],
        "changed": experiment.revisions_shown(document),
    }


def draw(document: dict[str, Any]) -> Any:
    """Methods by learning rates, a panel per problem: mean accuracy of the runs that learned, the
    darker the better, and how many did not; a field where none did is empty."""
    problems = document["results"]["problems"]
    grids = [_grid(problem) for problem in problems]
    figure, axes = figures.subplots(
        1, len(grids), figsize=(sum(2.6 + 0.95 * g.shape[1] for g, *_ in grids),
                                1.5 + 0.36 * max(g.shape[0] for g, *_ in grids)),
        squeeze=False, width_ratios=[2.6 + 0.95 * grid.shape[1] for grid, *_ in grids],
    )  # fmt: skip
    for axis, problem, (means, words, labels, ladder) in zip(axes[0], problems, grids, strict=True):
        columns = [rung.title.replace(" ", "\n") for rung in ladder]
        figures.field(axis, means, words, labels, columns)
        axis.set_title(problem["title"].replace(" · ", "\n"), fontsize=9)
    return figure


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
