"""What players announce after a stage: averages of its weights, or the last ones as in the paper.

The same solves both ways, held against the exact theory; everything else is as by default.
"""

import argparse
from pathlib import Path
from typing import Any

from reproduce import catalogue, startup

#: As the item `games` trains it.
_FISH_WAR: dict[str, Any] = dict(
    next(
        row["training"]
        for row in catalogue.find("games").table["cases"]
        if row["make"] == "FishWar"
    )
)
#: Stages, steps per stage and arguments of `DeepFictitiousPlay` of every case.
_CASES: dict[str, tuple[int, int, dict[str, Any]]] = {
    "convoy of 5": (10, 60, {}),
    "5 banks": (10, 60, {}),
    "5 banks, few steps": (5, 20, {}),
    "5 banks, many stages": (40, 15, {}),
    "10 banks": (10, 60, {}),
    "3 banks, closed loop": (10, 60, {"information_structure": "closed_loop"}),
    "fish war, closed loop": (
        _FISH_WAR.pop("stages"),
        _FISH_WAR.pop("steps_per_stage"),
        _FISH_WAR,
    ),
    "2 banks, one step": (1, 1, {}),
}


def make(name: str) -> Any:
    """The game of a case."""
    import fictitious_play as fp
    from reproduce.games import gallery

    if name.startswith("fish"):
        return gallery.games()["FishWar"]()
    if name.startswith("convoy"):
        return fp.convoy_game(5, steps=20)
    return fp.InterBankGame(players=int(name.split()[0]), steps=20)


def measure(name: str, average: bool, seed: int) -> dict[str, Any]:
    """The largest cost error and gain over the players, relative to the cost, and time; the gain by
    the exact theory, or where there is none by a trained best response."""
    import numpy as np

    import fictitious_play as fp
    from reproduce.games import gallery

    game, (stages, steps, settings) = make(name), _CASES[name]
    solver = fp.DeepFictitiousPlay(
        game, average_weights=average, seed=seed, **{"batch_size": 256, **settings}
    )
    result = solver.solve(stages, steps, progress=False, regret_every=None)
    structure = solver.information_structure
    if game.is_linear_quadratic:
        error = result.relative_error(fp.lq.nash(game, information_structure=structure))
        found = result.exploitability(method="exact")
    else:
        exact = gallery.truth(type(game).__name__, game, structure).cost
        error, found = result.cost / exact - 1.0, result.exploitability(paths=1024, steps=60)
    return {
        "seed": seed,
        "average_weights": average,
        "cost_error": float(np.max(np.abs(error))),
        "gain": float(np.max(found.relative)),
        "cpu_seconds": sum(stage.cpu_seconds for stage in result.history),
    }


def main() -> int:
    """Prints a row per case; `--out` keeps all as JSON."""
    parser = argparse.ArgumentParser("./run bench announced-weights", description=__doc__)
    parser.add_argument("--only", nargs="+", default=list(_CASES)[:-1], choices=_CASES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--out", type=Path, default=None, help="JSON file to write")
    given = parser.parse_args()
    startup.import_backend(given.threads)
    from benchmarks import report

    cases: list[dict[str, Any]] = []
    for name in given.only:
        # Side by side, so that both ways have the same neighbours on the machine.
        runs = [
            measure(name, average, seed) for seed in range(given.seeds) for average in (False, True)
        ]
        cases.append({"case": name, "runs": runs})
        print(*_row(cases[-1]), sep=" | ", flush=True)
        if given.out is not None:
            report.keep("announced-weights", given, {"cases": cases}, given.threads)
    return 0


def summary(document: dict[str, Any]) -> list:
    """Mean and spread over seeds, case by case."""
    from reproduce.report import Table

    columns = ["case", "stages x steps", "seeds"]
    for quantity in ("cost error, %", "gain, %", "CPU-s"):
        columns += [f"{quantity}: last weights", "averages"]
    return [Table("", tuple(columns), [_row(case) for case in document["cases"]])]


def _row(case: dict[str, Any]) -> tuple[str, ...]:
    from benchmarks import report

    stages, steps, _ = _CASES[case["case"]]
    cells = [case["case"], f"{stages} x {steps}", str(len(case["runs"]) // 2)]
    for key, factor in (("cost_error", 100.0), ("gain", 100.0), ("cpu_seconds", 1.0)):
        for average in (False, True):
            values = [
                factor * run[key] for run in case["runs"] if run["average_weights"] == average
            ]
            cells.append(report.over_seeds(values))
    return tuple(cells)
