"""Closed-loop games whose states rest or drift under the first belief, against the exact theory.

A follower who sees an exogenous signal and starts at rest; and duopolies with sticky prices
(Fershtman and Kamien 1987), away from the steady state, with little noise or none, linear-quadratic
and with marginal costs that curve, where the hands that tremble in training have a bias. All
settings of the solver are the defaults, so that nothing but the states themselves tells what there
is to see.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from reproduce import startup

#: Intercept of demand, first price, volatility, horizon and number of Euler steps.
DUOPOLIES = {
    "no noise": (5.0, 1.0, 0.0, 2.0, 10),
    "little noise": (5.0, 1.0, 0.2, 2.0, 10),
    "long way down": (10.0, 8.0, 0.1, 2.0, 20),
    "long horizon": (4.0, 0.0, 0.05, 5.0, 20),
}


#: Of them, those that are played with curved costs as well.
_CURVED = ("no noise", "little noise")
NAMES = ["follower", *DUOPOLIES, *(f"curved, {name}" for name in _CURVED)]


def make(name: str):
    """The game of a name."""
    from benchmarks.curved_duopoly import CurvedDuopoly

    if name == "follower":
        return follower()
    rest = name.removeprefix("curved, ")
    return (duopoly if rest == name else CurvedDuopoly)(*DUOPOLIES[rest])


def follower():
    """One player steers X, at rest in 0, after a Brownian signal Z: ½ (X - Z)² + .05 u²."""
    import fictitious_play as fp

    gap = [[[1.0, -1.0], [-1.0, 1.0]]]
    return fp.LinearQuadraticGame(
        np.zeros((2, 2)), [[[1.0], [0.0]]], gap, None, [[[0.1]]], gap, [[0.0], [1.0]],
        horizon=2.0, steps=8, initial_std=[0.0, 0.5],
    )  # fmt: skip


def duopoly(intercept, price, sigma, horizon, steps):
    """dp = (a - p - u_1 - u_2) dt + σ dW, costs ½ u_i² + u_i - p u_i; the second state is 1."""
    import fictitious_play as fp

    zero = np.zeros((2, 2, 2))
    return fp.LinearQuadraticGame(
        [[-1.0, intercept], [0.0, 0.0]], [[[-1.0], [0.0]]] * 2, zero, [[[-1.0, 1.0]]] * 2, None,
        zero, [[sigma], [0.0]], horizon=horizon, steps=steps, initial_mean=[price, 1.0],
    )  # fmt: skip


def measure(game, seed: int, stages: int, steps_per_stage: int, paths: int) -> dict[str, Any]:
    """Cost error, and exact gain of the best deviation, relative to the cost."""
    import fictitious_play as fp
    from benchmarks import curved_duopoly

    solver = fp.DeepFictitiousPlay(game, information_structure="closed_loop", seed=seed)
    result = solver.solve(stages, steps_per_stage, validation_paths=paths, progress=False)
    if game.is_linear_quadratic:
        exact = fp.lq.nash(game, information_structure="closed_loop")
        errors = result.relative_error(exact)
        certificate = result.exploitability(method="exact", paths=paths)
        gains = certificate.gain / np.abs(exact.cost)
    else:
        errors, gains = curved_duopoly.judge(result)
    return {
        "seed": seed,
        "cost_error": float(np.max(np.abs(errors))),
        "gain": float(np.max(gains)),
        "regret": None if result.regret is None else result.regret.worst,
        "converged": result.converged,
        "unmoved_states": list(result.policy.unmoved_states),
    }


def main() -> int:
    """Prints a row per game, the worst over the seeds; `--out` keeps all as JSON."""
    parser = argparse.ArgumentParser("./run bench unseen-states", description=__doc__)
    parser.add_argument("--only", nargs="+", default=NAMES, choices=NAMES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--stages", type=int, default=10)
    parser.add_argument("--steps-per-stage", type=int, default=60)
    parser.add_argument("--paths", type=int, default=8192)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--out", type=Path, default=None, help="JSON file to write")
    given = parser.parse_args()
    startup.import_backend(given.threads)
    rows = []
    for name in given.only:
        game = make(name)
        budget = (given.stages, given.steps_per_stage, given.paths)
        runs = [measure(game, seed, *budget) for seed in range(given.seeds)]
        rows.append({"game": name, "runs": runs})
        error, gain = (max(run[key] for run in runs) for key in ("cost_error", "gain"))
        agreed = sum(run["converged"] for run in runs)
        print(
            f"{name:<20} cost error {100 * error:.3f} %, gain {100 * gain:.3f} %, converged "
            f"{agreed} of {len(runs)}",
            flush=True,
        )
    if given.out is not None:
        from benchmarks import report

        report.keep("unseen-states", given, {"games": rows}, given.threads)
    return 0


def summary(document: dict[str, Any]) -> list:
    """The worst cost error and gain over the seeds, game by game."""
    from reproduce.report import Table

    rows = [
        (
            each["game"],
            str(len(each["runs"])),
            *(
                f"{100 * max(run[key] for run in each['runs']):.3g} %"
                for key in ("cost_error", "gain")
            ),
            f"{sum(run['converged'] for run in each['runs'])} of {len(each['runs'])}",
        )
        for each in document["games"]
    ]
    columns = ("game", "seeds", "worst cost error", "worst exact gain, of the cost", "converged")
    return [Table("", columns, rows)]
