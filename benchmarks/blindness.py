"""Certificates of profiles with a planted fault, against the gain that is known.

A trained certificate must find at least half of it, for every player who can gain.
"""

import argparse
from pathlib import Path

from reproduce import startup


def main() -> int:
    """Prints a row per case; `--out` keeps them as JSON."""
    parser = argparse.ArgumentParser("./run bench blindness", description=__doc__)
    parser.add_argument("--steps", type=int, default=300, help="training steps of a certificate")
    parser.add_argument("--paths", type=int, default=4096, help="paths that measure it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--only", nargs="*", default=None, help="names of cases")
    parser.add_argument("--out", type=Path, default=None, help="JSON file to write")
    given = parser.parse_args()
    startup.import_backend(given.threads)
    import time

    from benchmarks import planted, report

    rows = []
    for name, make in planted.CASES.items():
        if given.only is not None and name not in given.only:
            continue
        begun = time.process_time()
        case = make()
        trained = certificate(case, given.steps, given.paths, given.seed)
        row = {
            "case": name,
            "players": case.game.players,
            "gain": case.gain.tolist(),
            "found": trained.gain.tolist(),
            "standard_error": trained.standard_error.tolist(),
            "by": list(trained.by),
            "share": smallest_share(case.gain, trained.gain),
            "cpu_seconds": time.process_time() - begun,
        }
        rows.append(row)
        print(f"{name:<20} share {row['share']:.3f}  {row['cpu_seconds']:.0f} s", flush=True)
    if given.out is not None:
        report.keep("blindness", given, {"cases": rows}, given.threads, given.seed)
    return 0


def certificate(case, steps: int, paths: int, seed: int = 0):
    """The trained certificate of a planted case, without what the exact theory could add."""
    from fictitious_play.solver.certificate import certify

    return certify(
        case.game, case.policy, "trained", steps=steps, hidden=None, paths=paths, seed=seed,
        batch_size=256,
    )  # fmt: skip


def smallest_share(gain, trained) -> float:
    """The smallest share found, over the players with at least a hundredth of the largest gain."""
    import numpy as np

    who = gain >= 0.01 * gain.max()
    return float(np.min(trained[who] / gain[who]))


def summary(document):
    """The tables of the report."""
    from reproduce.report import Table

    rows = [
        [
            case["case"],
            str(case["players"]),
            f"{max(case['gain']):.3g}",
            f"{max(case['found']):.3g}",
            f"{100 * case['share']:.0f} %",
            f"{case['cpu_seconds']:.0f}",
        ]
        for case in document["cases"]
    ]
    columns = ("planted fault", "players", "largest gain", "found", "smallest share", "CPU-seconds")
    return [Table("Gains found by trained certificates", columns, rows)]
