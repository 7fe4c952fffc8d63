"""Figure 5: what each tuned baseline gains from richer information."""

from pathlib import Path
from typing import Any

import numpy as np

from reproduce import figures
from reproduce.dgnopt import experiment, rates
from reproduce.dgnopt.problems import QUICK_STEPS
from reproduce.report import Table

PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {
        "steps": 4, "seeds": 2, "kinds": ["residual"], "baselines": ["SGD"],
        "structures": ["feedback"],
    },
    "quick": {
        "steps": QUICK_STEPS, "seeds": 2, "kinds": ["residual"], "problems": 1,
        "baselines": ["SGD", "RMSprop", "Adam", "EKFAC"], "structures": ["feedback"],
    },
    "standard": {
        "steps": 600, "seeds": 3, "kinds": ["residual", "inception"],
        "baselines": ["SGD", "RMSprop", "Adam", "EKFAC"], "structures": ["feedback", "cooperative"],
    },
    "paper": {
        "steps": 20000, "seeds": 6, "kinds": ["residual", "inception"],
        "baselines": ["SGD", "RMSprop", "Adam", "EKFAC"], "structures": ["feedback", "cooperative"],
    },
}  # fmt: skip
_DECAY = [0.5, 0.75]


def run(context) -> dict[str, Any]:
    """Trains every baseline, and DGNOpt with its curvature and its rate, on every problem.

    With one player in every stage feedback and cooperation are the same step: the residual
    networks, whose identity skips leave no slack, are trained with feedback only.
    """
    settings = context.settings
    problems = []
    chosen = context.problems(settings["kinds"])
    for kind in dict.fromkeys(kind for kind, _ in chosen):
        structures = settings["structures"] if kind != "residual" else ["feedback"]
        entries = []
        for name in settings["baselines"]:
            entries.append(experiment.entry(name, {"name": name}))
            entries += [
                experiment.entry(f"{name}, {structure}", {"name": name, "structure": structure})
                for structure in structures
            ]
        of_kind = [problem for other, problem in chosen if other == kind]
        problems += experiment.experiment(context, of_kind, entries, decay=_DECAY)
    return {"problems": problems}


def _changes(document: dict[str, Any]) -> list[dict[str, Any]]:
    """A row a problem and structure: the change for every baseline."""
    rows = []
    for problem in document["results"]["problems"]:
        methods = {method["label"]: method for method in problem["methods"]}
        for structure in document["settings"]["structures"]:
            changes = {
                name: experiment.difference(methods[name], methods[f"{name}, {structure}"])
                for name in document["settings"]["baselines"]
                if f"{name}, {structure}" in methods
            }
            if changes:
                rows.append({"problem": problem["title"], "structure": structure, **changes})
    return rows


def _cooperation(document: dict[str, Any]) -> list[dict[str, Any]]:
    """A row a problem with both structures: what cooperation changes beside feedback."""
    rows, names = [], document["settings"]["baselines"]
    for problem in document["results"]["problems"]:
        methods = {method["label"]: method for method in problem["methods"]}
        pairs = {name: (f"{name}, feedback", f"{name}, cooperative") for name in names}
        if all(label in methods for pair in pairs.values() for label in pair):
            changes = {
                name: experiment.difference(*(methods[label] for label in pair))
                for name, pair in pairs.items()
            }
            rows.append({"problem": problem["title"], **changes})
    return rows


def draw(document: dict[str, Any], stem: Path) -> list[Path]:
    """The changes as a heat map; a change inside its noise is written in brackets."""
    from matplotlib import pyplot

    rows, names = _changes(document), document["settings"]["baselines"]
    values = np.array([
        [np.nan if row[name]["change"] is None else row[name]["change"] for name in names]
        for row in rows
    ])  # fmt: skip
    largest = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 1.0
    limit = max(min(largest, 5.0), 2.0)
    figure, axis = pyplot.subplots(figsize=(2.6 + 1.5 * len(names), 2.2 + 0.7 * len(rows)))
    image = axis.imshow(values, cmap="PuOr", vmin=-limit, vmax=limit, aspect="auto")
    for i, row in enumerate(rows):
        for j, name in enumerate(names):
            axis.text(j, i, _cell(row[name]), ha="center", va="center", fontsize=8.5,
                      color="white" if abs(values[i, j]) > 0.7 * limit else "black")  # fmt: skip
    axis.set_xticks(range(len(names)), names)
    axis.set_yticks(
        range(len(rows)),
        [f"{row['problem'].replace(' · ', chr(10))}\n{row['structure']}" for row in rows],
        fontsize=8,
    )
    axis.grid(False)
    axis.set_xlabel("baseline, at its own tuned rate")
    figure.colorbar(image, ax=axis, label="change (points)")
    return [figures.save(figure, stem)]


def _cell(change: dict[str, Any]) -> str:
    if change["change"] is None:
        return "diverged"
    if change["noise"] is None:
        return f"({change['change']:+.2f})\nnoise unknown"
    text = f"{change['change']:+.2f}\n± {change['noise']:.2f}"
    return text if experiment.stands_out(change) else f"({text})"


def summary(document: dict[str, Any]) -> list[Table]:
    """Changes with their noise, and the accuracies they come from."""
    names = document["settings"]["baselines"]
    changes = [
        (row["problem"], row["structure"], *(experiment.verdict(row[name]) for name in names))
        for row in _changes(document)
    ]
    beside = [
        (row["problem"], *(experiment.verdict(row[name]) for name in names))
        for row in _cooperation(document)
    ]
    shown = []
    for problem in document["results"]["problems"]:
        methods = {method["label"]: experiment.shown(method) for method in problem["methods"]}
        for structure in (None, *document["settings"]["structures"]):
            labels = [name if structure is None else f"{name}, {structure}" for name in names]
            if labels[0] in methods:
                title = structure or "baseline"
                shown.append((problem["title"], title, *(methods[label] for label in labels)))
    return [
        Table("Change of test accuracy by richer information, points, 95 % interval of paired runs",
              ("data and network", "information", *names), changes),
        *([Table("Change from feedback to cooperation, points, 95 % interval of paired runs",
                 ("data and network", *names), beside)] if beside else []),
        Table("Test accuracy (%), mean ± standard deviation (seeds)",
              ("data and network", "information", *names), shown),
    ]  # fmt: skip


def markdown(document: dict[str, Any]) -> str:
    """The conditions, and a count of what stands out."""
    settings = document["settings"]
    return (
        f"Each baseline at the rate of its own search, {experiment.steps_shown(document)}, "
        f"{settings['seeds']} seeds; then DGNOpt (proximal form) with the same curvature, rate, "
        "weights and batches, in the feedback and the cooperative structure. Residual networks "
        "have one player a stage, so both structures are one step there. The paper: richer "
        f"information tends to improve or is innocuous. Here, {finding(document)[1]}."
        f" Learning rates: {_rates(document)}." + experiment.revisions_shown(document)
    )


def _rates(document: dict[str, Any]) -> str:
    """The baselines' rates, and where the present search takes another one."""
    told = []
    for problem in document["results"]["problems"]:
        parts = []
        for method in problem["methods"]:
            if (name := method["label"]) in document["settings"]["baselines"]:
                now = rates.committed(document["provenance"]["preset"], problem["title"], name)
                other = now not in (None, method["rate"])
                parts.append(
                    f"{name} {method['rate']:g}"
                    + (f" (the search has since taken {now:g})" if other else "")
                )
        told.append(f"{problem['title']}: {', '.join(parts)}")
    return "; ".join(told)


def finding(document: dict[str, Any]) -> tuple[str, str]:
    """What should hold, and a count of what was seen."""
    names = document["settings"]["baselines"]
    flat = [row[name] for row in _changes(document) for name in names]
    known = [c for c in flat if c["noise"] is not None]
    out = [c["change"] > 0 for c in known if experiment.stands_out(c)]
    above, below = sum(out), len(out) - sum(out)
    lost = sum(c["change"] is None for c in flat)
    unknown = len(flat) - len(known) - lost
    seen = (
        f"of {len(flat)} changes, {above} are gains outside the noise, {below} losses outside "
        f"it, {len(known) - above - below} inside it"
    )
    if unknown:
        seen += f", {unknown} with unknown noise"
    if lost:
        seen += f", {lost} without a pair of finished runs"
    return "richer information improves a tuned baseline or is innocuous", seen


def holds(document: dict[str, Any]) -> str:
    """Whether no change is a loss beyond the noise."""
    names = document["settings"]["baselines"]
    return experiment.no_loss([row[name] for row in _changes(document) for name in names])
