"""Figure 3: EKFAC under four information structures on the network of cooperative blocks."""

from pathlib import Path
from typing import Any

from reproduce import figures
from reproduce.dgnopt import curves, experiment
from reproduce.dgnopt.problems import QUICK_STEPS
from reproduce.report import Table

PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {"steps": 4, "seeds": 1, "every": 2, "structures": ["open_loop", "cooperative"]},
    "quick": {"steps": QUICK_STEPS, "seeds": 2, "every": 10, "structures": None},
    "standard": {"steps": 400, "seeds": 3, "every": 20, "structures": None},
    "paper": {"steps": 20000, "seeds": 4, "every": 200, "structures": None},
}
#: Names of the structures in the paper.
SYMBOLS = {
    "open_loop": "η^O",
    "open_loop_cooperative": "η^{O-CG}",
    "feedback": "η^C",
    "cooperative": "η^{C-CG}",
}
#: The same, as matplotlib sets them.
_DRAWN = {
    "η^O": r"$\eta^\mathrm{O}$",
    "η^{O-CG}": "$\\eta^\\mathrm{O\u2010CG}$",
    "η^C": r"$\eta^\mathrm{C}$",
    "η^{C-CG}": "$\\eta^\\mathrm{C\u2010CG}$",
}


def run(context) -> dict[str, Any]:
    """Trains EKFAC with every structure, all at the rate tuned for EKFAC in open loop."""
    settings = context.settings
    entries = [
        experiment.entry(
            SYMBOLS[structure], {"name": "EKFAC", "structure": structure}, rate_of="EKFAC"
        )
        for structure in settings["structures"] or SYMBOLS
    ]
    problems = experiment.experiment(
        context, "cooperative", entries, evaluate_every=settings["every"]
    )
    return {"problems": problems}


def draw(document: dict[str, Any], stem: Path) -> list[Path]:
    """Training loss and test accuracy against steps, a row a problem."""
    from matplotlib import pyplot

    problems = document["results"]["problems"]
    figure, axes = pyplot.subplots(
        len(problems), 2, figsize=(8.6, 3.2 * len(problems)), squeeze=False
    )
    for row, problem in zip(axes, problems, strict=True):
        for axis, key in zip(row, ("loss", "accuracy"), strict=True):
            for place, method in enumerate(problem["methods"]):
                label = _DRAWN[method["label"]]
                curves.plot(axis, method, key, figures.STYLES[place], label)
            curves.finish(axis, key, problem["title"].replace(" · ", "\n"))
        row[1].legend(loc="lower right")
    return [figures.save(figure, stem)]


def summary(document: dict[str, Any]) -> list[Table]:
    """Accuracy and loss at the end, and the differences from the open loop."""
    rows = []
    for problem in document["results"]["problems"]:
        reference = problem["methods"][0]
        for method in problem["methods"]:
            change = lower = "reference"
            if method is not reference:
                change = experiment.verdict(experiment.difference(reference, method))
                lower = experiment.verdict(
                    experiment.paired_difference(curves.losses(reference), curves.losses(method)),
                    digits=3,
                )
            rows.append((
                problem["title"], method["label"], experiment.shown(method), change,
                curves.loss_shown(method), lower,
            ))  # fmt: skip
    title = (
        f"EKFAC under four information structures after {experiment.steps_shown(document)}: mean ± "
        "standard deviation (seeds), differences paired by seed with a 95 % interval"
    )
    columns = ("data and network", "structure", "test accuracy (%)", "minus η^O (points)",
               "training loss (nats)", "minus η^O (nats)")  # fmt: skip
    return [Table(title, columns, rows)]


def markdown(document: dict[str, Any]) -> str:
    """The conditions of the runs, and what the numbers say."""
    problems = document["results"]["problems"]
    first = problems[0]
    rates = "; ".join(f"{p['title']}: {p['methods'][0]['rate']:g}" for p in problems)
    sources = sorted({str(p.get("source")) for p in problems})
    found = " ".join(
        f"{p['title']}: {curves.sides(p['methods'][0], p['methods'][1:])}." for p in problems
    )
    return (
        "Blocks h ← ReLU(f1(h) + f2(h)) of two players that read the same input. EKFAC in open "
        "loop, η^O; with the players of a block solved jointly and no feedback, η^{O-CG}; with "
        "feedback, each player by itself, η^C; with both, η^{C-CG}; the last three in proximal "
        f"form. {experiment.steps_shown(document)} of batch {first['batch']} at a constant rate, "
        f"the one tuned for the open loop ({rates}). The curves are the mean over "
        "seeds with a band of one standard deviation; the loss is the mean over "
        "the steps of an interval. The paper "
        "shows curves in which the structures with more information train faster. "
        f"Final accuracy against η^O. {found} Data: {'; '.join(sources)}."
    )


def _from_open_loop(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        experiment.difference(problem["methods"][0], method)
        for problem in document["results"]["problems"]
        for method in problem["methods"][1:]
    ]


def holds(document: dict[str, Any]) -> str:
    """Whether every richer structure is a gain beyond the noise."""
    return experiment.gains(_from_open_loop(document))


def finding(document: dict[str, Any]) -> tuple[str, str]:
    """What should hold, and a count of what was seen."""
    wanted = "EKFAC trains better on cooperative blocks the more its players know"
    return wanted, curves.tally(_from_open_loop(document), "accuracy from η^O")
