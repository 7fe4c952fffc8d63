"""Cost of the joint policy against the paper's graph of one Functional model per player.

Both train the same game with the same widths and batch, in one process, taking turns. Times are
CPU-seconds of the process, so they do not depend on what else the machine does.
"""

import argparse
import statistics
import time
from pathlib import Path

from reproduce import startup


def main() -> int:
    """Prints first step, training step and their ratios; `--out` keeps them as JSON."""
    parser = argparse.ArgumentParser("./run bench fast-form", description=__doc__)
    parser.add_argument("--players", type=int, default=10)
    parser.add_argument("--steps", type=int, default=20, help="Euler steps of the game")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=15, help="timed training steps of each")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--out", type=Path, default=None, help="JSON file to write")
    given = parser.parse_args()
    startup.import_backend(given.threads)
    import keras
    import numpy as np

    import fictitious_play as fp
    from benchmarks import report
    from fictitious_play.solver.optimizers import OptimizerChoice
    from fictitious_play.solver.samples import training_sample
    from fictitious_play.solver.training import BestResponseModel, compile_model

    game = fp.InterBankGame(players=given.players, steps=given.steps)
    sample = training_sample(game, 0, 1, 0, given.batch, "float32")
    others = np.zeros((given.batch, *game.controls_shape), "float32")
    hidden = (given.width, given.width)

    def timed(action):
        begun = time.process_time()
        action()
        return time.process_time() - begun

    warm = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    warm.compile("adam", "mse")
    warm.train_on_batch(np.zeros((2, 2)), np.zeros((2, 1)))

    joint: list = []

    def first_joint():
        model = BestResponseModel(fp.JointPolicy(game, hidden))
        joint.append(compile_model(model, OptimizerChoice(None, 1e-3, 0.1).make(1000)))
        joint[0].train_on_batch([*sample, others[..., None]])

    models: list = []

    def first_player(player):
        model = fp.player_model(game, player, hidden)
        model.compile(keras.optimizers.Adam(1e-3), fp.MeanCost())
        model.train_on_batch([*sample, others], np.zeros((given.batch, 1), "float32"))
        models.append(model)

    first = {"joint": timed(first_joint)}
    first["one model per player"] = sum(
        timed(lambda p=p: first_player(p)) for p in range(game.players)
    )
    targets = np.zeros((given.batch, 1), "float32")

    def all_players():
        for model in models:
            model.train_on_batch([*sample, others], targets)

    steps: dict[str, list[float]] = {"joint": [], "one model per player": []}
    for _ in range(given.repeats):
        steps["joint"].append(timed(lambda: joint[0].train_on_batch([*sample, others[..., None]])))
        steps["one model per player"].append(timed(all_players))

    ratios = [
        slow / fast
        for slow, fast in zip(steps["one model per player"], steps["joint"], strict=True)
    ]
    rows = {
        name: {
            "first_step_cpu_seconds": first[name],
            "training_step_cpu_seconds": statistics.median(values),
        }
        for name, values in steps.items()
    }
    measured = {
        "rows": rows,
        "first_step_ratio": first["one model per player"] / first["joint"],
        "training_step_ratio": {
            "median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)
        },
    }  # fmt: skip
    print(f"N = {given.players}, N_T = {given.steps}, width {given.width}, batch {given.batch}")
    for name, row in rows.items():
        print(
            f"  {name:<20} first step {row['first_step_cpu_seconds']:8.2f} CPU-s   "
            f"training step {1e3 * row['training_step_cpu_seconds']:8.1f} CPU-ms"
        )
    print(
        f"  ratio: first step {measured['first_step_ratio']:.0f}, training step "
        f"{statistics.median(ratios):.1f} (median of {len(ratios)}; "
        f"{min(ratios):.1f} to {max(ratios):.1f})"
    )
    if given.out is not None:
        report.keep("fast-form", given, measured, given.threads)
    return 0


def summary(document: dict) -> list:
    """Seconds of both forms and their ratios."""
    from reproduce.report import Table

    given, ratio = document["settings"], document["training_step_ratio"]
    rows = [
        (name, f"{row['first_step_cpu_seconds']:.2f}",
         f"{1e3 * row['training_step_cpu_seconds']:.1f}")
        for name, row in document["rows"].items()
    ]  # fmt: skip
    rows.append((
        "ratio", f"{document['first_step_ratio']:.0f}",
        f"{ratio['median']:.1f} ({ratio['min']:.1f} to {ratio['max']:.1f})",
    ))  # fmt: skip
    title = f"N = {given['players']}, N_T = {given['steps']}, width {given['width']}, batch "
    columns = ("form", "first step, CPU-s", "training step, CPU-ms")
    return [Table(title + str(given["batch"]), columns, rows)]
