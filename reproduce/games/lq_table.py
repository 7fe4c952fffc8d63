"""Exact equilibrium costs of the inter-bank games: no training, a table to check against."""

from pathlib import Path
from typing import Any

import numpy as np

from reproduce import figures
from reproduce.games import solving
from reproduce.report import Table

PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {"players": [2, 3]},
    "quick": {"players": [2, 5, 10, 24, 100]},
    "paper": {"players": [2, 5, 10, 24, 100]},
}
_KINDS = (
    ("open_loop", "continuous"),
    ("open_loop", "discrete"),
    ("closed_loop", "continuous"),
    ("closed_loop", "discrete"),
)


def run(context) -> dict[str, Any]:
    """All four equilibria of the standard game for every N, and of the spread start."""
    import fictitious_play as fp

    games = {
        f"N = {count}": {**solving.STANDARD, "players": count}
        for count in context.settings["players"]
    }
    games["N = 5, spread start"] = solving.SPREAD_START
    cases = []
    for title, arguments in games.items():
        form = fp.lq.inter_bank_form(weights=None, **arguments)
        costs = {
            f"{information}, {time}": fp.lq.nash(form, information=information, time=time).cost
            for information, time in _KINDS
        }
        zero = fp.lq.profile_cost(form, np.zeros((form.steps, form.players, form.players)))
        cases.append({"game": title, "players": form.players, "costs": costs, "all zero": zero})
    return {"cases": cases}


def draw(document: dict[str, Any], stem: Path) -> list[Path]:
    """Cost of player 1 against N for the standard game."""
    from matplotlib import pyplot

    cases = [case for case in document["results"]["cases"] if "spread" not in case["game"]]
    figure, axis = pyplot.subplots(figsize=(4.8, 3.2))
    for number, (information, time) in enumerate(_KINDS):
        kind = f"{information}, {time}"
        axis.plot(
            [case["players"] for case in cases],
            [case["costs"][kind][0] for case in cases],
            label=kind.replace("_", " "),
            **figures.STYLES[number],
        )
    axis.set(xscale="log", xlabel="players N", ylabel="equilibrium cost of player 1")
    axis.legend()
    return [figures.save(figure, stem)]


def summary(document: dict[str, Any]) -> list[Table]:
    """A row a game and distinct player."""
    columns = ("game", "player", "open loop, continuous", "open loop, discrete",
               "closed loop, continuous", "closed loop, discrete", "all controls zero")  # fmt: skip
    rows = []
    for case in document["results"]["cases"]:
        shown = range(1) if "spread" not in case["game"] else range((case["players"] + 1) // 2)
        for player in shown:
            costs = [case["costs"][f"{kind}, {time}"][player] for kind, time in _KINDS]
            numbers = [f"{value:.10f}" for value in (*costs, case["all zero"][player])]
            rows.append((case["game"], str(player + 1), *numbers))
    return [Table("Exact expected costs", columns, rows)]


def markdown(document: dict[str, Any]) -> str:
    """What is compared."""
    return (
        "Exact costs in float64. Players of the standard game are alike, so player 1 stands for "
        "all; in the game with a spread start player i is like player N + 1 - i."
    )
