"""Resident memory while small games are solved one after another in one process.

Every solve makes networks, an optimizer, compiled steps and a result, which go when the result
goes. The first solves load what a process loads once; from the fifth on memory has to stay where it
is. Linux only: it reads /proc.
"""

import argparse
import gc
import os
from pathlib import Path
from typing import Any

from reproduce import startup

#: Solves that load what a process loads once.
_FIRST = 5
_KINDS = ("open_loop", "closed_loop")


def resident() -> float:
    """MiB of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(structure: str, solves: int, stages: int, steps_per_stage: int) -> list[float]:
    """Resident memory after each of so many solves, MiB."""
    import fictitious_play as fp

    game, sizes = fp.InterBankGame(players=3, steps=5), []
    for seed in range(solves):
        solver = fp.DeepFictitiousPlay(
            game, hidden=(16,), information_structure=structure, seed=seed
        )
        solver.solve(stages, steps_per_stage, validation_paths=256, stage_paths=64, progress=False)
        del solver
        gc.collect()
        sizes.append(resident())
    return sizes


def growth(memory: list[float]) -> float:
    """MiB from the fifth solve to the last."""
    return memory[-1] - memory[_FIRST - 1]


def main() -> int:
    """Prints a row per information structure; `--out` keeps all as JSON."""
    parser = argparse.ArgumentParser("./run bench leak", description=__doc__)
    parser.add_argument("--only", nargs="+", default=list(_KINDS), choices=_KINDS)
    parser.add_argument("--solves", type=int, default=50)
    parser.add_argument("--stages", type=int, default=2)
    parser.add_argument("--steps-per-stage", type=int, default=3)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--out", type=Path, default=None, help="JSON file to write")
    given = parser.parse_args()
    if given.solves <= _FIRST:
        parser.error(f"--solves must be more than {_FIRST}. Received: {given.solves}")
    startup.import_backend(given.threads)
    rows = []
    for kind in given.only:
        memory = measure(kind, given.solves, given.stages, given.steps_per_stage)
        rows.append({"information": kind, "resident_mib": memory})
        told = f"{memory[_FIRST - 1]:.0f} MiB after {_FIRST} solves, {memory[-1]:.0f} after all"
        print(f"{kind:<12} {told}: {growth(memory):+.1f}", flush=True)
    if given.out is not None:
        from benchmarks import report

        report.keep("leak", given, {"kinds": rows}, given.threads)
    return 0


def summary(document: dict[str, Any]) -> list:
    """Memory after the fifth solve and after the last."""
    from reproduce.report import Table

    rows = [
        (
            each["information"].replace("_", " "),
            str(len(each["resident_mib"])),
            f"{each['resident_mib'][_FIRST - 1]:.0f}",
            f"{each['resident_mib'][-1]:.0f}",
            f"{growth(each['resident_mib']):+.1f}",
        )
        for each in document["kinds"]
    ]
    columns = ("information", "solves", f"MiB after solve {_FIRST}", "MiB after the last", "growth")
    return [Table("", columns, rows)]
