"""Adam's first learning rate: multiples of the default over games, networks and information.

The inter-bank game of the paper at the quick budget; what a profile is worth is the exact theory's
verdict. `docs/design.md` shows what the default rests on.
"""

import argparse
import itertools
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from reproduce import catalogue, startup, store

#: Of the main job.
_GAME: dict[str, Any] = catalogue.find(catalogue.MAIN_ITEM).presets["quick"]["game"]
#: What the networks are and see → arguments of `DeepFictitiousPlay`.
FORMS: dict[str, dict[str, Any]] = {
    "full path": {},
    "full path, linear": {"skip": True},
    "own and mean": {"features": "own_and_mean"},
    "own and mean, linear": {"features": "own_and_mean", "skip": True},
    "closed loop": {"information_structure": "closed_loop"},
    "closed loop, linear": {
        "information_structure": "closed_loop",
        "batch_normalization": False,
        "skip": True,
    },
}


def measure(
    form: str, players: int, multiple: float, seed: int, batch: int, budget: tuple[int, int]
) -> dict[str, Any]:
    """The largest cost error and exact gain of one solve, relative to the cost.

    Args:
        form: of `FORMS`.
        players: N.
        multiple: of the default learning rate.
        seed, batch: of the solve.
        budget: stages, and steps per stage.
    """
    import numpy as np

    import fictitious_play as fp

    game = fp.InterBankGame(**{**_GAME, "players": players})
    settings: dict[str, Any] = {"batch_size": batch, "seed": seed, **FORMS[form]}
    rate = multiple * fp.DeepFictitiousPlay(game, **settings).optimizer.learning_rate
    solver = fp.DeepFictitiousPlay(game, learning_rate=rate, **settings)
    result = solver.solve(*budget, progress=False, regret_every=None)
    exact = fp.lq.nash(game, information_structure=solver.information_structure)
    found = result.exploitability(method="exact")
    return {
        "form": form,
        "players": players,
        "multiple": multiple,
        "seed": seed,
        "rate": rate,
        "reason": str(result.reason),
        "cost_error": float(np.max(np.abs(result.relative_error(exact)))),
        "gain": float(np.max(found.relative)),
        "cpu_seconds": sum(stage.cpu_seconds for stage in result.history),
    }


def main() -> int:
    """Prints a row per solve; `--out` keeps all as JSON, and a command broken off goes on there."""
    parser = argparse.ArgumentParser("./run bench learning-rates", description=__doc__)
    parser.add_argument("--forms", nargs="+", default=list(FORMS), choices=FORMS)
    parser.add_argument("--players", nargs="+", type=int, default=[5, 10, 24, 100])
    parser.add_argument("--multiples", nargs="+", type=float, default=[0.25, 0.5, 1.0, 2.0, 4.0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--stages", type=int, default=10)
    parser.add_argument("--steps-per-stage", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=1, help="processes, of one thread each")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    given = parser.parse_args()
    startup.import_backend(1)
    from benchmarks import report

    runs = store.read(given.out)["runs"] if given.out.exists() else []
    axes = (range(given.seeds), given.players, given.forms, given.multiples)
    wanted = [
        (form, players, multiple, seed, given.batch, (given.stages, given.steps_per_stage))
        for seed, players, form, multiple in itertools.product(*axes)
        if (form, players, multiple, seed) not in {_key(run) for run in runs}
    ]
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(given.jobs, spawned, startup.import_backend, (1,)) as pool:
        waiting = [pool.submit(measure, *each) for each in wanted]
        for number, future in enumerate(as_completed(waiting), 1):
            run = future.result()
            runs.append(run)
            print(
                f"{number} of {len(waiting)}: {_key(run)} cost error {100 * run['cost_error']:.3f} "
                f"%, gain {100 * run['gain']:.3f} %, {run['cpu_seconds']:.0f} CPU-s, "
                f"{run['reason']}",
                flush=True,
            )
            report.keep("learning-rates", given, {"runs": sorted(runs, key=_key)}, 1)
    return 0


def _key(run: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(run[name] for name in ("form", "players", "multiple", "seed"))


def summary(document: dict[str, Any]) -> list:
    """Mean and spread over seeds of the gain, a row per form and game, a column per multiple."""
    from reproduce.report import Table

    runs = document["runs"]
    multiples = sorted({run["multiple"] for run in runs})
    rows = []
    for form in FORMS:
        for players in sorted({run["players"] for run in runs if run["form"] == form}):
            cells = [
                _cell([run for run in runs if _key(run)[:3] == (form, players, multiple)])
                for multiple in multiples
            ]
            rows.append((form, str(players), *cells))
    columns = ("networks", "N", *(f"{multiple:g} ×" for multiple in multiples))
    return [Table("Gain by the exact best response, % of the cost", columns, rows)]


def _cell(runs: list[dict[str, Any]]) -> str:
    from benchmarks import report

    if not runs:
        return "–"
    gains = [100 * run["gain"] for run in runs]
    broken = sum(run["reason"] == "non_finite" for run in runs)
    return f"{report.over_seeds(gains)} (n = {len(gains)})" + (
        f", {broken} broken off" if broken else ""
    )
