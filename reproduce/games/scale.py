"""Many players: features whose size does not grow with N, and how far they go."""

from typing import Any

import numpy as np

from reproduce import figures
from reproduce.games import solving
from reproduce.report import Table


def run(context) -> dict[str, Any]:
    """Solves every case; N = 1,000 against the symmetric solution, which needs no matrices."""
    import fictitious_play as fp

    cases = []
    for case in context.settings["cases"]:
        players, training = case["players"], case["training"]
        name = f"players-{players}-{training['features']}"
        arguments = {**context.settings["game"], "players": players}
        result = solving.solve(context, name, arguments, training, context.seed)
        exact = fp.lq.nash(result.game)
        mean_field = fp.lq.mean_field_cost(result.game, "discrete")
        error, spread = result.relative_error(exact), result.relative_standard_error(exact)
        worst = int(np.argmax(np.abs(error)))
        cases.append({
            "players": players,
            "features": training["features"],
            "skip": bool(training.get("skip")),
            "weights": result.policy.count_params(),
            "relative_error": error[worst],
            "relative_standard_error": spread[worst],
            "mean_error": error.mean(),
            "mean_field_distance": mean_field[0] / exact.cost[0] - 1.0,
            "mean_error_by_stage": [
                np.mean(record.cost / exact.cost - 1.0) for record in result.history
            ],
            "seconds": sum(record.seconds for record in result.history),
            "cpu_seconds": sum(record.cpu_seconds for record in result.history),
            "settings": training,
        })  # fmt: skip
    return {"cases": cases}


def draw(document: dict[str, Any]) -> Any:
    """Mean relative cost error of the players after every stage, the case at the end of a line."""
    figure, axis = figures.subplots(figsize=(8.4, 3.8))
    for number, case in enumerate(document["results"]["cases"]):
        error = 100 * np.abs(np.asarray(case["mean_error_by_stage"], float))
        look = figures.STYLES[number % len(figures.STYLES)]
        axis.plot(np.arange(1, len(error) + 1), error, **look)
        # Lines that end close together: the wider network's label below, the larger game's above.
        high = (case["players"] == 100) - 2 * (case["settings"].get("hidden") == [32, 32])
        axis.annotate(_title(case), (len(error), error[-1]), (6, 4 * high - 3), fontsize=8.5,
                      textcoords="offset points", color=look["color"])  # fmt: skip
    axis.set(yscale="log", xlabel="stage (best-response iteration)", xlim=(1, 1.6 * len(error)),
             ylabel="mean relative cost error (%)")  # fmt: skip
    axis.set_xticks(range(2, len(error) + 1, 2))
    return figure


def summary(document: dict[str, Any]) -> list[Table]:
    """One row per case."""
    cases, made = document["results"]["cases"], document["provenance"]["revision"]
    percent = solving.percent
    return [Table.of("Many players against the exact discrete equilibrium", cases, {
        "case": _title,
        "largest error ± s.e.": lambda case: percent(case["relative_error"],
                                                     case["relative_standard_error"]),
        "mean error": lambda case: percent(case["mean_error"]),
        "mean-field limit": lambda case: percent(case["mean_field_distance"]),
        "weights": lambda case: f"{case['weights'] / 1e6:.1f} M",
        "CPU-seconds": lambda case: f"{case['cpu_seconds']:.0f}",
        "revision": lambda case: case.get("revision", made),
    })]  # fmt: skip


def _title(case: dict[str, Any]) -> str:
    features = "own and mean" if case["skip"] else "full path"
    return f"N = {case['players']:,}, {features}, width {case['settings'].get('hidden', (32,))[0]}"
