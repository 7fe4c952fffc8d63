"""Many players: features whose size does not grow with N, and how far they go."""

from typing import Any

import numpy as np

from reproduce import figures
from reproduce.games import cells, solving
from reproduce.games.cases import Case, Games, Solved, by_game, names


def _cases(settings: dict[str, Any]) -> list[Case]:
    found = []
    for case in settings["cases"]:
        players, training = case["players"], case["training"]
        seen = "own and mean" if training.get("skip") else "full path"
        network = f"{seen}, width {training.get('hidden', (32,))[0]}"
        game = {**settings["game"], "players": players}
        found.append(Case(f"N = {players:,}", game, training, network, case.get("seeds")))
    return found


def _record(solved: Solved) -> dict[str, Any]:
    """Errors against the exact equilibrium: of the symmetric game, which needs no matrices."""
    import fictitious_play as fp

    result, training = solved.result, solved.case.training
    exact = fp.lq.nash(result.game)
    mean_field = fp.lq.mean_field_cost(result.game, "discrete")
    error = result.relative_error(exact)
    largest = cells.extreme(error, result.relative_standard_error(exact))
    return {
        "players": result.game.players,
        "features": training["features"],
        "skip": bool(training.get("skip")),
        "weights": result.policy.count_params(),
        "relative_error": largest[0],
        "relative_standard_error": largest[1],
        "mean_error": error.mean(),
        "mean_field_distance": mean_field[0] / exact.cost[0] - 1.0,
        "mean_error_by_stage": [np.mean(record.cost / exact.cost - 1.0)
                                for record in result.history],
        **solving.spent(result),
        "settings": training,
    }  # fmt: skip


def _draw(document: dict[str, Any]) -> Any:
    """Mean relative cost error of the players after every stage, the case at the end of a line."""
    figure, axis = figures.subplots(figsize=(8.4, 3.8))
    for number, (case, cases) in enumerate(by_game(document).items()):
        errors = 100 * np.abs(np.array([one["mean_error_by_stage"] for one in cases], float))
        last, number = errors.shape[1], number % len(figures.STYLES)
        figures.shaded(axis, np.arange(1, last + 1), errors, number)
        # Of lines that end close together the larger game's has its label above.
        high = cases[0]["players"] == 100
        axis.annotate(
            ", ".join(case), (last, errors[:, -1].mean()), (6, 10 * high - 8), fontsize=8.5,
            textcoords="offset points", color=figures.STYLES[number]["color"],
        )  # fmt: skip
    axis.set(yscale="log", xlabel="stage (best-response iteration)", xlim=(1, 1.6 * last),
             ylabel="mean relative cost error (%)", xticks=range(2, last + 1, 2))  # fmt: skip
    return figure


ITEM = Games(
    cases=_cases,
    record=_record,
    tables={"Many players against the exact discrete equilibrium": {
        "case": lambda cases: ", ".join(names(cases[0])),
        "largest error ± s.e.": cells.largest,
        "mean error": cells.quantity("mean_error", sign="+"),
        "mean-field limit": lambda cases: cells.over_seeds(
            [[cases[0]["mean_field_distance"]]], "+"),
        "weights": lambda cases: f"{cases[0]['weights'] / 1e6:.1f} M",
        **cells.RUNS,
        # Of those that were not solved at the document's own.
        "other revision": lambda cases: cases[0].get("revision", ""),
    }},
    draw=_draw,
)  # fmt: skip
