"""Cost error after every stage, with the time-discretisation error beside it."""

from pathlib import Path
from typing import Any

import numpy as np

from reproduce import figures
from reproduce.games import solving
from reproduce.report import Table

PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {
        "players": [2, 3], "seeds": 1, "game": {**solving.STANDARD, "steps": 4},
        "spread_start": False, **solving.SMOKE,
    },
    "quick": {
        "players": [5, 10, 24], "seeds": 1, "game": solving.STANDARD, "spread_start": True,
        **solving.QUICK,
    },
    "paper": {
        "players": [5, 10, 24], "seeds": 5, "game": solving.STANDARD, "spread_start": True,
        **solving.PAPER,
    },
}  # fmt: skip
_SPREAD_START = "N = 5, spread start"
#: Of the relative cost error by number of players; with the skip path in the standard game.
_LIMITS = {
    "faithful": {5: 0.005, 10: 0.005, 24: 0.01},
    "skip path": {5: 0.001, 10: 0.002, 24: 0.004},
}
_NETWORKS: dict[str, dict[str, Any]] = {"faithful": {}, "skip path": {"skip": True}}


def run(context) -> dict[str, Any]:
    """Solves every game with both networks, for every seed."""
    training = dict(context.settings)
    players, seeds = training.pop("players"), training.pop("seeds")
    game, spread_start = training.pop("game"), training.pop("spread_start")
    games = {f"N = {count}": {**game, "players": count} for count in players}
    if spread_start:
        games[_SPREAD_START] = solving.SPREAD_START
    cases = []
    for title, arguments in games.items():
        for network, switches in _NETWORKS.items():
            for seed in range(context.seed, context.seed + seeds):
                name = f"{title}-{network}-{seed}".replace(" ", "")
                batch = training["batch_size"] * (2 if switches else 1)
                network_training = {**training, **switches, "batch_size": batch}
                result = solving.train(context, name, arguments, network_training, seed)
                case = solving.describe(result)
                cases.append({"game": title, "network": network, "seed": seed, **case})
    return {"cases": cases}


def draw(document: dict[str, Any], stem: Path) -> list[Path]:
    """Mean size of the relative cost error over the players against the stage, a panel a game."""
    from matplotlib import pyplot

    cases = document["results"]["cases"]
    titles = list(dict.fromkeys(case["game"] for case in cases))
    figure, axes = pyplot.subplots(
        1, len(titles), figsize=(2.9 * len(titles), 3.3), sharey=True, squeeze=False
    )
    for axis, title in zip(axes[0], titles, strict=True):
        for number, network in enumerate(_NETWORKS):
            chosen = [c for c in cases if c["game"] == title and c["network"] == network]
            stages, errors, bars = _by_stage(chosen)
            axis.errorbar(
                stages, errors, yerr=bars, capsize=2, label=network, **figures.STYLES[number]
            )
        time_error = _time_error(chosen[0])
        axis.axhline(
            time_error, color="#5a5a5a", linestyle=":", label="time discretisation, N_T = "
            f"{chosen[0]['settings']['game']['steps']}",
        )  # fmt: skip
        axis.set(yscale="log", xlabel="stage", title=title)
    axes[0, 0].set_ylabel("largest relative cost error (%)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return [figures.save(figure, stem)]


def summary(document: dict[str, Any]) -> list[Table]:
    """Final errors, a row a game and network."""
    cases = document["results"]["cases"]
    columns = ("game", "network", "largest error ± s.e.", "exploitability", "seeds",
               "time step", "CPU-seconds")  # fmt: skip
    rows = []
    for title in dict.fromkeys(case["game"] for case in cases):
        for network in _NETWORKS:
            chosen = [c for c in cases if c["game"] == title and c["network"] == network]
            rows.append(
                (
                    title,
                    network,
                    _final_error(chosen),
                    _exploitability(chosen),
                    str(len(chosen)),
                    f"{_time_error(chosen[0]):.2f} %",
                    f"{np.mean([case['cpu_seconds'] for case in chosen]):.0f}",
                )
            )
    return [Table("Relative cost error after the last stage", columns, rows)]


def markdown(document: dict[str, Any]) -> str:
    """What is compared."""
    return (
        "The largest relative cost error over the players after every stage, against the exact "
        "discrete-time equilibrium (stage errors on 1,024 validation paths, final errors on "
        "8,192; bars are standard errors). *Faithful* is the paper's network, ReLU and batch "
        "normalisation; *skip path* adds a linear path from the features to the control, which "
        "suits this game because its equilibrium is linear; it is trained with twice the batch, "
        "since the noise of the gradient is what limits it. The dotted line is how far the "
        "discrete-time equilibrium itself is from the continuous-time one."
    )


def _by_stage(cases):
    """Stages, size of the largest error over the players and its bar, in %, mean over seeds."""
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


def _time_error(case) -> float:
    """Largest distance of the continuous-time costs from the discrete ones, in %."""
    discrete, continuous = np.asarray(case["exact_discrete"]), np.asarray(case["exact_continuous"])
    return float(100 * np.max(np.abs(discrete / continuous - 1)))


def _exploitability(cases) -> str:
    if len(cases) == 1:
        return solving.certified(cases[0])
    gains = [np.nanmax(case["exploitability"]["relative"]) for case in cases]
    return f"{100 * np.mean(gains):.3f} % ± {100 * np.std(gains, ddof=1):.3f} (seeds)"


def _final_error(cases) -> str:
    worst = [solving.worst(case) for case in cases]
    if len(worst) == 1:
        return solving.percent(*worst[0])
    errors = [error for error, _ in worst]
    return f"{100 * np.mean(errors):+.3f} % ± {100 * np.std(errors, ddof=1):.3f} (seeds)"
