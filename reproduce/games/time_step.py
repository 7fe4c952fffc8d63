"""The discrete-time equilibrium tends to the continuous-time one at first order in h."""

from pathlib import Path
from typing import Any

import numpy as np

from reproduce import figures
from reproduce.games import solving
from reproduce.report import Table

PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {"steps": [10, 20]},
    "quick": {"steps": [5, 10, 20, 40, 80, 160, 320]},
    "paper": {"steps": [5, 10, 20, 40, 80, 160, 320, 640]},
}
_GAMES: dict[str, dict[str, Any]] = {
    "standard game, N = 10": {**solving.STANDARD, "players": 10},
    "spread start, N = 5": solving.SPREAD_START,
}


def run(context) -> dict[str, Any]:
    """Relative distance of player 1's discrete cost from the continuous one, for every N_T."""
    import fictitious_play as fp

    steps = context.settings["steps"]
    cases = []
    for title, arguments in _GAMES.items():
        form = fp.lq.inter_bank_form(weights=None, **arguments)
        continuous = fp.lq.nash(form, time="continuous").cost[0]
        errors = [
            fp.lq.nash(
                fp.lq.inter_bank_form(weights=None, **{**arguments, "steps": count})
            ).cost[0] / continuous - 1.0
            for count in steps
        ]  # fmt: skip
        order = -np.diff(np.log(errors)) / np.diff(np.log(steps))
        cases.append({"game": title, "steps": steps, "relative_error": errors, "order": order})
    return {"cases": cases}


def draw(document: dict[str, Any], stem: Path) -> list[Path]:
    """The distance against the step, doubly logarithmic, with a line of slope one."""
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(4.6, 3.3))
    for number, case in enumerate(document["results"]["cases"]):
        h = 1.0 / np.asarray(case["steps"], float)
        error = 100 * np.asarray(case["relative_error"])
        axis.plot(h, error, label=case["game"], **figures.STYLES[number])
    axis.plot(h, error[-1] * h / h[-1] * 0.6, color="#5a5a5a", linestyle=":", label="slope 1")
    axis.set(xscale="log", yscale="log", xlabel="time step h (units of T)",
             ylabel="discrete over continuous cost - 1 (%)")  # fmt: skip
    axis.legend()
    return [figures.save(figure, stem)]


def summary(document: dict[str, Any]) -> list[Table]:
    """A row an N_T."""
    cases = document["results"]["cases"]
    columns = ("N_T", *(f"{case['game']}: {what}" for case in cases for what in ("error", "order")))
    rows = []
    for number, count in enumerate(cases[0]["steps"]):
        row = [str(count)]
        for case in cases:
            row.append(f"{100 * case['relative_error'][number]:+.4f} %")
            row.append(f"{case['order'][number - 1]:.3f}" if number else "")
        rows.append(tuple(row))
    return [Table("Discrete against continuous time, player 1", columns, rows)]


def markdown(document: dict[str, Any]) -> str:
    """What is compared."""
    return (
        "How much of a network's distance from the closed form is the time step's doing: the "
        "exact discrete-time equilibrium cost against the continuous-time one. *Order* is the "
        "slope between neighbouring step numbers; it tends to one."
    )
