"""Many players: features whose size does not grow with N, and how far they go."""

from typing import Any

import numpy as np

from reproduce import figures
from reproduce.games import solving
from reproduce.games.cases import Case, Games, Solved, by_game, cpu_seconds, features
from reproduce.report import Table


def _cases(settings: dict[str, Any]) -> list[Case]:
    return [
        Case(f"N = {case['players']:,}", {**settings["game"], "players": case["players"]},
             case["training"], features(case["training"].get("skip", False), case["training"]),
             case.get("seeds"))
        for case in settings["cases"]
    ]  # fmt: skip


def _record(solved: Solved) -> dict[str, Any]:
    """Errors against the exact equilibrium: of the symmetric game, which needs no matrices."""
    import fictitious_play as fp

    result, training = solved.result, solved.case.training
    exact = fp.lq.nash(result.game)
    mean_field = fp.lq.mean_field_cost(result.game, "discrete")
    error, spread = result.relative_error(exact), result.relative_standard_error(exact)
    worst = int(np.argmax(np.abs(error)))
    return {
        "players": result.game.players,
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
    }


def draw(document: dict[str, Any]) -> Any:
    """Mean relative cost error of the players after every stage, the case at the end of a line,
    which is the mean over the seeds; their range is shaded."""
    figure, axis = figures.subplots(figsize=(8.4, 3.8))
    for number, (case, cases) in enumerate(by_game(document)):
        errors = 100 * np.abs(np.array([one["mean_error_by_stage"] for one in cases], float))
        look = figures.STYLES[number % len(figures.STYLES)]
        stages, error = np.arange(1, errors.shape[1] + 1), errors.mean(axis=0)
        axis.plot(stages, error, **look)
        axis.fill_between(stages, errors.min(axis=0), errors.max(axis=0), color=look["color"],
                          alpha=0.15, linewidth=0)  # fmt: skip
        # Lines that end close together: the wider network's label below, the larger game's above.
        high = (cases[0]["players"] == 100) - 2 * (cases[0]["settings"].get("hidden") == [32, 32])
        axis.annotate(", ".join(case), (len(error), error[-1]), (6, 4 * high - 3), fontsize=8.5,
                      textcoords="offset points", color=look["color"])  # fmt: skip
    axis.set(yscale="log", xlabel="stage (best-response iteration)", xlim=(1, 1.6 * len(error)),
             ylabel="mean relative cost error (%)")  # fmt: skip
    axis.set_xticks(range(2, len(error) + 1, 2))
    return figure


def summary(document: dict[str, Any]) -> list[Table]:
    """One row per case."""
    groups, made = [*by_game(document)], document["provenance"]["revision"]
    return [Table.of("Many players against the exact discrete equilibrium", groups, {
        "case": lambda found: ", ".join(found[0]),
        "largest error ± s.e.": lambda found: solving.largest(found[1]),
        "mean error": lambda found: solving.over_seeds([(one["mean_error"],) for one in found[1]]),
        "mean-field limit":
            lambda found: solving.over_seeds([(found[1][0]["mean_field_distance"],)]),
        "weights": lambda found: f"{found[1][0]['weights'] / 1e6:.1f} M",
        "seeds": lambda found: str(len(found[1])),
        "CPU-seconds": lambda found: cpu_seconds(found[1]),
        "revision": lambda found: found[1][0].get("revision", made),
    })]  # fmt: skip


run = Games(cases=_cases, record=_record).run
