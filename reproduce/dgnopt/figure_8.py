"""Figure 8: learning rates that are too large for the baseline, with and without the game."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from reproduce import figures
from reproduce.dgnopt import experiment
from reproduce.report import Table

_RATES = {"SGD": [0.3, 1.0], "EKFAC": [0.1, 0.3]}
#: On the inception network plain SGD bears a rate of 1.
_LARGE = {"SGD": [3.0], "EKFAC": [0.1]}
_FORMS = ["proximal", "explicit"]
PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {
        "kind": "residual", "steps": 4, "seeds": 1, "rates": {"SGD": [0.3, 1.0]},
        "forms": ["proximal"],
    },
    "quick": {"kind": "residual", "steps": 300, "seeds": 2, "rates": _RATES, "forms": _FORMS},
    "standard": {"kind": "inception", "steps": 300, "seeds": 3, "rates": _LARGE, "forms": _FORMS},
    "paper": {"kind": "inception", "steps": 20000, "seeds": 4, "rates": _RATES, "forms": _FORMS},
}  # fmt: skip
#: Points of a curve.
_POINTS = 20
#: Per cent of the test images; a run that ends below it has learned nothing worth the name.
_LEARNED = 50.0
#: Losses above are not drawn; runs that diverge end beyond it, every method in a lane of its own.
_CEILING = 30.0
_LANE = 1.4
_BASELINE = "baseline"


def run(context: Any) -> dict[str, Any]:
    """Trains baseline and games at every rate, without a step guard.

    With one player in every stage feedback and cooperation are the same step: the residual
    networks, whose identity skips leave no slack, are trained with feedback only.
    """
    settings = context.settings
    entries = [entry for name in settings["rates"] for entry in _entries(name, settings)]
    evaluate = max(1, settings["steps"] // _POINTS)
    found = experiment.experiment(context, settings["kind"], entries, evaluate_every=evaluate)
    return {"problems": found}


def _entries(curvature: str, settings: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The baseline and the games of one curvature, at each of its rates."""
    variants: list[tuple[str, dict[str, Any]]] = [(_BASELINE, {"name": curvature})]
    for form in settings["forms"]:
        for name, structure in _structures(settings["kind"]).items():
            game = {"name": curvature, "structure": structure, "form": form, "guard": False}
            variants.append((f"{name}, {form}", game))
            variants.append((f"{name}, {form}, without K δx", game | {"state_feedback": False}))
    for rate in settings["rates"][curvature]:
        for label, method in variants:
            if label == _BASELINE and curvature == "EKFAC":
                method = method | {"guard": False}
            yield experiment.entry(label, method, rate=rate)


def _structures(kind: str) -> dict[str, str]:
    if kind == "residual":
        return {"FNE = GR": "feedback"}
    return {"FNE": "feedback", "GR": "cooperative"}


def fate(run: dict[str, Any]) -> str:
    """What became of a run: "learned", "stuck" (finished, below half the images), "diverged"
    or "failed" (with an error)."""
    if "error" in run:
        return "failed"
    if run["diverged"]:
        return "diverged"
    return "learned" if run["accuracy"] >= _LEARNED else "stuck"


def _columns(problem: dict[str, Any]) -> list[tuple[str, float]]:
    """The pairs of curvature and rate, in order."""
    pairs = [(method["method"]["name"], method["rate"]) for method in problem["methods"]]
    return list(dict.fromkeys(pairs))


def _at(problem: dict[str, Any], column: tuple[str, float]) -> dict[str, dict[str, Any]]:
    """Label → method at one curvature and rate."""
    return {
        method["label"]: method
        for method in problem["methods"]
        if (method["method"]["name"], method["rate"]) == column
    }


def draw(document: dict[str, Any], stem: Path) -> list[Path]:
    """Training loss of every run, a row a form and problem, a column a curvature and rate."""
    from matplotlib import pyplot

    forms = document["settings"]["forms"]
    lines = [(p, form) for p in document["results"]["problems"] for form in forms]
    widest = max(len(_columns(problem)) for problem, _ in lines)
    figure, axes = pyplot.subplots(
        len(lines), widest, figsize=(3.1 * widest + 0.6, 2.7 * len(lines) + 0.7), squeeze=False,
        sharex=True, sharey=True,
    )  # fmt: skip
    entries: dict[str, Any] = {}
    for row, (problem, form) in zip(axes, lines, strict=True):
        for axis, column in zip(row, _columns(problem), strict=False):
            _panel(axis, _at(problem, column), form, entries)
            axis.set_title(f"{column[0]}, rate {column[1]:g}\n{form} form", fontsize=9)
        row[0].set_ylabel(f"{problem['title'].split(' · ')[0]}\ntraining loss (nats)", fontsize=9)
    for axis in axes[-1]:
        axis.set_xlabel("step")
    figure.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=3)
    return [figures.save(figure, stem)]


def _panel(axis: Any, methods: dict[str, Any], form: str, entries: dict[str, Any]) -> None:
    axis.set_yscale("log")
    axis.set_ylim(top=_CEILING * _LANE**6)
    axis.axhspan(_CEILING, _CEILING * _LANE**6, color="#efefef", zorder=0, linewidth=0)
    for label, method in methods.items():
        if label != _BASELINE and form not in label:
            continue
        shown = label.replace(f", {form}", "")
        place = 0 if label == _BASELINE else 1 + (shown[:2] == "GR") + 2 * ("without" in shown)
        look = {**figures.STYLES[place], "marker": None, "linewidth": 1.2}
        for one in method["runs"]:
            lost = fate(one) == "diverged"
            steps, losses = _curve(one, _CEILING * _LANE ** (place + 0.5), lost)
            (line,) = axis.plot(steps, losses, **look)
            entries.setdefault(shown, line)
            if lost and steps:
                (mark,) = axis.plot(steps[-1], losses[-1], linestyle="", marker="X", ms=7,
                                    color=look["color"], markeredgecolor="white")  # fmt: skip
                entries.setdefault("end of a run that diverged", mark)


def _curve(run: dict[str, Any], lane: float, lost: bool) -> tuple[list[int], list[float]]:
    """Steps and losses; of a run that diverged up to the first loss beyond the ceiling, put in the
    method's lane."""
    curve = run.get("curve") or {"step": [], "loss": []}
    steps: list[int] = []
    losses: list[float] = []
    for step, loss in zip(curve["step"], curve["loss"], strict=True):
        steps.append(step)
        beyond = loss is None or loss > _CEILING
        losses.append(_CEILING if beyond else loss)
        if beyond and lost:
            losses[-1] = lane
            break
    return steps, losses


def summary(document: dict[str, Any]) -> list[Table]:
    """Accuracy and fates of every method at every rate, and of every form over all of them."""
    tables = []
    for problem in document["results"]["problems"]:
        columns = _columns(problem)
        labels = list(dict.fromkeys(method["label"] for method in problem["methods"]))
        cells = {column: _at(problem, column) for column in columns}
        rows = [
            (label, *(_shown(cells[column].get(label)) for column in columns)) for label in labels
        ]
        names = (f"{name}, rate {rate:g}" for name, rate in columns)
        title = (f"{problem['title']}: test accuracy (%) of the runs that learned, "
                 "mean ± standard deviation (their number)")  # fmt: skip
        tables.append(Table(title, ("method", *names), rows))
    rows = [
        (label, *(str(count[name]) for name in _FATES), str(sum(count.values())))
        for label, count in _fates(document, lambda label: label).items()
    ]
    tables.append(Table("What became of the runs, over all rates and curvatures",
                        ("method", *_FATES, "runs"), rows))  # fmt: skip
    return [*tables, *(_feedback_term(problem) for problem in document["results"]["problems"])]


def _feedback_term(problem: dict[str, Any]) -> Table:
    """What K δx changes, in runs that finished with it and without it."""
    columns = _columns(problem)
    cells = {column: _at(problem, column) for column in columns}
    labels = list(dict.fromkeys(method["label"] for method in problem["methods"]))
    rows = [
        (
            label,
            *(
                experiment.verdict(
                    experiment.difference(cells[column][f"{label}, without K δx"],
                                          cells[column][label])
                )
                for column in columns
            ),
        )
        for label in labels
        if f"{label}, without K δx" in labels
    ]  # fmt: skip
    title = (f"{problem['title']}: accuracy with K δx minus without it, in points, of the seeds "
             "that diverged with neither, with a 95 % interval")  # fmt: skip
    names = (f"{name}, rate {rate:g}" for name, rate in columns)
    return Table(title, ("method", *names), rows)


_FATES = ("learned", "stuck", "diverged", "failed")


def _shown(method: dict[str, Any] | None) -> str:
    if method is None:
        return ""
    fates = [fate(run) for run in method["runs"]]
    values = [run["accuracy"] for run, found in zip(method["runs"], fates, strict=True)
              if found == "learned"]  # fmt: skip
    parts = []
    if values:
        spread = f" ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else ""
        parts.append(f"{np.mean(values):.2f}{spread} ({len(values)})")
    parts += [f"{fates.count(name)} {name}" for name in _FATES[1:] if name in fates]
    return ", ".join(parts)


def _fates(document: dict[str, Any], group: Any) -> dict[str, dict[str, int]]:
    """Counts of fates by group, where `group` makes a group's name from a method's label."""
    counts: dict[str, dict[str, int]] = {}
    for problem in document["results"]["problems"]:
        for method in problem["methods"]:
            count = counts.setdefault(group(method["label"]), dict.fromkeys(_FATES, 0))
            for one in method["runs"]:
                count[fate(one)] += 1
    return counts


def markdown(document: dict[str, Any]) -> str:
    """The conditions, and where the baseline fails and DGNOpt does not."""
    settings = document["settings"]
    problem = document["results"]["problems"][0]
    sources = sorted({str(p.get("source")) for p in document["results"]["problems"]})
    same = ""
    if settings["kind"] == "residual":
        same = (" Every stage of these networks has one player, so the feedback (FNE) and the "
                "cooperative (GR) structure are the same step and are trained once.")  # fmt: skip
    return (
        f"{settings['steps']} steps of batch {problem['batch']} at a constant rate, "
        f"{settings['seeds']} seeds, the step guard off. The baseline is Keras's SGD or EKFAC in "
        "open loop. *Without K δx* the open gains k of the same recursion are applied alone. A "
        "run has diverged if its loss is not finite or ends above twice that of a uniform guess; "
        f"it is stuck if it ends below {_LEARNED:g} % of the test images.{same} "
        f"{_conclusions(document)} Data: {'; '.join(sources)}."
    )


def _conclusions(document: dict[str, Any]) -> str:
    """The paper's claim, rate by rate, and the share of runs that learned."""
    sentences = []
    for form in document["settings"]["forms"]:
        holds, lost = [], []
        for problem in document["results"]["problems"]:
            for column in _columns(problem):
                methods = _at(problem, column)
                games = [methods[label] for label in methods
                         if form in label and "without" not in label]  # fmt: skip
                failing = [_failing(methods[_BASELINE])] + [_failing(game) for game in games]
                name = f"{column[0]} at {column[1]:g} ({problem['title'].split(' · ')[0]})"
                if failing[0] > max(failing[1:]):
                    whole = "all" if failing[0] == 1 else "some"
                    rest = "none" if max(failing[1:]) == 0 else "fewer"
                    holds.append(f"{name}, {whole} against {rest}")
                elif min(failing[1:]) > 0:
                    lost.append(name)
        text = f"In the {form} form more runs of the baseline than of DGNOpt with K δx fail at "
        sentences.append(text + ("; ".join(holds) if holds else "no rate") + ".")
        if lost:
            sentences.append(f"DGNOpt does not do better, and fails too, at {'; '.join(lost)}.")
    sentences += _feedback_sentences(document)
    shares = _fates(document, _group)
    learned = ", ".join(
        f"{name} {count['learned']} of {sum(count.values())}" for name, count in shares.items()
    )
    return " ".join(sentences) + f" Runs that learned: {learned}."


def _feedback_sentences(document: dict[str, Any]) -> list[str]:
    """Where fewer or more runs fail with K δx than without it."""
    fewer: list[str] = []
    more: list[str] = []
    for problem in document["results"]["problems"]:
        for column in _columns(problem):
            methods = _at(problem, column)
            for label in methods:
                if f"{label}, without K δx" in methods:
                    change = _failing(methods[label]) - _failing(methods[f"{label}, without K δx"])
                    name = (f"{column[0]} at {column[1]:g}, {label} "
                            f"({problem['title'].split(' · ')[0]})")  # fmt: skip
                    if change:
                        (fewer if change < 0 else more).append(name)
    return [
        f"With K δx {word} runs fail than without it at {'; '.join(names) or 'no rate'}."
        for word, names in (("fewer", fewer), ("more", more))
    ]


def _failing(method: dict[str, Any]) -> float:
    """The share of a method's runs that did not learn."""
    return float(np.mean([fate(run) != "learned" for run in method["runs"]]))


def _group(label: str) -> str:
    """FNE and GR together: the baseline, a form, a form without K δx."""
    return label if label == _BASELINE else label.split(", ", 1)[1]
