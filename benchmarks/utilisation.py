"""How much of a training step is matrix products, at what rate they run, and what takes the rest.

The rate of the machine is measured in the same process with one large product on the same threads.
The arithmetic of a step is counted, not measured: products of the first layer (forward and weight
gradient) and of the later layers (forward, weight and input gradients).

The split of a step is measured part by part: *products*, those of the step and nothing else, on
tensors of the same shapes; *normalisation*, what the step takes more than one without it; *Adam*,
what it takes more than one with plain gradient descent; *roll-out*, the game's costs and their
gradient; the rest is ReLU, bias, stacking, transposing, and the cost of an operation. TensorFlow
backend only.
"""

import argparse
import gc
import statistics
import time
from pathlib import Path

from reproduce import startup

_STEPS = {
    "step": "step",
    "without_normalisation": "step without normalisation",
    "step_xla": "step, XLA",
    "without_normalisation_xla": "step without normalisation, XLA",
}


def main() -> int:
    """Prints the achieved fraction of the machine's rate, a row per game; `--out` keeps it."""
    parser = argparse.ArgumentParser("./run bench utilisation", description=__doc__)
    parser.add_argument("--players", type=int, nargs="+", default=[10, 24, 100])
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--xla", action="store_true", help="also the step compiled by XLA")
    parser.add_argument("--out", type=Path, default=None, help="JSON file to write")
    given = parser.parse_args()
    startup.import_backend(given.threads)
    from benchmarks import report, step_parts

    def cpu_seconds(action):
        action()
        values = []
        for _ in range(given.repeats):
            begun = time.process_time()
            action()
            values.append(time.process_time() - begun)
        return statistics.median(values)

    rows = []
    for players in given.players:
        parts = step_parts.StepParts(players, given.width, given.batch)
        rate = step_parts.SIDE**3 * 2.0 / cpu_seconds(step_parts.large_product())
        row = {
            "players": players,
            "weights": parts.weights,
            "gigaflop_a_step": parts.operations / 1e9,
            "machine_gigaflop_a_cpu_second": rate / 1e9,
        }
        for name, action in parts.actions(given.xla):
            begun = time.process_time()
            action()
            row[f"{name}_first_call_cpu_seconds"] = time.process_time() - begun
            row[f"{name}_cpu_seconds"] = cpu_seconds(action)
            del action
            gc.collect()
        row["split_cpu_seconds"] = _split(row)
        for name in _STEPS:
            if f"{name}_cpu_seconds" in row:
                row[f"{name}_fraction"] = parts.operations / rate / row[f"{name}_cpu_seconds"]
        rows.append(row)
        _show(row)
    if given.out is not None:
        report.keep("utilisation", given, {"rows": rows}, given.threads)
    return 0


def summary(document: dict) -> list:
    """The achieved fraction, and the split of a step."""
    from reproduce.report import Table

    rows, splits = document["rows"], []
    achieved = []
    for row in rows:
        for name, title in _STEPS.items():
            if f"{name}_cpu_seconds" in row:
                achieved.append(
                    (f"N = {row['players']}, {title}", f"{row['weights'] / 1e6:.1f} M",
                     f"{row['gigaflop_a_step']:.2f}", f"{1e3 * row[f'{name}_cpu_seconds']:.0f}",
                     f"{100 * row[f'{name}_fraction']:.0f} %")
                )  # fmt: skip
        step = row["step_cpu_seconds"]
        shares = [f"{100 * part / step:.0f} %" for part in row["split_cpu_seconds"].values()]
        splits.append((f"N = {row['players']}", *shares))
    columns = ("game", "weights", "GFLOP per step", "CPU-ms", "of the machine's rate")
    parts = ("game", *rows[0]["split_cpu_seconds"])
    return [Table("Training step", columns, achieved), Table("What it is made of", parts, splits)]


def _split(row: dict) -> dict:
    step = row["step_cpu_seconds"]
    split = {
        "products": row["products_cpu_seconds"],
        "normalisation": step - row["without_normalisation_cpu_seconds"],
        "Adam": step - row["gradient_descent_cpu_seconds"],
        "roll-out": row["roll_out_cpu_seconds"],
    }
    return {**split, "rest": step - sum(split.values())}


def _show(row: dict) -> None:
    print(
        f"N = {row['players']}: {row['weights'] / 1e6:.1f} M weights, "
        f"{row['gigaflop_a_step']:.2f} GFLOP per step, machine "
        f"{row['machine_gigaflop_a_cpu_second']:.0f} GFLOP/s"
    )
    for name, title in _STEPS.items():
        if f"{name}_cpu_seconds" not in row:
            continue
        print(
            f"  {title}: {1e3 * row[f'{name}_cpu_seconds']:.1f} CPU-ms, "
            f"{100 * row[f'{name}_fraction']:.0f} % of the machine; first call "
            f"{row[f'{name}_first_call_cpu_seconds']:.1f} CPU-s"
        )
    split = ", ".join(f"{name} {1e3 * part:.1f}" for name, part in row["split_cpu_seconds"].items())
    print(f"  CPU-ms of the step: {split}", flush=True)
