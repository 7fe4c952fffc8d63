"""Trained cases away from the symmetric game: common noise, asymmetric weights, first belief."""

from pathlib import Path
from typing import Any

import numpy as np

from reproduce import figures
from reproduce.games import solving
from reproduce.report import Table

PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {"players": 3, "game": {**solving.STANDARD, "steps": 4}, **solving.SMOKE},
    "quick": {"players": 5, "game": solving.STANDARD, **solving.QUICK},
    "paper": {"players": 10, "game": solving.STANDARD, **solving.PAPER},
}


def variants(players: int, game: dict[str, Any]) -> dict[str, tuple[dict, dict]]:
    """Arguments of game and solver, by name."""
    base = {**game, "players": players}
    many = 5 * game["steps"] // 2
    weights = np.full((players, players), 0.5 / players)
    weights[:, 0] += 0.5
    spread = np.linspace(0.5, 1.5, players)
    asymmetric = {
        **base,
        "weights": weights.tolist(),
        "sigma": spread.tolist(),
        "a": (game["a"] * spread[::-1]).tolist(),
        "epsilon": (game["epsilon"] * spread).tolist(),
        "rho": 0.3,
    }
    return {
        "common noise, ρ = 0.5": ({**base, "rho": 0.5}, {}),
        "player 1 weighs half, unequal σ, a, ε": (asymmetric, {}),
        "first belief 1 for everybody": (base, {"initial_belief": 1.0}),
        f"N = {2 * players}, {many} steps": (
            {**base, "players": 2 * players, "steps": many},
            {},
        ),
        f"{many} steps, T = {2.5 * game['horizon']:g}": (
            {**base, "steps": many, "horizon": 2.5 * game["horizon"]},
            {},
        ),
    }


def run(context) -> dict[str, Any]:
    """Solves every variant with the faithful network."""
    training = dict(context.settings)
    players, game = training.pop("players"), training.pop("game")
    cases = []
    for number, (title, (arguments, switches)) in enumerate(variants(players, game).items()):
        result = solving.train(
            context, f"variant-{number}", arguments, {**training, **switches}, context.seed
        )
        cases.append({"variant": title, **solving.describe(result)})
    return {"cases": cases}


def draw(document: dict[str, Any], stem: Path) -> list[Path]:
    """Relative error of every player, a panel a variant."""
    from matplotlib import pyplot

    cases = document["results"]["cases"]
    figure, axes = pyplot.subplots(1, len(cases), figsize=(3.1 * len(cases), 2.9), sharey=True)
    for axis, case in zip(axes, cases, strict=True):
        player = np.arange(1, case["players"] + 1)
        axis.bar(player, 100 * np.asarray(case["relative_error"]), color="#9db4c8",
                 edgecolor="#1b3a5c", yerr=100 * np.asarray(case["relative_standard_error"]),
                 capsize=3, label="error ± standard error")  # fmt: skip
        axis.axhline(0.0, color="black", linewidth=0.8)
        axis.set(xlabel="player", title=case["variant"])
        axis.title.set_fontsize(9)
    axes[0].set_ylabel("relative cost error (%)")
    axes[0].legend()
    return [figures.save(figure, stem)]


def summary(document: dict[str, Any]) -> list[Table]:
    """One row a variant."""
    columns = ("variant", "players", "largest error ± s.e.", "exploitability", "CPU-seconds")
    rows = [
        (
            case["variant"],
            str(case["players"]),
            solving.percent(*solving.worst(case)),
            solving.certified(case),
            f"{case['cpu_seconds']:.0f}",
        )
        for case in document["results"]["cases"]
    ]
    return [Table("Games away from the symmetric one", columns, rows)]


def markdown(document: dict[str, Any]) -> str:
    """What is compared."""
    return (
        "The faithful network on games that the symmetric closed form does not cover, that start "
        "elsewhere, or that have more and longer steps. Errors are against the exact "
        "discrete-time open-loop equilibrium of the asymmetric recursion."
    )
