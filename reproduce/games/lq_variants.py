"""Trained cases away from the symmetric game: common noise, asymmetric weights, first belief."""

from typing import Any

import numpy as np

from reproduce.games.cases import COSTS_AND_RUNS, Case, Games


def _cases(settings: dict[str, Any]) -> list[Case]:
    players, game = settings["players"], settings["game"]
    base = {**game, "players": players}
    many = 5 * game["steps"] // 2
    weights = np.full((players, players), 0.5 / players)
    weights[:, 0] += 0.5
    spread = np.linspace(0.5, 1.5, players)
    unequal = {
        "weights": weights.tolist(), "sigma": spread.tolist(), "rho": 0.3,
        "a": (game["a"] * spread[::-1]).tolist(), "epsilon": (game["epsilon"] * spread).tolist(),
    }  # fmt: skip
    longer = 2.5 * game["horizon"]
    return [
        Case("common noise, ρ = 0.5", {**base, "rho": 0.5}),
        Case("player 1 weighs half, unequal σ, a, ε", {**base, **unequal}),
        Case("first belief 1 for everybody", base, {"initial_belief": 1.0}),
        Case(f"N = {2 * players}, {many} steps", {**base, "players": 2 * players, "steps": many}),
        Case(f"{many} steps, T = {longer:g}", {**base, "steps": many, "horizon": longer}),
    ]


run, summary = Games(
    cases=_cases, tables={"Games away from the symmetric one": COSTS_AND_RUNS}
).parts()
