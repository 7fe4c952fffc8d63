"""Figure 8: learning rates that are too large for the baseline, with and without the game."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from reproduce import figures, verdicts
from reproduce.dgnopt import experiment
from reproduce.dgnopt.problems import QUICK_STEPS
from reproduce.report import Table

_RATES = {"SGD": [0.3, 1.0], "EKFAC": [0.1, 0.3]}
#: Rates at which SGD and EKFAC diverge from every seed on the inception network.
_LARGE = {"SGD": [3.0], "EKFAC": [0.1]}
#: One of `_RATES` a curvature.
_ONE = {"SGD": [1.0], "EKFAC": [0.1]}
_FORMS = ["proximal", "explicit"]
PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {
        "kind": "residual", "steps": 4, "seeds": 1, "rates": {"SGD": [0.3, 1.0]},
        "forms": ["proximal"],
    },
    "quick": {
        "kind": "residual", "steps": QUICK_STEPS, "seeds": 2, "rates": _ONE, "forms": _FORMS,
        "problems": 1,
    },
    "standard": {"kind": "inception", "steps": 300, "seeds": 3, "rates": _LARGE, "forms": _FORMS},
    "paper": {"kind": "inception", "steps": 20000, "seeds": 4, "rates": _RATES, "forms": _FORMS},
}  # fmt: skip
#: Points of a curve.
_POINTS = 20
#: Per cent of the test images; a run that ends below it has learned nothing worth the name.
_LEARNED = 50.0
#: Losses are drawn between these; runs that diverge end above, every method in a lane of its own.
_FLOOR, _CEILING = 1e-3, 30.0
_LANE = 1.7
_BASELINE, _WITHOUT = "baseline", ", without K δx"


def run(context: Any) -> dict[str, Any]:
    """Trains baseline and games at every rate, without a step guard.

    With one player in every stage feedback and cooperation are the same step: the residual
    networks, whose identity skips leave no slack, are trained with feedback only.
    """
    settings = context.settings
    entries = [entry for name in settings["rates"] for entry in _entries(name, settings)]
    longest = np.max(list(settings["steps"].values()) if isinstance(settings["steps"], dict)
                     else settings["steps"])  # fmt: skip
    evaluate = max(1, int(longest) // _POINTS)
    found = experiment.experiment(context, settings["kind"], entries, evaluate_every=evaluate)
    return {"problems": found}


def _entries(curvature: str, settings: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The baseline and the games of one curvature, at each of its rates."""
    variants: list[tuple[str, dict[str, Any]]] = [(_BASELINE, {"name": curvature})]
    for form in settings["forms"]:
        for name, structure in _structures(settings["kind"]).items():
            game = {"name": curvature, "structure": structure, "form": form, "guard": False}
            variants.append((f"{name}, {form}", game))
            variants.append((f"{name}, {form}{_WITHOUT}", game | {"state_feedback": False}))
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
    from matplotlib.lines import Line2D

    forms = document["settings"]["forms"]
    problems = document["results"]["problems"]
    lines = [(problem, form) for problem in problems for form in forms]
    widest = max(map(len, map(_columns, problems)))
    figure, axes = pyplot.subplots(
        len(lines), widest, figsize=(3.1 * widest + 0.6, 2.5 * len(lines) + 0.9), squeeze=False,
        sharex=True, sharey="row",
    )  # fmt: skip
    drawn: dict[str, dict[str, Any]] = {}
    for row, (problem, form) in zip(axes, lines, strict=True):
        for axis, column in zip(row, _columns(problem), strict=False):
            drawn |= _panel(axis, _at(problem, column), form)
            axis.set_title(f"{column[0]}, rate {column[1]:g}, {form} form", fontsize=9)
        least = min((min(line.get_ydata()) for axis in row for line in axis.lines
                     if len(line.get_ydata())), default=1.0)  # fmt: skip
        bottom = 0.7 * min(least, 1.0)
        row[0].set(yscale="log", ylim=(bottom, _CEILING * _LANE**6))
        row[0].set_yticks([tick for tick in 10.0 ** np.arange(-3, 2) if tick >= bottom])
        row[0].set_ylabel(f"{problem['title'].split(' · ')[0]}\ntraining loss (nats)", fontsize=9)
    for axis in axes[-1]:
        axis.set_xlabel("step")
    handles = [Line2D([], [], **look, label=label) for label, look in drawn.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles),
                  title="a line a run; a marker in the grey strip: it diverged")  # fmt: skip
    return [figures.save(figure, stem)]


def _panel(axis: Any, methods: dict[str, Any], form: str) -> dict[str, dict[str, Any]]:
    """Draws the runs of one form and the baseline's; returns label → style."""
    axis.axhspan(_CEILING, _CEILING * _LANE**6, color="#e9e9e9", zorder=0, linewidth=0)
    drawn = {}
    for label, method in methods.items():
        if label != _BASELINE and form not in label:
            continue
        shown = label.replace(f", {form}", "")
        place = 0 if label == _BASELINE else 1 + shown.startswith("GR") + 2 * (_WITHOUT in label)
        drawn[shown] = figures.STYLES[place]
        look = {k: v for k, v in figures.STYLES[place].items() if k != "marker"}
        for one in method["runs"]:
            lost = fate(one) == "diverged"
            steps, losses = _curve(one, _CEILING * _LANE ** (place + 0.7), lost)
            axis.plot(steps, losses, linewidth=1.2, **look)
            if lost and steps:
                axis.plot(steps[-1], losses[-1], linestyle="", ms=5.5, color=look["color"],
                          marker=figures.STYLES[place]["marker"])  # fmt: skip
    return drawn


def _curve(run: dict[str, Any], lane: float, lost: bool) -> tuple[list[int], list[float]]:
    """Steps and losses; of a run that diverged up to the first loss beyond the ceiling, put in the
    method's lane."""
    curve = run.get("curve") or {"step": [], "loss": []}
    steps: list[int] = []
    losses: list[float] = []
    for step, loss in zip(curve["step"], curve["loss"], strict=True):
        steps.append(step)
        beyond = loss is None or loss > _CEILING
        losses.append(_CEILING if beyond else max(loss, _FLOOR))
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
    return [*tables, _feedback_term(document)]


def _feedback_term(document: dict[str, Any]) -> Table:
    """What K δx changes, in runs that learned with it and without it."""
    rows = []
    for problem in document["results"]["problems"]:
        for column in _columns(problem):
            methods = _at(problem, column)
            for label, method in methods.items():
                if label + _WITHOUT not in methods:
                    continue
                pair = _learned(methods[label + _WITHOUT]), _learned(method)
                change = experiment.difference(*pair)
                if change["pairs"]:
                    rows.append((_setting(problem, column), label, str(change["pairs"]),
                                 experiment.verdict(change)))  # fmt: skip
    title = ("Accuracy with K δx minus without it, in points, of the seeds that learned with both, "
             "with a 95 % interval")  # fmt: skip
    return Table(title, ("setting", "method", "seeds", "change"), rows)


def _learned(method: dict[str, Any]) -> dict[str, Any]:
    """The method with every run that did not learn as one that diverged."""
    runs = [one if fate(one) == "learned" else {**one, "diverged": True} for one in method["runs"]]
    return {**method, "runs": runs}


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
        f"{experiment.steps_shown(document)} of batch {problem['batch']} at a constant rate, "
        f"{settings['seeds']} seeds, the step guard off. The baseline is Keras's SGD or EKFAC in "
        "open loop. *Without K δx* the open gains k of the same recursion are applied alone. A "
        "run has diverged if its loss is not finite or ends above twice that of a uniform guess; "
        f"it is stuck if it ends below {_LEARNED:g} % of the test images.{same} "
        f"{_conclusions(document)} Data: {'; '.join(sources)}."
    )


def _conclusions(document: dict[str, Any]) -> str:
    """The paper's claim, setting by setting, and the share of runs that learned."""
    settings = [(problem, column) for problem in document["results"]["problems"]
                for column in _columns(problem)]  # fmt: skip
    games = dict.fromkeys(
        label for problem, column in settings for label in _at(problem, column)
        if label != _BASELINE and _WITHOUT not in label
    )  # fmt: skip
    sentences = [f"Against the baseline at the same rate, in {len(settings)} settings:"]
    for label in games:
        against: dict[str, list[str]] = {"fewer": [], "as many": [], "more": []}
        for problem, column in settings:
            methods = _at(problem, column)
            change = _failing(methods[label]) - _failing(methods[_BASELINE])
            word = "as many" if change == 0 else "fewer" if change < 0 else "more"
            against[word].append(_setting(problem, column))
        counts = (f"{word} at {_named(names)}" for word, names in against.items() if names)
        sentences.append(f"runs of {label} fail: {', '.join(counts)};")
    sentences[-1] = sentences[-1][:-1] + "."
    fewer, more = [], []
    for problem, column in settings:
        methods = _at(problem, column)
        for label, method in methods.items():
            if label + _WITHOUT in methods:
                change = _failing(method) - _failing(methods[label + _WITHOUT])
                name = f"{_setting(problem, column)}, {label}"
                fewer += [name] * (change < 0)
                more += [name] * (change > 0)
    sentences.append(f"K δx makes fewer runs fail at {_named(fewer)} and more at {_named(more)}.")
    learned = ", ".join(
        f"{name} {count['learned']} of {sum(count.values())}"
        for name, count in _fates(document, _group).items()
    )
    return f"{' '.join(sentences)} Runs that learned: {learned}."


def _setting(problem: dict[str, Any], column: tuple[str, float]) -> str:
    return f"{problem['data']}, {column[0]} {column[1]:g}"


def _named(names: list[str]) -> str:
    """How many, and which."""
    return f"{len(names)} ({'; '.join(names)})" if names else "none"


def _failing(method: dict[str, Any]) -> float:
    """The share of a method's runs that did not learn."""
    return float(np.mean([fate(run) != "learned" for run in method["runs"]]))


def _group(label: str) -> str:
    """FNE and GR together: the baseline, a form, a form without K δx."""
    return label if label == _BASELINE else label.split(", ", 1)[1]


def finding(document: dict[str, Any]) -> tuple[str, str]:
    """What should hold, and how many runs of every method learned."""
    counts = _fates(document, lambda label: label)
    seen = ", ".join(
        f"{label} {count['learned']} of {sum(count.values())}" for label, count in counts.items()
    )
    wanted = "at steps too large for the baseline DGNOpt still converges"
    return wanted, f"runs that learned: {seen}"


def holds(document: dict[str, Any]) -> str:
    """Whether every run of every game learns where the baseline's fail."""
    flags = []
    for problem in document["results"]["problems"]:
        for column in _columns(problem):
            methods = _at(problem, column)
            if _failing(methods[_BASELINE]) > 0:
                games = (m for label, m in methods.items() if label != _BASELINE)
                flags += [fate(run) == "learned" for game in games for run in game["runs"]]
    return verdicts.all_of(flags)
