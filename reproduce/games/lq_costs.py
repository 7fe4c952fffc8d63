"""Cost error after every stage, with the time-discretisation error beside it."""

from typing import Any

import numpy as np

from reproduce import figures
from reproduce.games import cells
from reproduce.games.cases import COSTS, SKIP_NETWORK, Case, Games, inter_bank, panels


def _cases(settings: dict[str, Any]) -> list[Case]:
    games = inter_bank(settings["players"], settings["game"])
    if "spread_start" in settings:
        games["N = 5, spread start"] = settings["spread_start"]
    # The noise of the gradient is what limits the linear skip connection: twice the batch.
    skip = {"skip": True, "batch_size": 2 * settings["training"]["batch_size"]}
    return [
        case
        for name, game in games.items()
        for case in (Case(name, game), Case(name, game, skip, SKIP_NETWORK))
    ]


def draw(document: dict[str, Any]) -> Any:
    """The largest relative cost error over the players against the stage, a panel per game."""
    figure, shown = panels(document, 2.9, 3.3, sharey=True)
    for axis, own in shown:
        for number, (network, cases) in enumerate(own.items()):
            stages, errors, bars = _by_stage(cases)
            look = figures.STYLES[number]
            axis.errorbar(stages, errors, yerr=bars, capsize=2, label=network, **look)
        axis.axhline(100 * _time_error(cases[0]), label="time discretisation", **figures.EXACT)
        axis.set(yscale="log", xlabel="stage")
    figure.axes[0].set_ylabel("largest relative cost error (%)")
    return figures.legend_below(figure)


def _by_stage(cases):
    """Stages, the largest error over the players and its bar, in %, means over seeds."""
    errors, bars = [], []
    for case in cases:
        exact = np.asarray(case["exact_discrete"])
        cost = np.array([record["cost"] for record in case["history"]])
        spread = np.array([record["cost_standard_error"] for record in case["history"]])
        error = 100 * np.abs(cost / exact - 1)
        worst = error.argmax(axis=1)[:, None]
        errors.append(np.take_along_axis(error, worst, 1)[:, 0])
        bars.append(np.take_along_axis(100 * spread / exact, worst, 1)[:, 0])
    return np.arange(1, len(errors[0]) + 1), np.mean(errors, axis=0), np.mean(bars, axis=0)


def _time_error(case: dict[str, Any]) -> float:
    """The largest relative distance of the continuous-time costs from the discrete ones."""
    discrete, continuous = (np.asarray(case[f"exact_{time}"])
                            for time in ("discrete", "continuous"))  # fmt: skip
    return float(np.max(np.abs(discrete / continuous - 1)))


run, summary = Games(
    cases=_cases,
    tables={"Relative cost error after the last stage": {
        **COSTS,
        "time step": lambda cases: f"{100 * _time_error(cases[0]):.2f} %",
        **cells.RUNS,
    }},
).parts()  # fmt: skip
