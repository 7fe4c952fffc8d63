"""Badly scaled training on the digits: does it train, does it stop with a message, or neither?

A dense residual network (64 → 64, one residual block, 10 classes) is trained with every optimizer
at its defaults and with the trust region `kl_clip`, on raw pixels (0 to 16, and 0 to 255), at ten
times the learning rate, and with a last layer a hundred times too large. Beside them stand Keras's
own SGD and Adam at their defaults. 1e-3 is the trust region of the public K-FAC codes.

A run "stops" if the step guard ended it with its message, "trains" if its last loss is below a
quarter of its first epoch's or its test accuracy is above 90 %, and else is "lost", or slow.
"""

import argparse
import os
from pathlib import Path

from reproduce import startup

#: Factor on the pixels in [0, 1], on the learning rate, and on the last layer's kernel.
CASES = {
    "well scaled": (1.0, 1.0, 1.0),
    "pixels 0 to 16": (16.0, 1.0, 1.0),
    "pixels 0 to 255": (255.0, 1.0, 1.0),
    "learning rate × 10": (1.0, 10.0, 1.0),
    "last layer × 100": (1.0, 1.0, 100.0),
}
OPTIMIZERS = ("K-FAC", "EKFAC", "feedback, K-FAC", "cooperative, EKFAC", "SGD", "Adam")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser("./run bench robustness", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--kl-clip", type=float, default=1e-3)
    parser.add_argument("--only", nargs="*", choices=CASES, default=list(CASES))
    parser.add_argument("--out", type=Path, default=None, help="JSON file to write")
    return parser.parse_args()


def optimizer(name: str, factor: float, kl_clip: float | None):
    """An optimizer at its defaults but for the learning rate, and whether it plays the game."""
    import keras

    import dgn_tf

    if name == "SGD":
        return keras.optimizers.SGD(0.01 * factor), False
    if name == "Adam":
        return keras.optimizers.Adam(0.001 * factor), False
    rate = 0.03 * factor
    if name == "K-FAC":
        return dgn_tf.KFAC(rate, kl_clip=kl_clip), True
    if name == "EKFAC":
        return dgn_tf.EKFAC(rate, kl_clip=kl_clip), True
    if name == "feedback, K-FAC":
        return dgn_tf.DGNOpt(rate, "feedback", "kfac", kl_clip=kl_clip), True
    return dgn_tf.DGNOpt(rate, kl_clip=kl_clip), True


def train(name: str, case: str, kl_clip: float | None, seed: int, epochs: int, data: list) -> dict:
    """One run: last training loss, test accuracy, and how it ended."""
    import keras
    import tensorflow as tf

    import dgn_tf

    pixels, rate, last = CASES[case]
    x, x_test, y, y_test = data
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((64,))
    h = keras.layers.Dense(64, activation="relu")(inputs)
    h = keras.layers.Add()([h, keras.layers.Dense(64, activation="relu")(h)])
    initial = keras.initializers.VarianceScaling(last**2, distribution="uniform", seed=seed)
    outputs = keras.layers.Dense(10, kernel_initializer=initial)(h)
    made, plays = optimizer(name, rate, kl_clip)
    model = (dgn_tf.GameModel if plays else keras.Model)(inputs, outputs)
    model.compile(
        made, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
    )
    try:
        loss = model.fit(pixels * x, y, batch_size=64, epochs=epochs, verbose=0).history["loss"]
    except tf.errors.InvalidArgumentError:
        return {"ended": "stops", "loss": None, "accuracy": None}
    accuracy = model.evaluate(pixels * x_test, y_test, verbose=0)[1]
    good = accuracy > 0.9 or loss[-1] < 0.25 * loss[0]
    return {"ended": "trains" if good else "lost", "loss": loss[-1], "accuracy": accuracy}


def main() -> int:
    """Prints how every run ended; `--out` keeps them as JSON."""
    options = parse()
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    startup.import_backend()
    import keras

    from benchmarks import report
    from benchmarks.large_steps import digits

    data = digits()
    results: dict[str, list[dict]] = {}
    for case in options.only:
        for name in OPTIMIZERS:
            for kl_clip in (None,) if name in ("SGD", "Adam") else (None, options.kl_clip):
                runs = [
                    train(name, case, kl_clip, seed, options.epochs, data)
                    for seed in range(options.seeds)
                ]
                keras.backend.clear_session()
                key = f"{case}: {name}: {'–' if kl_clip is None else f'{kl_clip:g}'}"
                results[key] = runs
                print(f"{key:52s} {_ended(runs)}", flush=True)
    if options.out:
        report.keep("robustness", options, {"results": results})
    return 0


def _ended(runs: list[dict]) -> str:
    ends = [run["ended"] for run in runs]
    return ", ".join(f"{ends.count(end)} {end}" for end in dict.fromkeys(ends))


def summary(document: dict) -> list:
    """How the runs ended and their accuracies, a row per setting."""
    from reproduce.report import Table

    rows = []
    for key, runs in document["results"].items():
        reached = [100 * run["accuracy"] for run in runs if run["accuracy"] is not None]
        spread = f"{min(reached):.1f} to {max(reached):.1f}" if reached else "–"
        rows.append((*key.split(": "), _ended(runs), spread))
    columns = ("scaling", "optimizer", "kl_clip", "ended", "test accuracy (%)")
    return [Table("Digits, dense residual network, badly scaled", columns, rows)]
