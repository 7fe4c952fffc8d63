"""Trained cases with players who differ, and with states that are vectors."""

from pathlib import Path
from typing import Any

import numpy as np

from reproduce import figures
from reproduce.games import solving
from reproduce.report import Table

PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {"players": 3, "steps": 3, **solving.SMOKE},
    "quick": {"players": 5, "steps": 20, **solving.QUICK},
    "paper": {"players": 10, "steps": 20, **solving.PAPER},
}


def games(players: int, steps: int) -> dict[str, Any]:
    """The games, by name."""
    import fictitious_play as fp

    return {
        "a major bank": fp.major_player_game(players, share=0.5, major_sigma=0.5, steps=steps),
        "a ring": fp.ring_game(players, steps=steps),
        "two groups": fp.two_group_game(
            players - players // 2, players // 2, within=0.8, steps=steps,
            second_group={"sigma": 0.6, "epsilon": 2.0, "a": 0.5, "initial_std": 0.2},
        ),
        "a convoy (vector states)": fp.convoy_game(players, steps=steps),
    }  # fmt: skip


def run(context) -> dict[str, Any]:
    """Solves every game with the faithful network."""
    training = dict(context.settings)
    players, steps = training.pop("players"), training.pop("steps")
    cases = []
    for number, (title, game) in enumerate(games(players, steps).items()):
        result = solving.solve(context, f"game-{number}", game, training, context.seed)
        cases.append({"title": title, **solving.describe(result)})
    return {"cases": cases}


def draw(document: dict[str, Any], stem: Path) -> list[Path]:
    """Costs of every player, ours beside the exact ones, and the relative errors below."""
    from matplotlib import pyplot

    cases = document["results"]["cases"]
    figure, axes = pyplot.subplots(2, len(cases), figsize=(10.6, 4.4), sharex="col", squeeze=False,
                                   height_ratios=(3, 2))  # fmt: skip
    for (above, below), case in zip(axes.T, cases, strict=True):
        player = np.arange(1, case["players"] + 1)
        above.bar(player, case["exact_discrete"], width=0.62, color="#d5dee7", edgecolor="#5a5a5a",
                  linewidth=0.8, label="exact equilibrium, discrete time")  # fmt: skip
        above.errorbar(
            player, case["cost"], yerr=case["cost_standard_error"], fmt="o", color="#1b3a5c",
            capsize=2.5, label="deep fictitious play ± standard error",
        )  # fmt: skip
        above.set(title=case["title"], ylim=(0, 1.18 * max(case["exact_discrete"])))
        error = 100 * np.asarray(case["relative_error"])
        spread = 100 * np.asarray(case["relative_standard_error"])
        below.errorbar(player, error, yerr=spread, fmt="o", color="#1b3a5c", capsize=2.5)
        below.axhline(0.0, color="#5a5a5a", linewidth=0.9)
        below.set(xlabel="player", xticks=player, xlim=(0.4, player[-1] + 0.6))
    widest = max(axis.get_ylim()[1] for axis in axes[1])
    lowest = min(axis.get_ylim()[0] for axis in axes[1])
    for axis in axes[1]:
        axis.set_ylim(min(lowest, -0.1 * widest), widest)
    axes[0, 0].set_ylabel("expected cost $J^i$ (units of cost)")
    axes[1, 0].set_ylabel("relative error (%)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return [figures.save(figure, stem)]


def summary(document: dict[str, Any]) -> list[Table]:
    """A row a game."""
    columns = ("game", "players", "largest error ± s.e.", "exploitability", "CPU-seconds")
    rows = [
        (
            case["title"],
            str(case["players"]),
            solving.percent(*solving.worst(case)),
            solving.certified(case),
            f"{case['cpu_seconds']:.0f}",
        )
        for case in document["results"]["cases"]
    ]
    return [Table("Players who differ, and vector states", columns, rows)]


def markdown(document: dict[str, Any]) -> str:
    """What is compared."""
    steps = document["settings"]["steps"]
    return (
        "Inter-bank games in which one bank weighs half in everybody's mean and is half as "
        "volatile, in which banks look at their two neighbours only, and in which two groups of "
        "banks with unequal parameters look at their own group four times as much as at the "
        "other; and vehicles with a position and a speed each, who pay for acceleration and for "
        f"being off the mean. T = 1, N_T = {steps}, the parameters of `fp.major_player_game`, "
        "`fp.ring_game`, `fp.two_group_game` and `fp.convoy_game` where nothing is said. The "
        "faithful network; errors are against the exact discrete-time open-loop equilibrium."
    )
