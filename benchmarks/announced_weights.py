"""What players announce after a stage: averages of its weights, or the last ones as in the paper.

The same solves both ways, held against the exact theory; everything else is as by default.
"""

import argparse
import statistics
from pathlib import Path
from typing import Any

from reproduce import startup

#: Information structure, stages and steps per stage of every case.
_CASES = {
    "convoy of 5": ("open_loop", 10, 60),
    "5 banks": ("open_loop", 10, 60),
    "5 banks, few steps": ("open_loop", 5, 20),
    "5 banks, many stages": ("open_loop", 40, 15),
    "10 banks": ("open_loop", 10, 60),
    "3 banks, closed loop": ("closed_loop", 10, 60),
    "2 banks, one step": ("open_loop", 1, 1),
}


def make(name: str) -> Any:
    """The game of a case."""
    import fictitious_play as fp

    if name.startswith("convoy"):
        return fp.convoy_game(5, steps=20)
    return fp.InterBankGame(players=int(name.split()[0]), steps=20)


def measure(name: str, average: bool, seed: int) -> dict[str, Any]:
    """The largest cost error and exact gain over the players, relative to the cost, and time."""
    import numpy as np

    import fictitious_play as fp

    game, (structure, stages, steps) = make(name), _CASES[name]
    solver = fp.DeepFictitiousPlay(
        game,
        information_structure=structure,
        average_weights=average,
        batch_size=256,
        seed=seed,
    )
    result = solver.solve(stages, steps, progress=False, regret_every=None)
    exact = fp.lq.nash(game, information_structure=structure)
    return {
        "seed": seed,
        "average_weights": average,
        "cost_error": float(np.max(np.abs(result.relative_error(exact)))),
        "gain": float(np.max(result.exploitability(method="exact").relative)),
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
    for quantity in ("cost error, %", "exact gain, %", "CPU-s"):
        columns += [f"{quantity}: last weights", "averages"]
    return [Table("", tuple(columns), [_row(case) for case in document["cases"]])]


def _row(case: dict[str, Any]) -> tuple[str, ...]:
    _, stages, steps = _CASES[case["case"]]
    cells = [case["case"], f"{stages} x {steps}", str(len(case["runs"]) // 2)]
    for key, factor in (("cost_error", 100.0), ("gain", 100.0), ("cpu_seconds", 1.0)):
        for average in (False, True):
            values = [
                factor * run[key] for run in case["runs"] if run["average_weights"] == average
            ]
            spread = f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.3g}{spread}")
    return tuple(cells)
