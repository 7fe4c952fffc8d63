"""Kills a solve at random moments and starts it again, until it is done; compares the bits.

Every trial runs the same solve in processes of their own, sends SIGKILL after a random time, once
or a few times, and then finishes it here. Costs, history and weights must be those of the
uninterrupted solve, bit for bit.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from reproduce import startup

_ROOT = Path(__file__).resolve().parent.parent
#: What a process of a trial runs. Starting Python and importing a backend take seconds in which
#: there is nothing to kill, so it says when the solve begins; Keras imports scikit-learn and
#: matplotlib where they are, which takes two more.
_PROGRAM = """
import json, sys
sys.modules.update(sklearn=None, matplotlib=None)
from benchmarks import kill_resume
from fictitious_play import DeepFictitiousPlay
print("begun", flush=True)
print(kill_resume.digest(json.loads(sys.argv[1]), sys.argv[2]), flush=True)
"""


def digest(settings: dict[str, Any], folder: str | Path) -> str:
    """A digest of the bits of a solve that saves its progress in a folder."""
    import numpy as np

    import fictitious_play as fp

    game = fp.InterBankGame(players=settings["players"], steps=settings["steps"], rho=0.3)
    form = {"belief": settings["belief"], "seed": settings["seed"]}
    solver = fp.DeepFictitiousPlay(game, hidden=(8,), **form)
    result = solver.solve(
        settings["stages"], settings["steps_per_stage"], folder=folder, validation_paths=256,
        progress=False, regret_every=None,
    )  # fmt: skip
    bits = hashlib.sha256()
    for weight in result.policy.weights:
        bits.update(np.ascontiguousarray(weight).tobytes())
    for record in result.history:
        bits.update(record.cost.tobytes() + record.loss.tobytes())
    bits.update(result.cost.tobytes() + result.cost_standard_error.tobytes())
    return bits.hexdigest()


def killed_solve(settings: dict[str, Any], folder: Path, kill_after: float) -> str | None:
    """Runs the solve in a process of its own and kills it.

    Args:
        settings: of the solve.
        folder: where it saves its progress.
        kill_after: seconds from the beginning of the solve to SIGKILL.

    Returns:
        None, or the digest of its bits where it came to its end before.

    Raises:
        RuntimeError: where it ended with an error of its own.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, json.dumps(settings), str(folder)],
        cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    assert process.stdout is not None
    ready = process.stdout.readline().strip() == "begun"
    if ready:
        try:
            process.wait(kill_after)
        except subprocess.TimeoutExpired:
            process.kill()
    output, errors = process.communicate()
    if process.returncode == -signal.SIGKILL:
        return None
    if process.returncode:
        raise RuntimeError(f"A solve failed by itself:\n{errors[-2000:]}")
    return output.split()[-1]


def saved_stage(folder: Path) -> int:
    """The last stage that the folder holds whole."""
    names = [path.name for path in folder.glob("stage-*") if path.suffix != ".partial"]
    return max((int(name.removeprefix("stage-")) for name in names), default=0)


def trials(settings: dict[str, Any], kills: int, place: Path, seed: int) -> dict[str, Any]:
    """Kills the solve `kills` times in all, each time at a random moment of the time it takes.

    After every kill a coin says whether the solve is killed again or finishes and is compared with
    the uninterrupted one; then a new one is begun in a fresh folder.

    Returns:
        The digest, a list of what every kill left, and the number of solves that were compared and
        of those that differed.
    """
    generator = random.Random(seed)
    begun = time.monotonic()
    expected = digest(settings, place / "uninterrupted")
    whole = time.monotonic() - begun
    moments: list[dict[str, Any]] = []
    compared, different, number = 0, 0, 0
    killed = False
    while len(moments) < kills or killed:
        folder = place / f"trial-{number}"
        kill_after = None
        if len(moments) < kills and not (killed and generator.random() < 0.5):
            kill_after = generator.uniform(0.0, whole)
        if kill_after is None:
            bits: str | None = digest(settings, folder)
        else:
            bits = killed_solve(settings, folder, kill_after)
        killed = bits is None
        if killed:
            partial = any(path.name.endswith(".partial") for path in folder.glob("*"))
            moments.append({"seconds": kill_after, "saved_stage": saved_stage(folder),
                            "while_saving": partial})  # fmt: skip
            continue
        compared += 1
        different += bits != expected
        shutil.rmtree(folder)
        number += 1
    return {"digest": expected, "kills": moments, "compared": compared, "different": different}


def main() -> int:
    """Prints what every kill left and whether the bits agree; `--out` keeps it as JSON. The exit
    status is 1 where they do not."""
    parser = argparse.ArgumentParser("./run bench kill-resume", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--players", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10, help="Euler steps of the game")
    parser.add_argument("--stages", type=int, default=12)
    parser.add_argument("--steps-per-stage", type=int, default=40)
    parser.add_argument("--belief", default="last")
    parser.add_argument("--seed", type=int, default=0, help="of the solve and of the moments")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--out", type=Path, default=None, help="JSON file to write")
    given = parser.parse_args()
    startup.import_backend(given.threads)
    names = ("players", "steps", "stages", "steps_per_stage", "belief", "seed")
    settings = {name: getattr(given, name) for name in names}
    with tempfile.TemporaryDirectory() as place:
        outcome = trials(settings, given.kills, Path(place), given.seed)
    print(f"{given.kills} kills of a solve of {given.stages} stages:")
    for number, kill in enumerate(outcome["kills"], start=1):
        print(
            f"  {number:3d}  after {kill['seconds']:6.2f} s, stage {kill['saved_stage']} was saved"
            + (", while saving" if kill["while_saving"] else "")
        )
    print(
        f"{outcome['compared']} solves finished after kills, {outcome['different']} of them with "
        "other bits than the uninterrupted one"
    )
    if given.out is not None:
        from benchmarks import report

        report.keep("kill-resume", given, outcome, given.threads, given.seed)
    return 1 if outcome["different"] else 0


def summary(document: dict[str, Any]) -> list:
    """How many kills, solves compared, and solves that differed."""
    from reproduce.report import Table

    saving = sum(kill["while_saving"] for kill in document["kills"])
    row = (len(document["kills"]), saving, document["compared"], document["different"])
    columns = ("kills", "while a stage was being saved", "solves finished after kills",
               "with other bits than the uninterrupted one")  # fmt: skip
    return [Table("", columns, [tuple(str(value) for value in row)])]
