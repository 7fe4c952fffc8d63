"""The main job: the symmetric inter-bank game against its exact equilibrium."""

from typing import Any

import numpy as np

from reproduce import figures
from reproduce.games import solving
from reproduce.games.cases import Case, Games, first_seed, inter_bank
from reproduce.report import Table


def draw(document: dict[str, Any]) -> Any:
    """Costs of every player, ours beside the exact ones, from the first seed."""
    cases = first_seed(document)
    widths = [max(4, case["players"]) for case in cases]
    figure, axes = figures.subplots(
        1, len(cases), figsize=(3.6 * len(cases), 3.2), squeeze=False, width_ratios=widths
    )
    for axis, case in zip(axes[0], cases, strict=True):
        player = np.arange(1, case["players"] + 1)
        axis.errorbar(
            player, case["cost"], yerr=case["cost_standard_error"], fmt="o", color="#1b3a5c",
            capsize=2.5, label="deep fictitious play ± standard error",
        )  # fmt: skip
        for key, color, line, label in (
            ("exact_discrete", "#c0562b", "-", "exact, discrete time"),
            ("exact_continuous", "#5a5a5a", ":", "closed form, continuous time"),
        ):
            cost = case[key]
            axis.step([0.5, *player, player[-1] + 0.5], [cost[0], *cost, cost[-1]], where="mid",
                      color=color, linestyle=line, label=label)  # fmt: skip
        axis.set(xlabel="player", title=f"N = {case['players']}")
        axis.set_xticks(player if case["players"] <= 12 else player[::3])
    axes[0, 0].set_ylabel("expected cost $J^i$ (units of cost)")
    return figures.legend_below(figure)


def _players(document: dict[str, Any]) -> list[Table]:
    """A row per player of the first seed."""
    rows = [
        (
            str(case["players"]), str(player + 1), f"{case['cost'][player]:.5f}",
            f"{case['exact_discrete'][player]:.5f}", f"{case['exact_continuous'][player]:.5f}",
            solving.percent(case["relative_error"][player],
                            case["relative_standard_error"][player]),
        )
        for case in first_seed(document)
        for player in range(case["players"])
    ]  # fmt: skip
    title = "Expected costs: ours, exact in discrete time, closed form in continuous time"
    columns = ("N", "player", "ours", "exact", "closed form", "error ± s.e.")
    return [Table(title, columns, rows)]


run, summary = Games(
    cases=lambda settings: [
        Case(name, game) for name, game in inter_bank(settings["players"], settings["game"]).items()
    ],
    caption="Largest over the players",
    more=_players,
).parts()  # fmt: skip
