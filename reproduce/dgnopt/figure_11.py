"""Figure 11: fictitious agents against the naive partition of every layer's units."""

from pathlib import Path
from typing import Any

import numpy as np

from reproduce import figures, verdicts
from reproduce.dgnopt import curves, experiment
from reproduce.dgnopt.problems import DATA_TITLES, QUICK_STEPS
from reproduce.report import Table

#: Comparisons: what each is called, what it adds to the optimizer, and the factor on the tuned
#: rate; `{}` and "N" are the number of players.
_PLAYERS: dict[str, tuple[dict[str, Any], str]] = {
    "ordinary, rate × {}": ({}, "1"),
    "{} agents (16)": ({"structure": "cooperative", "agents": "N"}, "1/N"),
    "{} parts": ({"structure": "cooperative", "form": "coupled", "parts": "N"}, "1/N"),
    "{0} parts, rate × {0}": ({"structure": "cooperative", "form": "coupled", "parts": "N"}, "1"),
    "one player, proximal": ({"structure": "cooperative"}, "1/N"),
    "{} parts, proximal": ({"structure": "cooperative", "parts": "N"}, "1/N"),
}
_ALL = list(_PLAYERS)
PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {
        "kind": "residual", "steps": 4, "seeds": 1, "every": 2, "number": 2,
        "methods": {"SGD": _ALL[1:4]},
    },
    "quick": {
        "kind": "feedforward", "steps": QUICK_STEPS, "seeds": 2, "every": 10, "number": 4,
        "methods": {"SGD": _ALL},
    },
    "standard": {
        "kind": "feedforward", "steps": 300, "seeds": 3, "every": 20, "number": 4,
        "methods": {"SGD": _ALL},
    },
    "paper": {
        "kind": "feedforward", "steps": 20000, "seeds": 4, "every": 200, "number": 4,
        "methods": {"SGD": _ALL, "EKFAC": _ALL},
    },
}  # fmt: skip


def run(context) -> dict[str, Any]:
    """Trains every optimizer with agents, with parts, and with one player a layer.

    The rate is the tuned one divided by N, at which N agents of small curvature move about as far
    as the ordinary optimizer at the tuned rate; a partition also has the tuned rate.
    """
    settings = context.settings
    number = settings["number"]
    entries = []
    for name, chosen in settings["methods"].items():
        for label in chosen:
            given, factor = _PLAYERS[label]
            more = {key: number if value == "N" else value for key, value in given.items()}
            entries.append(
                experiment.entry(
                    f"{name}, {label.format(number)}", {"name": name, **more}, optimizer=name,
                    players=label.format(number),
                    rate_times=1.0 if factor == "1" else 1.0 / number,
                )
            )  # fmt: skip
    problems = experiment.experiment(
        context, settings["kind"], entries, evaluate_every=settings["every"]
    )
    return {"problems": problems}


def _of(problem: dict[str, Any], optimizer: str) -> list[dict[str, Any]]:
    return [method for method in problem["methods"] if method["optimizer"] == optimizer]


def _named(document: dict[str, Any], problem: dict[str, Any], optimizer: str) -> dict[str, Any]:
    """Methods of an optimizer by the keys of `_PLAYERS`."""
    number = document["settings"]["number"]
    by_label = {method["players"]: method for method in _of(problem, optimizer)}
    return {key: by_label[key.format(number)] for key in _PLAYERS if key.format(number) in by_label}


def _average_losses(method: dict[str, Any]) -> np.ndarray:
    """Training loss averaged over all steps, `(seeds,)`: lower is faster. NaN where it diverged."""
    return np.array([
        np.nan if "error" in run or run["diverged"] else np.mean(run["curve"]["loss"])
        for run in method["runs"]
    ])  # fmt: skip


def draw(document: dict[str, Any], stem: Path) -> list[Path]:
    """Training loss and test accuracy against steps, a row a problem and optimizer."""
    from matplotlib import pyplot

    pairs = [
        (problem, name)
        for problem in document["results"]["problems"]
        for name in document["settings"]["methods"]
    ]
    figure, axes = pyplot.subplots(len(pairs), 2, figsize=(10.8, 3.2 * len(pairs)), squeeze=False)
    keys = list(_PLAYERS)
    for row, (problem, name) in zip(axes, pairs, strict=True):
        for axis, what in zip(row, ("loss", "accuracy"), strict=True):
            for key, method in _named(document, problem, name).items():
                look = figures.STYLES[keys.index(key)]
                curves.plot(axis, method, what, look, method["players"])
            curves.finish(axis, what, f"{name} · {problem['title']}".replace(" · ", "\n", 1))
        row[1].legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8)
    return [figures.save(figure, stem)]


def summary(document: dict[str, Any]) -> list[Table]:
    """Accuracy and loss of every way to make players, beside those of fictitious agents."""
    rows, apart = [], []
    for problem in document["results"]["problems"]:
        for name in document["settings"]["methods"]:
            named = _named(document, problem, name)
            reference = named["{} agents (16)"]
            for method in named.values():
                averages = _average_losses(method)
                good = averages[np.isfinite(averages)]
                change = slower = "reference"
                if method is not reference:
                    change = experiment.verdict(experiment.difference(reference, method))
                    slower = experiment.verdict(
                        experiment.paired_difference(_average_losses(reference), averages),
                        digits=3,
                    )
                rows.append((
                    problem["title"], method["label"], experiment.shown(method), change,
                    f"{np.mean(good):.3f}" if len(good) else "none finished", slower,
                ))  # fmt: skip
            if (largest := _largest_gap(named)) is not None:
                apart.append((problem["title"], name, f"{largest:.2g}"))
    steps, number = experiment.steps_shown(document), document["settings"]["number"]
    tables = [
        Table(
            f"{number} players a layer after {steps}: mean ± standard deviation (seeds), "
            f"differences paired by seed with a 95 % interval",
            ("data and network", "players", "test accuracy (%)", "minus agents (points)",
             "training loss over all steps (nats)", "minus agents (nats)"),
            rows,
        )
    ]  # fmt: skip
    if apart:
        tables.append(
            Table(
                "The partition and one player, both in proximal form: the largest difference "
                "between their curves of training loss",
                ("data and network", "optimizer", "nats"),
                apart,
            )
        )
    return tables


def _largest_gap(named: dict[str, Any]) -> float | None:
    """How far the curves of the proximal partition and of one player are ever apart."""
    keys = ("one player, proximal", "{} parts, proximal")
    if any(key not in named for key in keys):
        return None
    gaps = []
    for one, many in zip(*(named[key]["runs"] for key in keys), strict=True):
        if any("error" in run or run["diverged"] for run in (one, many)):
            continue
        gaps += list(np.abs(np.subtract(one["curve"]["loss"], many["curve"]["loss"])))
    return float(max(gaps)) if gaps else None


def markdown(document: dict[str, Any]) -> str:
    """The conditions of the runs, and what the numbers say."""
    settings, problems = document["settings"], document["results"]["problems"]
    number = settings["number"]
    rates = "; ".join(
        f"{p['title']}: " + ", ".join(
            f"{name} {_named(document, p, name)['{} agents (16)']['rate']:.3g}"
            for name in settings["methods"]
        )
        for p in problems
    )  # fmt: skip
    sources = sorted({str(p.get("source")) for p in problems})
    found = " ".join(
        _found(_named(document, problem, name), f"{name} on {problem['title']}")
        for problem in problems
        for name in settings["methods"]
    )
    return (
        f"Agents: {number} fictitious agents share all weights of a layer (16), coupled form. "
        f"Parts: the units or filters of every layer divided between {number} players, in the "
        "same coupled form and in the proximal form, beside the undivided network in that form; "
        "all in the cooperative structure. Ordinary: Keras's SGD, our EKFAC in open loop. "
        f"{experiment.steps_shown(document)} of batch {problems[0]['batch']} at a constant rate, "
        f"the one tuned for the ordinary optimizer divided by {number} ({rates}); where it says "
        f"rate × {number}, at the tuned rate, as far as {number} agents of small curvature move. "
        "The curves are means over seeds with a band of one "
        f"standard deviation. {found} Data: {'; '.join(sources)}."
    )


def _found(named: dict[str, Any], title: str) -> str:
    """Whether the partition is slower than the agents, by the loss over all steps."""
    parts = []
    for key, words in (
        ("{} parts", "the partition"),
        ("{0} parts, rate × {0}", "at the tuned rate it"),
    ):
        agents, own = (_average_losses(named[name]) for name in ("{} agents (16)", key))
        changed = experiment.paired_difference(agents, own)
        if changed["noise"] is None:
            lost = [f"{np.isnan(losses).sum()} of {len(losses)}" for losses in (own, agents)]
            parts.append(f"{words} loses {lost[0]} runs, the agents {lost[1]}")
            continue
        verdict = "as fast as the agents within the noise"
        if experiment.stands_out(changed):
            verdict = f"{'slower' if changed['change'] > 0 else 'faster'} than the agents"
        amount = f"{changed['change']:+.3f} ± {changed['noise']:.3f} nats"
        parts.append(f"{words} is {verdict} ({amount})")
    if (gap := _largest_gap(named)) is not None:
        parts.append(f"in proximal form it and one player are at most {gap:.2g} nats apart")
    return f"{title}: {'; '.join(parts)}."


def finding(document: dict[str, Any]) -> tuple[str, str]:
    """What should hold, and what the losses say."""
    seen = [
        _found(_named(document, problem, name), f"{name} on {DATA_TITLES[problem['data']]}")[:-1]
        for problem in document["results"]["problems"]
        for name in document["settings"]["methods"]
    ]
    wanted = "a partition of a layer is slower than agents, and for M = I is one player again"
    return wanted, "; ".join(seen)


def holds(document: dict[str, Any]) -> str:
    """Whether every partition loses more runs than the agents or is slower beyond the noise."""
    flags = []
    for problem in document["results"]["problems"]:
        for name in document["settings"]["methods"]:
            named = _named(document, problem, name)
            agents = _average_losses(named["{} agents (16)"])
            for key in ("{} parts", "{0} parts, rate × {0}"):
                parts = _average_losses(named[key])
                changed = experiment.paired_difference(agents, parts)
                slower = experiment.stands_out(changed) and changed["change"] > 0
                flags.append(bool(slower or np.isnan(parts).sum() > np.isnan(agents).sum()))
    return verdicts.all_of(flags)
