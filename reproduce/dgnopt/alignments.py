"""Why alignments differ so little: their updates on one batch, and training at larger steps, with
less depth and with less data."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from reproduce import figures, verdicts
from reproduce.dgnopt import alignment_updates, experiment, rates
from reproduce.dgnopt import problems as problem_list
from reproduce.dgnopt.problems import QUICK_STEPS
from reproduce.report import Table

_FORMS = ["proximal", "explicit"]
_TIMES = [0.01, 0.1, 1.0, 10.0]
_ALL = ["SGD", "K-FAC", "EKFAC"]
PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {
        "steps": 4, "seeds": 2, "optimizers": ["SGD"], "rungs": 2,
        "updates": {"curvatures": ["SGD"], "forms": ["proximal"], "times": [0.1, 1.0, 10.0],
                    "trained": [1]},
    },
    "quick": {
        "steps": QUICK_STEPS, "seeds": 2, "optimizers": ["SGD"], "rungs": 2,
        "updates": {"curvatures": _ALL, "forms": _FORMS, "times": _TIMES, "trained": [5]},
    },
    "standard": {
        "steps": 60, "seeds": 3, "optimizers": ["SGD"], "rungs": 2,
        "updates": {"curvatures": ["SGD", "EKFAC"], "forms": _FORMS, "times": [0.1, 1.0, 10.0],
                    "trained": [5]},
    },
    "paper": {
        "steps": 20000, "seeds": 4, "optimizers": ["SGD", "EKFAC"], "rungs": 3,
        "updates": {"curvatures": _ALL, "forms": _FORMS, "times": _TIMES, "trained": [0, 500]},
    },
}  # fmt: skip
_ALIGNMENTS = {
    "as soon as possible": {"alignment": "asap"},
    "as late as possible": {"alignment": "alap"},
    "random": {"policy": "random"},
}
_EARLY, *_OTHERS = _ALIGNMENTS


def run(context: Any) -> dict[str, Any]:
    """Measures the updates, then trains at the tuned rate and at the largest that does not diverge.

    The largest rate is the last of a ladder of half decades from the tuned one up to which no run
    with the earliest alignment diverges. The rates are those of the network and data set of figure
    10, also for fewer blocks and images.
    """
    settings = context.settings
    tuned_on = {problem["data"]: problem for _, problem in context.problems(["aligned"])}
    problems: list[dict[str, Any]] = []
    updates: list[dict[str, Any]] = []
    for _, problem in context.problems(["alignments"]):
        tuned = {
            name: rates.rate_for(context, tuned_on[problem["data"]], {"method": {"name": name}})
            for name in dict.fromkeys([*settings["optimizers"], *settings["updates"]["curvatures"]])
        }
        others = _OTHERS if not problems else _OTHERS[:1]
        problems.append(_trained(context, problem, tuned, others))
        if not problem.get("train") or context.preset == "smoke":
            updates += _updates(context, problem, tuned)
    return {"problems": problems, "updates": updates}


def _trained(
    context: Any, problem: dict[str, Any], tuned: dict[str, Any], alignments: list[str]
) -> dict[str, Any]:
    settings = context.settings
    every = experiment.steps_on(settings, problem["data"]) // 2
    ladders = {}
    for name in settings["optimizers"]:
        ladders[name] = [tuned[name][0]]
        while len(ladders[name]) < settings["rungs"]:
            ladders[name].append(rates.neighbour(ladders[name][-1], 1))
    first = [_entry(name, _EARLY, rate) for name, ladder in ladders.items() for rate in ladder]
    [found] = experiment.experiment(context, [problem], first, evaluate_every=every)
    found["levels"] = {
        name: {"tuned": ladder[0], "largest": _largest(found, name, ladder)}
        for name, ladder in ladders.items()
    }
    more = [
        _entry(name, alignment, rate)
        for name, levels in found["levels"].items()
        for alignment in alignments
        for rate in dict.fromkeys(levels.values())
    ]
    [others] = experiment.experiment(context, [problem], more, evaluate_every=every)
    found["methods"] += others["methods"]
    found["others"] = alignments
    found["rates_from"] = {name: origin for name, (_, origin) in tuned.items()}
    return found


def _entry(name: str, alignment: str, rate: float) -> dict[str, Any]:
    method = {"name": name, "structure": "cooperative", **_ALIGNMENTS[alignment]}
    return experiment.entry(
        f"{name}, {alignment}, rate {rate:g}", method, optimizer=name, aligned=alignment, rate=rate
    )


def _largest(problem: dict[str, Any], name: str, ladder: list[float]) -> float:
    largest = ladder[0]
    for rate in ladder:
        if np.isnan(experiment.accuracies(_method(problem, name, _EARLY, rate))).any():
            break
        largest = rate
    return largest


def _method(problem: dict[str, Any], name: str, alignment: str, rate: float) -> dict[str, Any]:
    return next(
        method
        for method in problem["methods"]
        if (method["optimizer"], method["aligned"], method["rate"]) == (name, alignment, rate)
    )


def _updates(
    context: Any, problem: dict[str, Any], tuned: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    wanted = context.settings["updates"]
    for name in wanted["curvatures"]:
        print(f"updates: {problem_list.title(problem)}, {name}", flush=True)
        for row in alignment_updates.measure(
            problem, {"name": name, "structure": "cooperative"}, wanted["forms"], tuned[name][0],
            wanted["times"], wanted["trained"], context.seed,
        ):  # fmt: skip
            yield {"problem": problem_list.title(problem), "curvature": name, **row}


def draw(document: dict[str, Any], stem: Path) -> list[Path]:
    """The difference of updates against the rate, and the differences of accuracy."""
    return [_draw_updates(document, stem), _draw_training(document, stem)]


def _draw_updates(document: dict[str, Any], stem: Path) -> Path:
    from matplotlib import pyplot

    rows = document["results"]["updates"]
    titles = list(dict.fromkeys(row["problem"] for row in rows))
    points = list(dict.fromkeys(row["trained"] for row in rows))
    names = list(dict.fromkeys(row["curvature"] for row in rows))
    figure, axes = pyplot.subplots(
        len(points), len(titles), figsize=(4.2 * len(titles), 3.2 * len(points) + 0.5),
        squeeze=False, sharex=True, sharey=True,
    )  # fmt: skip
    drawn: dict[str, Any] = {}
    for line, trained in zip(axes, points, strict=True):
        for axis, title in zip(line, titles, strict=True):
            for row in rows:
                if (row["problem"], row["trained"]) != (title, trained):
                    continue
                look = dict(figures.STYLES[names.index(row["curvature"])])
                look["linestyle"] = "-" if row["form"] == "proximal" else "--"
                label = f"{row['curvature']}, {row['form']}"
                drawn[label] = axis.plot(row["times"], row["late"], label=label, **look)[0]
            axis.set(xscale="log", yscale="log")
            after = f"after {trained} steps" if trained else "at initialisation"
            axis.set_title(f"{title.replace(' · ', chr(10), 1)}\n{after}", fontsize=8.5)
        line[0].set_ylabel("relative difference of the update,\nlatest against earliest alignment",
                           fontsize=8.5)  # fmt: skip
    for axis in axes[-1]:
        axis.set_xlabel("rate / tuned rate")
    figure.legend(handles=list(drawn.values()), loc="outside lower center", fontsize=8,
                  ncols=min(len(names), 2 * len(titles)))  # fmt: skip
    return figures.save(figure, stem, ".updates")


def _levels(problem: dict[str, Any]) -> Iterator[tuple[str, str, float]]:
    """Optimizer, name of the level and rate; the tuned rate alone where it is the largest."""
    for name, levels in problem["levels"].items():
        for level, rate in levels.items():
            if level == "tuned" or rate != levels["tuned"]:
                yield name, level, rate


def _changes(
    document: dict[str, Any],
) -> Iterator[tuple[dict[str, Any], str, str, float, dict[str, dict[str, Any]]]]:
    """Problem, optimizer, level, rate, and the change from the earliest by alignment."""
    for problem in document["results"]["problems"]:
        for name, level, rate in _levels(problem):
            early = _method(problem, name, _EARLY, rate)
            yield (
                problem,
                name,
                level,
                rate,
                {
                    other: experiment.difference(early, _method(problem, name, other, rate))
                    for other in problem["others"]
                },
            )


def _draw_training(document: dict[str, Any], stem: Path) -> Path:
    """Every paired change with its interval, a panel a problem."""
    from matplotlib import pyplot

    problems = document["results"]["problems"]
    changes = list(_changes(document))
    most = max(sum(1 for _ in _levels(problem)) for problem in problems)
    figure, axes = pyplot.subplots(
        1, len(problems), figsize=(3.6 * len(problems) + 1.4, 1.6 + 0.55 * most), squeeze=False,
        sharex=True,
    )  # fmt: skip
    for axis, problem in zip(axes[0], problems, strict=True):
        mine = [change for change in changes if change[0] is problem]
        for height, (*_, found) in enumerate(mine):
            for place, (other, change) in enumerate(found.items()):
                if change["change"] is None:
                    continue
                look = figures.STYLES[place]
                axis.errorbar(
                    change["change"], height + 0.25 * (place - 0.5), xerr=change["noise"],
                    color=look["color"], marker=look["marker"], linestyle="none", capsize=3,
                    label=other if height == 0 else None,
                )  # fmt: skip
        axis.axvline(0.0, color="#777777", linewidth=0.8)
        axis.set_yticks(range(len(mine)),
                        [f"{name} at {rate:g}\n({level})" for _, name, level, rate, _ in mine],
                        fontsize=8)  # fmt: skip
        axis.set_ylim(len(mine) - 0.5, -0.5)
        axis.set_title(problem["title"].replace(" · ", "\n", 1), fontsize=8.5)
        axis.set_xlabel("points of test accuracy")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2,
                  title=f"minus {_EARLY}, 95 % interval of pairs")  # fmt: skip
    return figures.save(figure, stem, ".training")


def summary(document: dict[str, Any]) -> list[Table]:
    """Differences of updates, and of accuracies."""
    updates = [
        (
            row["problem"], row["curvature"], row["form"], str(row["trained"]),
            f"{row['tuned']:g}", "–" if row["slope"] is None else f"{row['slope']:.2f}",
            *(_percent(value) for value in row["late"]),
            f"{_percent(min(row['at_tuned']))} to {_percent(max(row['at_tuned']))}",
            _percent(row["batch"]),
        )
        for row in document["results"]["updates"]
    ]  # fmt: skip
    factors = document["settings"]["updates"]["times"]
    trained = []
    for problem, name, level, rate, found in _changes(document):
        early = experiment.shown(_method(problem, name, _EARLY, rate))
        others = (
            experiment.shown(_method(problem, name, other, rate)) if other in found else "–"
            for other in _OTHERS
        )
        verdicts = (
            experiment.verdict(found[other]) if other in found else "–" for other in _OTHERS
        )
        trained.append((problem["title"], name, f"{rate:g}, {level}", early, *others, *verdicts))
    return [
        Table(
            "Relative difference of the update of all weights from that of the earliest alignment: "
            "of the latest one at multiples of the tuned rate, and over all others at the tuned "
            "rate; beside it the difference between two batches",
            ("data and network", "curvature", "form", "steps before", "tuned rate", "exponent",
             *(f"× {factor:g}" for factor in factors), "all alignments, × 1", "next batch, × 1"),
            updates,
        ),
        Table(
            "Test accuracy (%), mean ± standard deviation (seeds), and differences from the "
            "earliest alignment in points, paired by seed, with a 95 % interval",
            ("data and network", "optimizer", "rate", *_ALIGNMENTS,
             *(f"{other}, difference" for other in _OTHERS)),
            trained,
        ),
    ]  # fmt: skip


def _percent(value: float) -> str:
    return f"{100 * value:.2g} %"


def markdown(document: dict[str, Any]) -> str:
    """What is measured and trained, why alignments could differ, and what the numbers say."""
    settings, problems = document["settings"], document["results"]["problems"]
    origins = sorted({origin for p in problems for origin in p["rates_from"].values()})
    sources = sorted({str(p.get("source")) for p in problems})
    return (
        "Figure 10 sees no difference between alignments. Step size, curvature, depth and the "
        "amount of data could hide one; here they are varied, all in the cooperative structure. "
        "*First*, one step on one batch in double precision: the relative difference of the update "
        "of all weights. In the proximal form every schedule solves the same quadratic problem, "
        "the linearised game of the batch, and its minimiser is one; what is left comes from the "
        "nonlinear part of δx, of second order in the rate (exponent 2). EKFAC solves the "
        "recursion with K-FAC's kernel, and the explicit form leaves out the kernels of a player's "
        "own stage, so there the difference is lr C Γ, of first order (exponent 1). The exponent "
        "is fitted up to the tuned rate. *Second*, training: "
        f"{experiment.steps_shown(document)} of batch {problems[0]['batch']} in proximal form at "
        "the tuned rate and at the largest of its half decades at which no run with the earliest "
        f"alignment diverged ({settings['rungs']} rates tried), {settings['seeds']} seeds; random "
        "alignments on the first network only. Tuned "
        f"rates are those of figure 10's network ({'; '.join(origins)}); a rate that nothing was "
        f"searched for is the default. {_found(document)} Data: {'; '.join(sources)}."
    )


def _found(document: dict[str, Any]) -> str:
    updates, parts = document["results"]["updates"], []
    for form in dict.fromkeys(row["form"] for row in updates):
        mine = [row for row in updates if row["form"] == form]
        own = [max(row["at_tuned"]) for row in mine]
        low, high = min(own), max(own)
        parts.append(f"{_percent(low)} to {_percent(high)} in the {form} form")
    batches = [row["batch"] for row in updates]
    return (
        "At the tuned rate the alignment furthest from the earliest changes the update by "
        f"{' and '.join(parts)}, another batch by {_percent(min(batches))} to "
        f"{_percent(max(batches))}. Trained, {_counted(document)}."
    )


def _counted(document: dict[str, Any]) -> str:
    parts = []
    for level in ("tuned", "largest"):
        flat = [
            change
            for _, _, at, _, found in _changes(document)
            for change in found.values()
            if at == level
        ]
        if not flat:
            continue
        known = [change for change in flat if change["noise"] is not None]
        out = sum(experiment.stands_out(change) for change in known)
        most = max((abs(change["change"]) for change in known), default=None)
        text = f"{out} of {len(flat)} differences at the {level} rate are outside the noise"
        if most is not None:
            text += f" (largest {most:.2f} points)"
        if len(known) < len(flat):
            text += f", {len(flat) - len(known)} have too few finished pairs"
        parts.append(text)
    return "; ".join(parts)


def finding(document: dict[str, Any]) -> tuple[str, str]:
    """What should hold if alignments matter, and what was seen."""
    wanted = (
        "alignments, which make no difference in figure 10, make one at larger steps, with other "
        "curvature, less depth or less data"
    )
    return wanted, _found(document)[:-1]


def holds(document: dict[str, Any]) -> str:
    """Whether alignments differ beyond the noise in every setting, in some, or in none."""
    flat = [change for *_, found in _changes(document) for change in found.values()]
    known = [change for change in flat if change["noise"] is not None]
    return verdicts.all_of([experiment.stands_out(change) for change in known])
