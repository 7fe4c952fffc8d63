"""Figure 9 and Table 4: fictitious agents in SGD and EKFAC."""

from pathlib import Path
from typing import Any

import numpy as np

from reproduce import figures, verdicts
from reproduce.dgnopt import curves, experiment
from reproduce.dgnopt.problems import DATA_TITLES, QUICK_STEPS
from reproduce.report import Table

PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {"steps": 4, "seeds": 1, "every": 2, "optimizers": ["SGD"], "agents": [1, 2]},
    "quick": {
        "steps": QUICK_STEPS, "seeds": 2, "every": 10, "optimizers": ["SGD"],
        "agents": [1, 2, 6],
    },
    "standard": {
        "steps": 400, "seeds": 3, "every": 10, "optimizers": ["SGD", "EKFAC"],
        "agents": [1, 2, 4, 6],
    },
    "paper": {
        "steps": 20000, "seeds": 4, "every": 50, "optimizers": ["SGD", "EKFAC"],
        "agents": [1, 2, 4, 6],
    },
}  # fmt: skip
#: Test accuracy to be reached, percent.
TARGETS = {"digits": 90.0, "fashion-mnist": 80.0, "svhn": 80.0, "cifar10": 60.0}
#: The paper's Table 4: thousands of steps to `TARGETS` with 1, 2, 4 and 6 agents.
PAPER = {"svhn": (5.14, 2.31, 1.25, 0.8), "cifar10": (3.62, 2.97, 2.98, 5.83)}
#: Test images on which a curve's accuracy is measured.
_CURVE_IMAGES = 1000


def run(context) -> dict[str, Any]:
    """Trains with every number of agents, and the ordinary optimizer at as many times the rate.

    N agents of small curvature move as far as the ordinary optimizer at N times the rate. All of
    it is done at two rates: the one tuned for N = 1, and one so small that the largest number of
    agents moves about as far as the tuned N = 1.
    """
    settings = context.settings
    counts = settings["agents"]
    entries = []
    for name in settings["optimizers"]:
        factors = {count * base for base in _bases(counts).values() for count in counts}
        entries += [
            experiment.entry(
                f"{name}, rate × {factor:.3g}", {"name": name}, optimizer=name, agents=1,
                rate_times=factor,
            )
            for factor in sorted(factors)
        ]  # fmt: skip
        for count in counts:
            method = {"name": name, "structure": "cooperative", "agents": count}
            entries += [
                experiment.entry(
                    f"{name}, N = {count}, rate × {base:.3g}", method, optimizer=name,
                    agents=count, rate_times=base,
                )
                for base in _bases(counts).values()
                if count > 1
            ]  # fmt: skip
    problems = experiment.experiment(
        context, "feedforward", entries,
        evaluate_every=settings["every"], curve_images=_CURVE_IMAGES,
    )  # fmt: skip
    for problem in problems:
        problem["target"] = TARGETS[problem["data"]]
    return {"problems": problems}


def _bases(counts: list[int]) -> dict[str, float]:
    """Factors on the tuned rate, by name."""
    return {"tuned": 1.0, "small": 1.0 / max(counts)}


class _Ladder:
    """The methods of one optimizer on one problem at one base rate, by N.

    Attributes:
        title: optimizer, rate and problem.
        head: of the rows of tables.
        target: test accuracy, percent.
        most: steps of a run.
        agents: N agents; the ordinary optimizer for N = 1.
        ordinary: the ordinary optimizer at N times the base rate.
    """

    def __init__(self, problem: dict[str, Any], optimizer: str, level: str, counts: list[int]):
        base = _bases(counts)[level]
        methods = {
            (method["agents"], round(method["rate_times"], 9)): method
            for method in problem["methods"]
            if method["optimizer"] == optimizer
        }
        self.agents = {n: methods[n, round(base, 9)] for n in counts}
        self.ordinary = {n: methods[1, round(n * base, 9)] for n in counts}
        self.target, self.most = problem["target"], problem["steps"]
        rate = f"{self.agents[1]['rate']:.3g}"
        self.title = f"{optimizer}, rate {rate} ({level})\n{problem['title']}"
        self.data = problem["data"]
        self.head = (problem["title"], optimizer, f"{rate}, {level}")
        self.name = f"{optimizer} at {rate} on {DATA_TITLES[problem['data']]}"

    def steps(self, methods: dict[int, dict[str, Any]]) -> dict[int, np.ndarray]:
        """Steps to the target, `(seeds,)`, by N."""
        return {n: curves.steps_to(method, self.target) for n, method in methods.items()}


def _ladders(document: dict[str, Any], optimizer: str | None = None) -> list[_Ladder]:
    settings = document["settings"]
    return [
        _Ladder(problem, name, level, settings["agents"])
        for problem in document["results"]["problems"]
        for name in settings["optimizers"]
        for level in _bases(settings["agents"])
        if optimizer in (None, name)
    ]


def draw(document: dict[str, Any], stem: Path) -> list[Path]:
    """A figure an optimizer, a row a problem and rate: loss, accuracy, steps to the target."""
    return [_draw(document, name, stem) for name in document["settings"]["optimizers"]]


def _draw(document: dict[str, Any], optimizer: str, stem: Path) -> Path:
    from matplotlib import pyplot

    ladders = _ladders(document, optimizer)
    figure, axes = pyplot.subplots(
        len(ladders), 3, figsize=(12.4, 3.1 * len(ladders)), squeeze=False
    )
    for row, ladder in zip(axes, ladders, strict=True):
        for axis, key in zip(row, ("loss", "accuracy"), strict=False):
            for place, (count, method) in enumerate(ladder.agents.items()):
                curves.plot(axis, method, key, figures.STYLES[place], f"N = {count}")
            curves.finish(axis, key, ladder.title)
        row[1].axhline(ladder.target, color="#777777", linewidth=0.8)
        row[1].annotate(
            "target", (0, ladder.target), (3, 2), xycoords=row[1].get_yaxis_transform(),
            textcoords="offset points", fontsize=8, color="#555555",
        )  # fmt: skip
        row[1].legend(loc="best", fontsize=8)
        _draw_steps(row[2], ladder)
    return figures.save(figure, stem, f".{optimizer.lower()}")


def _draw_steps(axis: Any, ladder: _Ladder) -> None:
    """Steps to the target, every seed and their median; above the line where it was not reached."""
    most = ladder.most
    lines = [("N agents", ladder.agents), ("ordinary, rate × N", ladder.ordinary)]
    for place, (label, methods) in enumerate(lines):
        found = ladder.steps(methods)
        beyond = (1.07 + 0.06 * place) * most
        middle = [min(curves.typical_steps(steps), beyond) for steps in found.values()]
        axis.plot(list(found), middle, label=label, **figures.STYLES[place])
        for n, steps in found.items():
            height = np.where(np.isfinite(steps), steps, beyond)
            axis.plot(np.full(len(steps), n) + 0.12 * (2 * place - 1), height, ".", ms=4,
                      color="#9a9a9a")  # fmt: skip
    axis.axhline(most, color="#777777", linewidth=0.8)
    axis.set(xlabel="N", ylabel=f"steps to {ladder.target:g} % test accuracy", title=ladder.title)
    axis.title.set_fontsize(9)
    axis.set_xticks(list(ladder.agents))
    axis.set_ylim(0, 1.2 * most)
    ticks = [most * part / 4 for part in range(4)]
    axis.set_yticks([*ticks, 1.1 * most], [*(f"{tick:g}" for tick in ticks), f"over {most}"])
    axis.legend(loc="center right", fontsize=8)


def summary(document: dict[str, Any]) -> list[Table]:
    """Steps to the target, accuracy, and differences, by number of agents."""
    settings, problems = document["settings"], document["results"]["problems"]
    counts = settings["agents"]
    named = tuple(f"N = {count}" for count in counts)
    head = ("data and network", "optimizer", "rate")
    steps, accuracy, changes = [], [], []
    for ladder in _ladders(document):
        for text, methods in (("agents", ladder.agents), ("ordinary, rate × N", ladder.ordinary)):
            found = ladder.steps(methods)
            steps.append((*ladder.head, f"{ladder.target:g} %", text,
                          *(curves.shown_steps(found[n], ladder.most)
                            for n in counts)))  # fmt: skip
            accuracy.append((*ladder.head, text, *(experiment.shown(methods[n]) for n in counts)))
        for text, reference in (
            ("minus N = 1", dict.fromkeys(counts, ladder.agents[1])),
            ("minus ordinary, rate × N", ladder.ordinary),
        ):
            changes.append((*ladder.head, text, *(
                experiment.verdict(experiment.difference(reference[n], ladder.agents[n]))
                for n in counts if n > 1
            )))  # fmt: skip
    used = {problem["data"] for problem in problems}
    tables = [
        Table("Steps until the test accuracy first reaches the target: mean ± standard deviation "
              "(seeds)", (*head, "target", "players", *named), steps),
        Table("The paper's Table 4, steps to the target"
              + ("" if used & set(PAPER) else ", on data sets that this run did not use"),
              ("data", "target", *(f"N = {count}" for count in (1, 2, 4, 6))),
              [(DATA_TITLES[data], f"{TARGETS[data]:g} %", *(f"{value:g}k" for value in values))
               for data, values in PAPER.items()]),
        Table("Test accuracy at the end (%), mean ± standard deviation (seeds)",
              (*head, "players", *named), accuracy),
        Table("Test accuracy of N agents minus that of others, in points, paired by seed, with a "
              "95 % interval", (*head, "difference", *named[1:]), changes),
    ]  # fmt: skip
    return tables


def markdown(document: dict[str, Any]) -> str:
    """The conditions of the runs, and what the numbers say."""
    settings, problems = document["settings"], document["results"]["problems"]
    sources = sorted({str(p.get("source")) for p in problems})
    found = " ".join(_found(ladder) for ladder in _ladders(document))
    return (
        "N fictitious agents share the weights of every layer, θ = Σ_n θ_n (16), in the coupled "
        "form of the cooperative structure; N = 1 is the ordinary optimizer (Keras's SGD, our "
        f"EKFAC in open loop). {experiment.steps_shown(document)} of batch "
        f"{problems[0]['batch']} at a constant rate, the same for every N: "
        f"the one tuned for N = 1, and that divided by {max(settings['agents'])}. Where curvature "
        "is small N agents move as far as the "
        "ordinary optimizer at N times the rate, which therefore stands beside them. The curves "
        "are means over seeds with a band of one standard deviation. The accuracy of a curve is "
        f"measured every {settings['every']} steps on at most {_CURVE_IMAGES:,} test images, the "
        "final one on all. A target counts as reached at the first such measurement, and not at "
        "all by a run that diverges. The lines to the right are medians over seeds. "
        f"{found} Data: {'; '.join(sources)}."
    )


def _found(ladder: _Ladder) -> str:
    """Which N, and which larger rate, comes to the target first, and the final accuracies."""
    fastest = []
    for methods, text in ((ladder.agents, "N = {}"), (ladder.ordinary, "N = 1 at {} times it")):
        typical = {n: curves.typical_steps(steps) for n, steps in ladder.steps(methods).items()}
        best = min(typical, key=lambda n: typical[n])
        words = "N = 1" if best == 1 else text.format(best)
        reached = np.isfinite(typical[best])
        fastest.append(
            f"{words} ({typical[best]:.0f})" if reached else f"none within {ladder.most}"
        )
    changes = [
        experiment.difference(ladder.ordinary[n], method)
        for n, method in ladder.agents.items()
        if n > 1
    ]
    return (
        f"{ladder.name}: fewest steps to {ladder.target:g} % among the numbers of agents, "
        f"{fastest[0]}, and among the rates, {fastest[1]}; "
        f"{curves.tally(changes, 'accuracy from the ordinary optimizer at N times the rate')}."
    )


def finding(document: dict[str, Any]) -> tuple[str, str]:
    """What should hold, and the median steps to the target that were seen."""
    seen = []
    for ladder in _ladders(document):
        lists = []
        for methods in (ladder.agents, ladder.ordinary):
            typical = [curves.typical_steps(steps) for steps in ladder.steps(methods).values()]
            lists.append(" ".join(
                f"{steps:.0f}" if np.isfinite(steps) else f">{ladder.most}" for steps in typical
            ))  # fmt: skip
        seen.append(f"{ladder.name}: {lists[0]} (ordinary {lists[1]})")
    counts = ", ".join(str(count) for count in document["settings"]["agents"])
    return (
        "agents shorten the way to an accuracy, and too many lengthen it",
        f"median steps for N = {counts} (the ordinary optimizer at N times the rate): "
        + "; ".join(seen),
    )


def holds(document: dict[str, Any]) -> str:
    """Whether on every ladder some N > 1 is at the target before N = 1."""
    flags = []
    for ladder in _ladders(document):
        typical = {
            n: curves.typical_steps(steps) for n, steps in ladder.steps(ladder.agents).items()
        }
        flags.append(min(steps for n, steps in typical.items() if n > 1) < typical[1])
    return verdicts.all_of(flags)
