"""Methods compared on problems, seed by seed: one specification for runs, tables and figures."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reproduce import figures
from reproduce.dgnopt import curves, experiment
from reproduce.dgnopt.paired import Difference, between
from reproduce.dgnopt.problems import DATA_TITLES
from reproduce.report import Table

Pairs = Callable[[dict[str, Any]], Sequence[tuple[str, str]]]


@dataclass(frozen=True)
class Quantity:
    """What is compared.

    Attributes:
        of: method → a number per seed, `(seeds,)`, NaN where the run diverged or failed.
        name, unit: in tables and at axes.
        digits: shown.
    """

    of: Callable[[dict[str, Any]], np.ndarray] = experiment.accuracies
    name: str = "test accuracy (%)"
    unit: str = "percentage points"
    digits: int = 2

    def change(self, first: dict[str, Any], second: dict[str, Any]) -> Difference:
        """From the first method to the second; of accuracies, known to a test image."""
        if self.of is experiment.accuracies:
            return experiment.difference(first, second)
        return between(self.of(first), self.of(second))


_QUANTITIES = {
    "accuracy": Quantity(),
    "loss": Quantity(curves.average_losses, "training loss over all steps (nats)", "nats", 3),
}


@dataclass(frozen=True)
class Comparison:
    """A figure or table of training runs, as data: it has what an item's module has.

    Attributes:
        entries: (the preset's settings, `steps`, `seeds` and what else it wants; kind) → the
            methods, made by `experiment.entry`.
        pairs: problem → (reference, method) labels whose difference says something.
        kinds: of problems, where the settings have no `kinds`.
        cells: further entries of the cells.
        paper: the paper's values: data set → label → value.
        quantity: what is compared.
        extra: name of one more column, and (problem, method) → its cell.
    """

    entries: Callable[[dict[str, Any], str], list[dict[str, Any]]]
    pairs: Pairs
    kinds: tuple[str, ...] = ()
    cells: dict[str, Any] = field(default_factory=dict)
    paper: dict[str, dict[str, float]] = field(default_factory=dict)
    quantity: Quantity = Quantity()
    extra: tuple[str, Callable[[dict[str, Any], dict[str, Any]], str]] | None = None

    @classmethod
    def of(
        cls, methods: list[dict[str, Any]], pairs: Any, quantity: str = "accuracy", **more: Any
    ) -> "Comparison":
        """A comparison as `items.toml` has it.

        Args:
            methods: a row each: `label`, `method`, what else `experiment.entry` takes, and where
                wanted `kinds`, of the problems that it trains on, and `seeds`, the setting that
                caps their number. Settings may name the `methods` to train.
            pairs: of labels; or the `reference` of all methods; or the one `compared` with each.
            quantity: "accuracy", or "loss", the training loss over all steps.
            more: other attributes.
        """

        def entries(settings: dict[str, Any], kind: str) -> list[dict[str, Any]]:
            return experiment.rows_for(methods, settings, kind)

        def chosen(problem: dict[str, Any]) -> Sequence[tuple[str, str]]:
            if isinstance(pairs, list):
                return [(first, second) for first, second in pairs]
            if "compared" in pairs:
                own = pairs["compared"]
                return [(label, own) for label in by_label(problem) if label != own]
            own = pairs["reference"]
            return [(own, label) for label in by_label(problem) if label != own]

        return cls(entries, chosen, quantity=_QUANTITIES[quantity], **more)

    def parts(self) -> tuple[Any, ...]:
        """run, draw, summary, facts: what an item's module has."""
        return self.run, self.draw, self.summary, self.facts

    def run(self, context: Any) -> dict[str, Any]:
        """Trains every method on every problem."""
        settings, problems = context.settings, []
        chosen = context.problems(list(settings.get("kinds", self.kinds)))
        chosen = chosen[: settings.get("problems")]
        more = {**self.cells, "evaluate_every": settings.get("every")}
        for kind in dict.fromkeys(kind for kind, _ in chosen):
            of_kind = [problem for other, problem in chosen if other == kind]
            entries = self.entries(settings, kind)
            problems += experiment.experiment(context, of_kind, entries, **more)
        return {"problems": problems}

    def changes(self, problem: dict[str, Any]) -> list[tuple[str, str, Difference]]:
        """Reference, method and their paired difference, for the pairs that were trained."""
        methods = by_label(problem)
        return [
            (first, second, self.quantity.change(methods[first], methods[second]))
            for first, second in self.pairs(problem)
            if first in methods and second in methods
        ]

    def summary(self, document: dict[str, Any]) -> list[Table]:
        """A table per problem: every method, the paper's value, and its differences from others."""
        tables = [self._table(problem) for problem in document["results"]["problems"]]
        used = {problem["data"] for problem in document["results"]["problems"]}
        rows = [
            (DATA_TITLES[data], ", ".join(f"{label} {value:g}" for label, value in values.items()))
            for data, values in self.paper.items()
            if data not in used
        ]
        title = "The paper's values, on data sets that this run did not use"
        return [*tables, *([Table(title, ("data", "values"), rows)] if rows else [])]

    def _table(self, problem: dict[str, Any]) -> Table:
        quoted = self.paper.get(problem["data"], {})
        plain = self.quantity.of is experiment.accuracies
        columns = ["method", "learning rate", "test accuracy (%)"]
        columns += [] if plain else [self.quantity.name]
        columns += ["the paper's"] if quoted else []
        extra = self.extra or (_ARMS if _played(problem["methods"]) else None)
        columns += [extra[0]] if extra else []
        columns += [f"difference ({self.quantity.unit}), 95 % interval"]
        rows = []
        for method in problem["methods"]:
            row = [method["label"], f"{method['rate']:.3g}", experiment.shown(method)]
            row += (
                [] if plain else [experiment.spread(self.quantity.of(method), self.quantity.digits)]
            )
            if quoted:
                value = quoted.get(method["label"])
                row.append("–" if value is None else f"{value:.2f}")
            row += [extra[1](problem, method)] if extra else []
            row.append("; ".join(
                f"from {first}: {change.verdict(self.quantity.digits)}"
                for first, second, change in self.changes(problem) if second == method["label"]
            ))  # fmt: skip
            rows.append(tuple(row))
        steps = experiment.steps_shown({"results": {"problems": [problem]}})
        title = (f"{problem['title']}, {steps} of batch {problem['batch']}: mean ± standard "
                 "deviation (seeds)")  # fmt: skip
        return Table(title, tuple(columns), rows)

    def draw(self, document: dict[str, Any]) -> Any:
        """Every seed and the mean of each method; beside them the paired differences."""
        problems = document["results"]["problems"]
        changes = [self.changes(problem) for problem in problems]
        heights = [0.25 * max(len(p["methods"]), len(c)) + 1.3
                   for p, c in zip(problems, changes, strict=True)]  # fmt: skip
        figure, axes = figures.subplots(
            len(problems), 2, figsize=(10.5, sum(heights)), squeeze=False,
            gridspec_kw={"height_ratios": heights},
        )  # fmt: skip
        for row, problem, found in zip(axes, problems, changes, strict=True):
            self._draw_values(row[0], problem)
            self._draw_changes(row[1], found)
        return figure

    def _draw_values(self, axis: Any, problem: dict[str, Any]) -> None:
        color = figures.STYLES[0]["color"]
        for place, method in enumerate(problem["methods"]):
            values = self.quantity.of(method)
            good = values[np.isfinite(values)]
            axis.plot(good, np.full(len(good), place), ".", color="#9a9a9a", ms=5)
            if len(good):
                error = np.std(good, ddof=1) if len(good) > 1 else None
                axis.errorbar(np.mean(good), place, xerr=error, marker="o", color=color, capsize=3)
            if lost := len(values) - len(good):
                text = f"{lost} of {len(values)} diverged"
                axis.text(0.01, place, text, va="center", color=figures.STYLES[1]["color"],
                          fontsize=7.5, transform=axis.get_yaxis_transform())  # fmt: skip
        _name(axis, [method["label"] for method in problem["methods"]])
        axis.set_xlabel(self.quantity.name)
        axis.set_title(problem["title"], fontsize=9)

    def _draw_changes(self, axis: Any, found: list[tuple[str, str, Difference]]) -> None:
        for place, (_, _, change) in enumerate(found):
            if not change.pairs:
                axis.text(0.0, place, change.shown(), fontsize=7.5, va="center")
                continue
            look = figures.STYLES[0 if change.significant else 5]
            axis.errorbar(change.mean, place, xerr=change.half if change.known else None,
                          marker=look["marker"], color=look["color"], capsize=3,
                          linestyle="none")  # fmt: skip
        axis.axvline(0.0, color="#777777", linewidth=0.8)
        _name(axis, [f"{second} − {first}" for first, second, _ in found])
        axis.set_xlabel(f"difference ({self.quantity.unit})\n95 % interval; × not significant")

    def facts(self, document: dict[str, Any]) -> dict[str, Any]:
        """Of the text: the conditions."""
        problems = document["results"]["problems"]
        sources = sorted({str(p.get("source")) for p in problems})
        decay = problems[0].get("decay") or []
        falls = " and ".join(f"{100 * part:g} %" for part in decay)
        rate = f"the learning rate divided by ten at {falls} of them" if falls else "constant rate"
        told = (f"{experiment.steps_shown(document)} of batch {problems[0]['batch']}, {rate}. "
                f"Data: {'; '.join(sources)}.")  # fmt: skip
        return {"conditions": told + experiment.revisions_shown(document)}


def by_label(problem: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The methods of a problem by their labels."""
    return {method["label"]: method for method in problem["methods"]}


def _played(methods: Iterable[dict[str, Any]]) -> list[np.ndarray]:
    """How often each alignment was played, a run each, of those that played several."""
    return [np.array(run["arms"]) for method in methods for run in method["runs"]
            if run.get("arms")]  # fmt: skip


def _favourite(problem: dict[str, Any], method: dict[str, Any]) -> str:
    """How much of a run the alignment was played that was played most, the mean over seeds."""
    shares = [count.max() / count.sum() for count in _played([method])]
    return f"{100 * np.mean(shares):.0f} %" if shares else "–"


_ARMS = "most played alignment", _favourite


def _name(axis: Any, labels: list[str]) -> None:
    axis.set_yticks(range(len(labels)), labels, fontsize=8)
    axis.set_ylim(len(labels) - 0.5, -0.5)
