"""The main job: the symmetric inter-bank game against its exact equilibrium."""

from pathlib import Path
from typing import Any

import numpy as np

from reproduce import figures
from reproduce.games import solving
from reproduce.report import Table

PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {"players": [2, 3], "game": {**solving.STANDARD, "steps": 4}, **solving.SMOKE},
    "quick": {"players": [5, 10], "game": solving.STANDARD, **solving.QUICK},
    "paper": {"players": [5, 10, 24], "game": solving.STANDARD, **solving.PAPER},
}


def run(context) -> dict[str, Any]:
    """Solves the game for every N."""
    training = dict(context.settings)
    players, game = training.pop("players"), training.pop("game")
    cases = []
    for count in players:
        result = solving.train(
            context, f"players-{count}", {**game, "players": count}, training, context.seed
        )
        cases.append(solving.describe(result))
    return {"cases": cases}


def draw(document: dict[str, Any], stem: Path) -> list[Path]:
    """Costs of every player, ours beside the exact ones."""
    from matplotlib import pyplot

    cases = document["results"]["cases"]
    figure, axes = pyplot.subplots(
        1, len(cases), figsize=(3.6 * len(cases), 3.2), squeeze=False, width_ratios=[
            max(4, case["players"]) for case in cases]
    )  # fmt: skip
    for axis, case in zip(axes[0], cases, strict=True):
        player = np.arange(1, case["players"] + 1)
        axis.errorbar(
            player, case["cost"], yerr=case["cost_standard_error"], fmt="o", color="#1b3a5c",
            capsize=2.5, label="deep fictitious play ± standard error",
        )  # fmt: skip
        axis.step(
            [0.5, *player, player[-1] + 0.5],
            [case["exact_discrete"][0], *case["exact_discrete"], case["exact_discrete"][-1]],
            where="mid", color="#c0562b", label="exact, discrete time",
        )  # fmt: skip
        axis.step(
            [0.5, *player, player[-1] + 0.5],
            [case["exact_continuous"][0], *case["exact_continuous"], case["exact_continuous"][-1]],
            where="mid", color="#5a5a5a", linestyle=":", label="closed form, continuous time",
        )  # fmt: skip
        axis.set(xlabel="player", title=f"N = {case['players']}")
        axis.set_xticks(player if case["players"] <= 12 else player[::3])
    axes[0, 0].set_ylabel("expected cost $J^i$ (units of cost)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return [figures.save(figure, stem)]


def summary(document: dict[str, Any]) -> list[Table]:
    """One row a player."""
    columns = ("N", "player", "ours", "exact", "closed form",
               "error ± s.e.", "seconds")  # fmt: skip
    rows = []
    for case in document["results"]["cases"]:
        for player in range(case["players"]):
            rows.append(
                (
                    str(case["players"]),
                    str(player + 1),
                    f"{case['cost'][player]:.5f}",
                    f"{case['exact_discrete'][player]:.5f}",
                    f"{case['exact_continuous'][player]:.5f}",
                    solving.percent(
                        case["relative_error"][player], case["relative_standard_error"][player]
                    ),
                    f"{case['seconds']:.0f}" if player == 0 else "",
                )
            )
    certificates = [
        (
            f"N = {case['players']}",
            solving.percent(*solving.worst(case)),
            solving.certified(case),
            f"{case['cpu_seconds']:.0f}",
        )
        for case in document["results"]["cases"]
    ]
    names = ("players", "largest error ± s.e.", "exploitability ± s.e.", "CPU-seconds")
    return [
        Table(
            "Expected costs: ours, exact in discrete time, closed form in continuous time",
            columns,
            rows,
        ),
        Table("Largest over the players", names, certificates),
    ]


def markdown(document: dict[str, Any]) -> str:
    """What is compared."""
    game = document["settings"]["game"]
    worst = ", ".join(
        f"{solving.percent(*solving.worst(case))} at N = {case['players']}"
        for case in document["results"]["cases"]
    )
    return (
        "The faithful network (ReLU and batch normalisation) plays the symmetric inter-bank game "
        f"with {_parameters(game)}. The paper's own parameters are not at hand. A network plays "
        "the game in discrete time, so the relative error is against the exact discrete-time "
        "open-loop equilibrium; the closed form of continuous time stands beside it and differs "
        "by the time discretisation alone. Costs are measured on 8,192 antithetic paths with the "
        f"exact equilibrium as control variate. Error of largest size: {worst}. "
        "*Exploitability* is the largest relative gain that a player could still make by leaving "
        "the profile alone, computed exactly against the others' controls as they are."
    )


def _parameters(game: dict[str, Any]) -> str:
    return (
        f"a = {game['a']:g}, q = {game['q']:g}, ε = {game['epsilon']:g}, c = {game['c']:g}, "
        f"σ = {game['sigma']:g}, ρ = {game['rho']:g}, T = {game['horizon']:g}, "
        f"N_T = {game['steps']}, X_0 ~ N({game['initial_mean']:g}, {game['initial_std']:g}²)"
    )
