"""What players should expect of each other: four beliefs in exact play."""

from typing import Any

import numpy as np

from reproduce.games.convergence import form
from reproduce.report import Table

_RULES = ("last", "sequential", "damped", "average")
#: An error of the belief that counts as solved.
_TARGET = 0.05


def run(context) -> dict[str, Any]:
    """Errors per stage on three games, and stages needed against the horizon."""
    import fictitious_play as fp

    given = context.settings
    players, steps = given["players"], given["steps"]

    def errors(game, stages, initial):
        return {
            rule: fp.lq.exact_play(game, stages, rule, initial=initial).error for rule in _RULES
        }

    broken = fp.lq.inter_bank_form(
        2, 8.0, 2 * steps, a=0.1, q=0.1, epsilon=4.0, c=1.0, weights=[[0, 1], [-3, 0]],
        initial_mean=[-1.0, 1.0],
    )  # fmt: skip
    games = {
        "weak coupling, ε = c = 0.5": (form(players, 1.0, steps, 0.5), 1.0),
        "strong coupling, ε = c = 8": (form(players, 1.0, steps, 8.0), 1.0),
        "signed weights, T = 8": (broken, None),
    }
    cases = [
        {"title": title, "factor": fp.lq.contraction(game, "all"),
         "error": errors(game, given["stages"], initial)}
        for title, (game, initial) in games.items()
    ]  # fmt: skip
    scan = []
    for horizon in given["horizons"]:
        game = form(players, horizon, steps, 2.0)
        needed = {rule: _needed(error) for rule, error in errors(game, given["most"], 1.0).items()}
        scan.append({"horizon": horizon, "factor": fp.lq.contraction(game), "needed": needed})
    return {"cases": cases, "scan": scan}


def _needed(error) -> int | None:
    """Stages until the error stays below the target; None where it never does."""
    above = np.flatnonzero(~(np.asarray(error) < _TARGET))
    first = int(above[-1]) + 2 if len(above) else 1
    return first if first <= len(error) else None


def summary(document: dict[str, Any]) -> list[Table]:
    """Errors after the last stage, and the stages needed."""
    results, most = document["results"], document["settings"]["most"]
    stages = len(results["cases"][0]["error"]["last"])

    def last(rule):
        return lambda case: f"{case['error'][rule][-1]:.2e}"

    def needed(rule):
        return lambda case: str(case["needed"][rule] or f"> {most}")

    return [
        Table.of(f"Relative L2 error of the belief after {stages} stages", results["cases"], {
            "game": lambda case: case["title"],
            "spectral radius": lambda case: f"{case['factor']:.4f}",
            **{rule: last(rule) for rule in _RULES},
        }),
        Table.of(f"Stages to an error below {_TARGET:g}, medium coupling", results["scan"], {
            "horizon": lambda case: f"T = {case['horizon']:g}",
            "contraction factor": lambda case: f"{case['factor']:.4f}",
            **{rule: needed(rule) for rule in _RULES},
        }),
    ]  # fmt: skip


def facts(document: dict[str, Any]) -> dict[str, Any]:
    """Of the text."""
    return {"twice": 2 * document["settings"]["steps"]}
