"""Methods compared on problems, seed by seed: one specification for runs, tables and figures."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reproduce import figures
from reproduce.dgnopt import experiment, seeds
from reproduce.dgnopt.problems import DATA_TITLES
from reproduce.dgnopt.seeds import Difference, between
from reproduce.report import Table

#: What can be compared: method → a number per seed, NaN where the run diverged or failed; name and
#: unit in tables and at axes; digits shown.
_QUANTITIES: dict[str, tuple[Callable[[dict[str, Any]], np.ndarray], str, str, int]] = {
    "accuracy": (seeds.accuracies, "test accuracy (%)", "percentage points", 2),
    "loss": (seeds.average_losses, "training loss over all steps (nats)", "nats", 3),
}


@dataclass(frozen=True)
class Comparison:
    """A figure or table of training runs, as `items.toml` has it: it has what an item's module has.

    `methods` are rows as `experiment.rows_for` takes them, on `kinds` of problems, where the
    settings have none, with further entries of the cells. `pairs` of labels, a reference and a
    method, have a difference that says something; or there is the `reference` of all methods; or
    the one `compared` with each. `paper` has its values: data set → label → value. The quantity is
    "accuracy", or "loss", the training loss over all steps."""

    methods: list[dict[str, Any]] = field(default_factory=list)
    pairs: Any = ()
    kinds: tuple[str, ...] = ()
    cells: dict[str, Any] = field(default_factory=dict)
    paper: dict[str, dict[str, float]] = field(default_factory=dict)
    quantity: str = "accuracy"

    def rows(self, settings: dict[str, Any], kind: str) -> list[dict[str, Any]]:
        """The methods that train on a kind of problems at a preset's settings."""
        return experiment.rows_for(self.methods, settings, kind)

    def chosen(self, problem: dict[str, Any]) -> list[tuple[str, str]]:
        """Reference and method of every difference that says something."""
        if not isinstance(self.pairs, dict):
            return [(first, second) for first, second in self.pairs]
        [(role, own)] = self.pairs.items()
        others = [label for label in by_label(problem) if label != own]
        return [(label, own) if role == "compared" else (own, label) for label in others]

    def extra(self, problem: dict[str, Any]) -> dict[str, Callable[[dict[str, Any]], str]]:
        """Further columns: how much of a run the alignment was played that was played most, the
        mean over seeds, where some run played several."""
        played = any(run.get("arms") for method in problem["methods"] for run in method["runs"])
        return {"most played alignment": _favourite} if played else {}

    def run(self, context: Any) -> dict[str, Any]:
        """Trains every method on every problem."""
        settings = context.settings
        return experiment.experiment(
            context, settings.get("kinds", self.kinds), lambda kind: self.rows(settings, kind),
            **self.cells, evaluate_every=settings.get("every"),
        )  # fmt: skip

    def changes(self, problem: dict[str, Any]) -> list[tuple[str, str, Difference]]:
        """Reference, method and their paired difference, for the pairs that were trained."""
        methods, of = by_label(problem), _QUANTITIES[self.quantity][0]
        found = []
        for first, second in self.chosen(problem):
            if first in methods and second in methods:
                pair = methods[first], methods[second]
                change = (experiment.difference(*pair) if self.quantity == "accuracy"
                          else between(of(pair[0]), of(pair[1])))  # fmt: skip
                found.append((first, second, change))
        return found

    def summary(self, document: dict[str, Any]) -> list[Table]:
        """A table per problem: every method, the paper's value, and its differences from others."""
        problems = document["results"]["problems"]
        used = {problem["data"] for problem in problems}
        rows = [
            (DATA_TITLES[data], ", ".join(f"{label} {value:g}" for label, value in values.items()))
            for data, values in self.paper.items()
            if data not in used
        ]
        title = "The paper's values, on data sets that this run did not use"
        unused = [Table(title, ("data", "values"), rows)] if rows else []
        return [*map(self._table, problems), *unused]

    def _table(self, problem: dict[str, Any]) -> Table:
        of, name, unit, digits = _QUANTITIES[self.quantity]
        quoted, changes = self.paper.get(problem["data"], {}), self.changes(problem)
        columns: dict[str, Callable[[dict[str, Any]], str]] = {
            "method": lambda method: method["label"],
            "learning rate": lambda method: f"{method['rate']:.3g}",
            "test accuracy (%)": experiment.shown,
        }
        if self.quantity != "accuracy":
            columns[name] = lambda method: seeds.spread(of(method), digits)
        if quoted:
            columns["the paper's"] = lambda method: (
                f"{quoted[method['label']]:.2f}" if method["label"] in quoted else "–"
            )
        columns |= self.extra(problem)
        columns[f"difference ({unit}), 95 % interval"] = lambda method: "; ".join(
            f"from {first}: {change.verdict(digits)}"
            for first, second, change in changes if second == method["label"]
        )  # fmt: skip
        steps = experiment.steps_shown([problem])
        title = (f"{problem['title']}, {steps} of batch {problem['batch']}: mean ± standard "
                 "deviation (seeds)")  # fmt: skip
        return Table.of(title, problem["methods"], columns)

    def draw(self, document: dict[str, Any]) -> Any:
        """Every seed and the mean of each method; beside them the paired differences."""
        found = [(problem, self.changes(problem)) for problem in document["results"]["problems"]]
        heights = [0.25 * max(len(p["methods"]), len(changes)) + 1.3 for p, changes in found]
        figure, axes = figures.subplots(
            len(found), 2, figsize=(10.5, sum(heights)), squeeze=False,
            gridspec_kw={"height_ratios": heights},
        )  # fmt: skip
        for (left, right), (problem, changes) in zip(axes, found, strict=True):
            self._draw_values(left, problem)
            self._draw_changes(right, changes)
        return figure

    def _draw_values(self, axis: Any, problem: dict[str, Any]) -> None:
        of, name, _, _ = _QUANTITIES[self.quantity]
        for place, method in enumerate(problem["methods"]):
            values = of(method)
            good = values[np.isfinite(values)]
            axis.plot(good, np.full(len(good), place), ".", color="#9a9a9a", ms=5)
            if len(good):
                error = np.std(good, ddof=1) if len(good) > 1 else None
                figures.point(axis, place, np.mean(good), error, 0)
            if lost := len(values) - len(good):
                text = f"{lost} of {len(values)} diverged"
                axis.text(0.01, place, text, va="center", color=figures.STYLES[1]["color"],
                          fontsize=7.5, transform=axis.get_yaxis_transform())  # fmt: skip
        figures.name_rows(axis, [method["label"] for method in problem["methods"]])
        axis.set_xlabel(name)
        axis.set_title(problem["title"], fontsize=9)

    def _draw_changes(self, axis: Any, found: list[tuple[str, str, Difference]]) -> None:
        for place, (_, _, change) in enumerate(found):
            if change.pairs:
                error = change.half if change.known else None
                figures.point(axis, place, change.mean, error, 0 if change.significant else 5)
            else:
                axis.text(0.0, place, change.shown(), fontsize=7.5, va="center")
        axis.axvline(0.0, color="#777777", linewidth=0.8)
        figures.name_rows(axis, [f"{second} − {first}" for first, second, _ in found])
        unit = _QUANTITIES[self.quantity][2]
        axis.set_xlabel(f"difference ({unit})\n95 % interval; × not significant")

    def facts(self, document: dict[str, Any]) -> dict[str, Any]:
        """Of the text: the conditions."""
        problems = document["results"]["problems"]
        sources = sorted({str(p.get("source")) for p in problems})
        falls = " and ".join(f"{100 * part:g} %" for part in problems[0].get("decay") or [])
        rate = f"the learning rate divided by ten at {falls} of them" if falls else "constant rate"
        told = (f"{experiment.steps_shown(problems)} of batch {problems[0]['batch']}, {rate}. "
                f"Data: {'; '.join(sources)}.")  # fmt: skip
        return {"conditions": told + experiment.revisions_shown(document)}


def by_label(problem: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The methods of a problem by their labels."""
    return {method["label"]: method for method in problem["methods"]}


def _favourite(method: dict[str, Any]) -> str:
    shares = [max(run["arms"]) / sum(run["arms"]) for run in method["runs"] if run.get("arms")]
    return f"{100 * np.mean(shares):.0f} %" if shares else "–"
