"""The main job: the symmetric inter-bank game against its exact equilibrium."""

from typing import Any

import numpy as np

from reproduce import figures
from reproduce.games import cells
from reproduce.games.cases import COSTS_AND_RUNS, Case, Games, groups, inter_bank, panels
from reproduce.report import Table


def draw(document: dict[str, Any]) -> Any:
    """Costs of every player, ours beside the exact ones, from the first seed."""
    widths = [max(4, cases[0]["players"]) for cases in groups(document)]
    figure, shown = panels(document, 3.6, 3.2, width_ratios=widths)
    for axis, ((case, *_),) in ((axis, own.values()) for axis, own in shown):
        player = np.arange(1, case["players"] + 1)
        axis.errorbar(
            player, case["cost"], yerr=case["cost_standard_error"], fmt="o", color="#1b3a5c",
            capsize=2.5, label="deep fictitious play ± standard error",
        )  # fmt: skip
        for key, look, label in (
            ("exact_discrete", {"color": "#c0562b"}, "exact, discrete time"),
            ("exact_continuous", figures.EXACT, "closed form, continuous time"),
        ):
            cost = case[key]
            axis.step([0.5, *player, player[-1] + 0.5], [cost[0], *cost, cost[-1]], where="mid",
                      label=label, **look)  # fmt: skip
        axis.set(xlabel="player")
        axis.set_xticks(player if case["players"] <= 12 else player[::3])
    figure.axes[0].set_ylabel("expected cost $J^i$ (units of cost)")
    return figures.legend_below(figure)


def summary(document: dict[str, Any]) -> list[Table]:
    """A row per player of the first seed, and a row per game."""
    rows = [(cases[0], player) for cases in groups(document)
            for player in range(cases[0]["players"])]  # fmt: skip

    def cost(entry):
        return lambda row: f"{row[0][entry][row[1]]:.5f}"

    title = "Expected costs: ours, exact in discrete time, closed form in continuous time"
    players = Table.of(title, rows, {
        "N": lambda row: str(row[0]["players"]),
        "player": lambda row: str(row[1] + 1),
        "ours": cost("cost"),
        "exact": cost("exact_discrete"),
        "closed form": cost("exact_continuous"),
        "error ± s.e.": lambda row: cells.over_seeds(
            [[row[0][f"relative_{what}"][row[1]] for what in ("error", "standard_error")]], "+"),
    })  # fmt: skip
    return [players, *_GAMES.summary(document)]


_GAMES = Games(
    cases=lambda settings: [
        Case(name, game) for name, game in inter_bank(settings["players"], settings["game"]).items()
    ],
    tables={"Largest over the players": COSTS_AND_RUNS},
)
run = _GAMES.run
