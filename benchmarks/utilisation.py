"""How much of a training step is matrix products, and at what rate they run.

The rate of the machine is measured in the same process with one large product on the same threads;
the arithmetic of a step is counted, not measured: products of the first layer (forward and weight
gradient) and of the later layers (forward, weight and input gradients).
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path


def main() -> int:
    """Prints the achieved fraction of the machine's rate, a row a game; `--out` keeps it."""
    parser = argparse.ArgumentParser("./run bench utilisation", description=__doc__)
    parser.add_argument("--players", type=int, nargs="+", default=[10, 24])
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=None, help="JSON file to write")
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = str(given.threads)

    import numpy as np
    from keras import ops

    import fictitious_play as fp
    from fictitious_play.solver.samples import training_sample
    from fictitious_play.solver.training import BestResponseModel, compile_model
    from reproduce import provenance, store

    def cpu_seconds(action):
        values = []
        for _ in range(given.repeats):
            begun = time.process_time()
            action()
            values.append(time.process_time() - begun)
        return statistics.median(values)

    side = 1536
    square = ops.convert_to_tensor(np.random.default_rng(0).normal(size=(side, side)).astype("f"))

    def product():
        ops.convert_to_numpy(ops.matmul(square, square)[0, 0])

    product()
    rows = []
    for players in given.players:
        game = fp.InterBankGame(players=players)
        policy = fp.JointPolicy(game, (given.width, given.width))
        model = compile_model(BestResponseModel(policy), 1e-3, 0.1, 1000)
        sample = training_sample(game, 0, 1, 0, given.batch, "float32")
        inputs = [*sample, np.zeros((given.batch, game.steps, players, 1), "float32")]
        model.train_on_batch(inputs)
        model.predict_on_batch(inputs)
        rate = 2.0 * side**3 / cpu_seconds(product)
        step = cpu_seconds(lambda model=model, inputs=inputs: model.train_on_batch(inputs))
        forward = cpu_seconds(lambda model=model, inputs=inputs: model.predict_on_batch(inputs))
        optimizer = cpu_seconds(lambda model=model: _adam(model))
        first = 2.0 * given.batch * policy.row_ends[-1] * players * given.width
        later = 2.0 * given.batch * game.steps * players * given.width * (given.width + 1)
        operations = 2.0 * first + 3.0 * later
        rows.append(
            {
                "players": players,
                "weights": policy.count_params(),
                "gigaflop_a_step": operations / 1e9,
                "machine_gigaflop_a_cpu_second": rate / 1e9,
                "step_cpu_seconds": step,
                "forward_cpu_seconds": forward,
                "adam_cpu_seconds": optimizer,
                "fraction_of_machine_rate": operations / step / rate,
            }
        )
        row = rows[-1]
        print(
            f"N = {players}: {row['gigaflop_a_step']:.2f} GFLOP a step in {1e3 * step:.0f} CPU-ms "
            f"= {100 * row['fraction_of_machine_rate']:.0f} % of {rate / 1e9:.0f} GFLOP/s; "
            f"forward {1e3 * forward:.0f} ms, Adam {1e3 * optimizer:.0f} ms, "
            f"{row['weights'] / 1e6:.1f} M weights"
        )
    if given.out is not None:
        command = ["./run", "bench", "utilisation", *sys.argv[1:]]
        described = provenance.describe(command, "benchmark", 0, given.threads)
        settings = {key: value for key, value in vars(given).items() if key != "out"}
        store.write(given.out, {"provenance": described, "settings": settings, "rows": rows})
        print(f"Written: {given.out}")
    return 0


def _adam(model) -> None:
    """The optimizer alone, eagerly, on gradients of zero."""
    from keras import ops

    variables = model.trainable_variables
    model.optimizer.apply([ops.zeros_like(variable) for variable in variables], variables)
