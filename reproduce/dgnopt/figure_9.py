"""Figure 9 and Table 4: fictitious agents in SGD and EKFAC."""

from pathlib import Path
from typing import Any

import numpy as np

from reproduce import figures
from reproduce.dgnopt import curves, experiment
from reproduce.dgnopt.problems import DATA_TITLES
from reproduce.report import Table

PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {
        "steps": 4, "seeds": 1, "every": 2, "optimizers": ["SGD"], "agents": [1, 2],
        "larger_rates": [2],
    },
    "quick": {
        "steps": 200, "seeds": 2, "every": 10, "optimizers": ["SGD", "EKFAC"],
        "agents": [1, 2, 4, 6], "larger_rates": [6],
    },
    "standard": {
        "steps": 400, "seeds": 3, "every": 10, "optimizers": ["SGD", "EKFAC"],
        "agents": [1, 2, 4, 6], "larger_rates": [2, 4, 6],
    },
    "paper": {
        "steps": 20000, "seeds": 4, "every": 50, "optimizers": ["SGD", "EKFAC"],
        "agents": [1, 2, 4, 6], "larger_rates": [2, 4, 6],
    },
}  # fmt: skip
#: Test accuracy to be reached, percent.
TARGETS = {"digits": 90.0, "fashion-mnist": 80.0, "svhn": 80.0, "cifar10": 60.0}
#: The paper's Table 4: thousands of steps to `TARGETS` with 1, 2, 4 and 6 agents.
PAPER = {"svhn": (5.14, 2.31, 1.25, 0.8), "cifar10": (3.62, 2.97, 2.98, 5.83)}
#: Test images on which a curve's accuracy is measured.
_CURVE_IMAGES = 1000


def run(context) -> dict[str, Any]:
    """Trains with every number of agents, and the ordinary optimizer at larger rates."""
    settings = context.settings
    entries = []
    for name in settings["optimizers"]:
        for count in settings["agents"]:
            method: dict[str, Any] = {"name": name}
            if count > 1:
                method.update(structure="cooperative", agents=count)
            entries.append(
                experiment.entry(f"{name}, N = {count}", method, optimizer=name, players=count)
            )
        entries += [
            experiment.entry(
                f"{name}, rate × {times}", {"name": name}, optimizer=name, rate_times=times
            )
            for times in settings["larger_rates"]
        ]
    problems = experiment.experiment(
        context, "feedforward", entries,
        evaluate_every=settings["every"], curve_images=_CURVE_IMAGES,
    )  # fmt: skip
    for problem in problems:
        problem["target"] = TARGETS[problem["data"]]
    return {"problems": problems}


def _of(problem: dict[str, Any], optimizer: str, key: str) -> dict[int, dict[str, Any]]:
    """Methods of an optimizer by number of agents ("players") or factor ("rate_times")."""
    return {
        method[key]: method
        for method in problem["methods"]
        if method["optimizer"] == optimizer and key in method
    }


def draw(document: dict[str, Any], stem: Path) -> list[Path]:
    """A row a problem and optimizer: loss and accuracy against steps, steps to the target."""
    from matplotlib import pyplot

    settings, problems = document["settings"], document["results"]["problems"]
    pairs = [(problem, name) for problem in problems for name in settings["optimizers"]]
    figure, axes = pyplot.subplots(len(pairs), 3, figsize=(12.4, 3.1 * len(pairs)), squeeze=False)
    for row, (problem, name) in zip(axes, pairs, strict=True):
        title = f"{name} · {problem['title']}".replace(" · ", "\n", 1)
        for axis, key in zip(row, ("loss", "accuracy"), strict=False):
            for place, (count, method) in enumerate(_of(problem, name, "players").items()):
                curves.plot(axis, method, key, figures.STYLES[place], f"N = {count}")
            curves.finish(axis, key, title)
        row[1].axhline(problem["target"], color="#777777", linewidth=0.8)
        row[1].annotate(
            "target", (0, problem["target"]), (3, 2), xycoords=row[1].get_yaxis_transform(),
            textcoords="offset points", fontsize=8, color="#555555",
        )  # fmt: skip
        row[1].legend(loc="lower right")
        _draw_steps(row[2], problem, name, settings["steps"])
        row[2].set_title(title, fontsize=9)
    return [figures.save(figure, stem)]


def _draw_steps(axis: Any, problem: dict[str, Any], name: str, most: int) -> None:
    """Steps to the target, every seed and their median; above the line where it was not reached."""
    agents, larger = _of(problem, name, "players"), _of(problem, name, "rate_times")
    lines = [("N agents", agents), ("ordinary, rate × N", {1: agents[1], **larger})]
    beyond = 1.1 * most
    for place, (label, methods) in enumerate(lines):
        look = figures.STYLES[place]
        found = {n: curves.steps_to(method, problem["target"]) for n, method in methods.items()}
        middle = [min(curves.typical_steps(steps), beyond) for steps in found.values()]
        axis.plot(list(found), middle, label=label, **look)
        for n, steps in found.items():
            height = np.where(np.isfinite(steps), steps, beyond)
            axis.plot(np.full(len(steps), n) + 0.12 * (2 * place - 1), height, ".", ms=4,
                      color="#9a9a9a")  # fmt: skip
    axis.axhline(most, color="#777777", linewidth=0.8)
    axis.set(xlabel="N", ylabel=f"steps to {problem['target']:g} % test accuracy",
             ylim=(0, 1.2 * most))  # fmt: skip
    axis.set_xticks(list(agents))
    kept = [tick for tick in axis.get_yticks() if tick <= most]
    axis.set_yticks([*kept, beyond], [*(f"{tick:g}" for tick in kept), "not\nreached"])
    axis.set_ylim(0, 1.2 * most)
    axis.legend(loc="best")


def summary(document: dict[str, Any]) -> list[Table]:
    """Steps to the target and accuracy by number of agents; the ordinary optimizer faster."""
    settings, problems = document["settings"], document["results"]["problems"]
    most, counts = settings["steps"], settings["agents"]
    columns = ("data and network", "optimizer", *(f"N = {count}" for count in counts))
    steps, accuracy, changes, larger = [], [], [], []
    for problem in problems:
        target = problem["target"]
        for name in settings["optimizers"]:
            head = (f"{problem['title']}, {target:g} %", name)
            agents = _of(problem, name, "players")
            found = {n: curves.steps_to(m, target) for n, m in agents.items()}
            steps.append((*head, *(curves.shown_steps(found[n], most) for n in counts)))
            accuracy.append((problem["title"], name, *(experiment.shown(agents[n])
                                                       for n in counts)))  # fmt: skip
            changes.append((problem["title"], name, "reference", *(
                experiment.verdict(experiment.difference(agents[1], agents[n]))
                for n in counts[1:]
            )))  # fmt: skip
            for times, method in _of(problem, name, "rate_times").items():
                reached = curves.steps_to(method, target)
                larger.append((*head, f"{times} × {agents[1]['rate']:g}",
                               curves.shown_steps(reached, most),
                               experiment.shown(method)))  # fmt: skip
        if problem["data"] in PAPER and counts == [1, 2, 4, 6]:
            steps.append(_quoted(problem["data"], "the paper's, "))
    tables = [
        Table("Steps until the test accuracy first reaches the target: mean ± standard deviation "
              "(seeds)", columns, steps),
        Table("Test accuracy at the end (%), mean ± standard deviation (seeds)", columns, accuracy),
        Table("Test accuracy minus that of N = 1, in points, paired by seed, with a 95 % interval",
              columns, changes),
        Table("The ordinary optimizer (N = 1) at a larger rate",
              ("data and network", "optimizer", "rate", "steps to the target",
               "test accuracy (%)"), larger),
    ]  # fmt: skip
    used = {problem["data"] for problem in problems}
    others = [_quoted(name) for name in PAPER if name not in used]
    if others:
        title = "The paper's Table 4, on data sets that this run did not use"
        names = (f"N = {count}" for count in (1, 2, 4, 6))
        tables.insert(1, Table(title, ("data", "optimizer", *names), others))
    return tables


def _quoted(name: str, prefix: str = "") -> tuple[str, ...]:
    title = f"{prefix}{DATA_TITLES[name]}, {TARGETS[name]:g} %"
    return (title, "as in the paper", *(f"{value:g}k" for value in PAPER[name]))


def markdown(document: dict[str, Any]) -> str:
    """The conditions of the runs, and what the numbers say."""
    settings, problems = document["settings"], document["results"]["problems"]
    rates = "; ".join(
        f"{p['title']}: " + ", ".join(
            f"{name} {_of(p, name, 'players')[1]['rate']:g}" for name in settings["optimizers"]
        )
        for p in problems
    )  # fmt: skip
    sources = sorted({str(p.get("source")) for p in problems})
    found = " ".join(
        _found(problem, name, settings["steps"])
        for problem in problems
        for name in settings["optimizers"]
    )
    return (
        "N fictitious agents share the weights of every layer, θ = Σ_n θ_n (16), in the coupled "
        "form of the cooperative structure; N = 1 is the ordinary optimizer (Keras's SGD, our "
        f"EKFAC in open loop). {settings['steps']} steps of batch {problems[0]['batch']} at a "
        f"constant rate, the same for every N, tuned for N = 1 ({rates}). N agents of small "
        "curvature are a rate of N times, so the ordinary optimizer at such rates stands beside "
        f"them. The curves are means over seeds with a band of one standard deviation. The "
        f"accuracy of a curve is measured every {settings['every']} steps on at most "
        f"{_CURVE_IMAGES:,} test images, the final one on all; a target counts as reached at the "
        "first such measurement, and not at all by a run that diverges. The lines to the right "
        f"are medians over seeds. {found} Data: {'; '.join(sources)}."
    )


def _found(problem: dict[str, Any], name: str, most: int) -> str:
    """Which N, and which larger rate, comes to the target first."""
    agents = _of(problem, name, "players")
    larger = {1: agents[1], **_of(problem, name, "rate_times")}
    fastest = []
    for methods, text in ((agents, "N = {}"), (larger, "{} times the rate")):
        typical = {
            n: curves.typical_steps(curves.steps_to(method, problem["target"]))
            for n, method in methods.items()
        }
        best = min(typical, key=lambda n: typical[n])
        reached = np.isfinite(typical[best])
        one = "the plain optimizer" if methods is larger and best == 1 else text.format(best)
        fastest.append(f"{one} ({typical[best]:.0f})" if reached else f"none within {most}")
    sides = curves.sides(agents[1], [method for n, method in agents.items() if n != 1])
    return (
        f"{name} on {problem['title']}: fewest steps to {problem['target']:g} % among the numbers "
        f"of agents, {fastest[0]}, and among the rates of the ordinary optimizer, {fastest[1]}; "
        f"final accuracy against N = 1, {sides}."
    )
