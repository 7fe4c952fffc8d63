"""A whole solve on this machine, backend by backend: what starts, compiles and steps take.

Every line is a process of its own, from its start to the result: the inter-bank game with the full
path, T = 1, 20 steps, in which nothing is saved or shown and no regret is estimated. It computes on
the GPU where the backend finds one, and on the CPU otherwise.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parent.parent
_LIBRARIES = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}
_PROGRAM = """
import json, resource, statistics, sys, time
begun = time.monotonic()
given = json.loads(sys.argv[1])
import keras
import numpy as np
import fictitious_play as fp
from fictitious_play import devices

game = fp.InterBankGame(players=given["players"], steps=given["euler_steps"])
solver = fp.DeepFictitiousPlay(game, hidden=(given["width"],) * 2, batch_size=given["batch"],
                               precision=given["precision"])
imported = time.process_time()
result = solver.solve(given["stages"], given["steps"], progress=False, regret_every=None)
solved = time.process_time()
first, *later = result.history
steady = statistics.median(record.seconds for record in later)
steady_cpu = statistics.median(record.cpu_seconds for record in later)
measured = {
    "seconds": time.monotonic() - begun,
    "device": "GPU" if devices.has_gpu() else "CPU",
    "precision": result.settings["precision"],
    "import_cpu_seconds": imported,
    "solve_cpu_seconds": solved - imported,
    "stage_seconds": steady,
    "stage_cpu_seconds": steady_cpu,
    "first_stage_less_a_later_one_seconds": first.seconds - steady,
    "first_stage_less_a_later_one_cpu_seconds": first.cpu_seconds - steady_cpu,
    "step_milliseconds": 1e3 * steady / given["steps"],
    "cost_error": float(np.abs(result.relative_error(fp.lq.nash(game))).max()),
    "host_mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0,
}
if keras.config.backend() == "jax":
    play = solver._play(given["stages"] * given["steps"])
    products = play._trainer.products(*play.arguments(1, 0, 1, given["steps"]))
    measured["shapes_of_products"] = len(set(products))
    import jax
    memory = jax.devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in memory:
        measured["device_mebibytes"] = memory["peak_bytes_in_use"] / 2**20
elif keras.config.backend() == "tensorflow" and devices.has_gpu():
    import tensorflow as tf
    measured["device_mebibytes"] = tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20
print(json.dumps(measured))
"""
_COLUMNS = {
    "device": "device",
    "precision": "products",
    "seconds": "import to result (s)",
    "solve_cpu_seconds": "solve (CPU-s)",
    "first_stage_less_a_later_one_seconds": "first stage less a later one (s)",
    "first_stage_less_a_later_one_cpu_seconds": "the same (CPU-s)",
    "stage_cpu_seconds": "later stage (CPU-s)",
    "step_milliseconds": "step (ms)",
    "shapes_of_products": "shapes of products",
    "host_mebibytes": "host (MiB)",
    "device_mebibytes": "device (MiB)",
    "cost_error": "cost error",
}


def main() -> int:
    """Prints a row per backend and number of players; `--out` keeps them as JSON."""
    parser = argparse.ArgumentParser("./run bench devices", description=__doc__)
    parser.add_argument("--backends", nargs="+", choices=_LIBRARIES, default=["tensorflow", "jax"])
    parser.add_argument("--players", type=int, nargs="+", default=[5, 10, 24])
    parser.add_argument("--euler-steps", type=int, default=20)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--stages", type=int, default=10)
    parser.add_argument("--steps", type=int, default=60, help="training steps per stage")
    parser.add_argument("--precision", choices=("float32", "tf32"), default="float32")
    parser.add_argument("--conditions", default="", help="of the machine, for the table's title")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--out", type=Path, default=None, help="JSON file to write")
    given = parser.parse_args()
    if given.stages < 2:
        parser.error(
            f"--stages must be at least 2, a first and a later one. Received: {given.stages}"
        )
    rows = []
    for backend in given.backends:
        if importlib.util.find_spec(_LIBRARIES[backend]) is None:
            print(f"{backend} is not installed, and left out.")
            continue
        for players in given.players:
            rows.append(_solve(backend, players, given))
            row = rows[-1]
            shown = (f"{title} {_shown(row.get(key))}" for key, title in _COLUMNS.items())
            print(f"{backend}, N = {players}: {', '.join(shown)}", flush=True)
    if given.out is not None:
        from benchmarks import report

        report.keep("devices", given, {"rows": rows}, given.threads)
    return 0


def summary(document: dict) -> list:
    """A row a backend and number of players."""
    from reproduce.report import Table

    rows = [
        (
            row["backend"],
            str(row["players"]),
            *(_shown(row.get(key)) for key in _COLUMNS),
        )
        for row in document["rows"]
    ]
    conditions = document["settings"].get("conditions")
    title = f"A whole solve, {conditions}" if conditions else "A whole solve"
    return [Table(title, ("backend", "N", *_COLUMNS.values()), rows)]


def _solve(backend: str, players: int, given: argparse.Namespace) -> dict[str, Any]:
    settings = {
        name: getattr(given, name)
        for name in ("euler_steps", "width", "batch", "stages", "steps", "precision")
    }
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    if given.threads is not None:
        for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"):
            environment[name] = str(given.threads)
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, json.dumps({**settings, "players": players})],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"The solve on {backend} failed: {done.stderr[-2000:]}")
    measured = json.loads(done.stdout.splitlines()[-1])
    return {"backend": backend, "players": players, **measured}


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
