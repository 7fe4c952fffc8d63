"""Loss and accuracy of a small network against steps and time: SGD, Adam, EKFAC and the game.

The network and data of docs/tutorial_training.md: the digits on a dense residual network. Every
method is run at three rates; the one with the lowest last training loss is drawn, and told.
A run whose last loss is not finite is out; the step guard is off. Processor time is that of the
training steps alone, without tracing and evaluation.
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

from reproduce import startup

RATES = {
    "SGD": (0.1, 0.3, 1.0),
    "Adam": (0.003, 0.01, 0.03),
    "EKFAC": (0.003, 0.01, 0.03),
    "game": (0.01, 0.03, 0.1),
}
_LABELS = {"game": "game (EKFAC, feedback)"}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser("./run bench training-curves", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--only", nargs="*", choices=RATES, default=list(RATES))
    parser.add_argument("--figure", type=Path, default=None, help="PNG file to draw")
    parser.add_argument("--out", type=Path, default=None, help="JSON file to write")
    return parser.parse_args()


def build(keras, dgn_tf, method):
    """The compiled model of a method; its rate is set later."""
    inputs = keras.Input((64,))
    h = keras.layers.Dense(32, activation="relu")(inputs)
    for _ in range(3):
        h = keras.layers.Add()([h, keras.layers.Dense(32, activation="relu")(h)])
    outputs = keras.layers.Dense(10)(h)
    optimizers = {
        "SGD": lambda: keras.optimizers.SGD(0.1),
        "Adam": lambda: keras.optimizers.Adam(0.001),
        "EKFAC": lambda: dgn_tf.EKFAC(0.03, guard=None),
        "game": lambda: dgn_tf.DGNOpt(0.03, guard=None),
    }
    kind = keras.Model if method in ("SGD", "Adam") else dgn_tf.GameModel
    model = kind(inputs, outputs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizers[method](), loss, metrics=["accuracy"])
    return model


def run(keras, model, start, rate, seed, data, epochs) -> dict:
    """One training run: training loss, test accuracy and seconds so far after every epoch."""
    x, x_test, y, y_test = data
    keras.utils.set_random_seed(seed)
    fresh = keras.models.clone_model(keras.Model(model.inputs, model.outputs))
    model.set_weights(fresh.get_weights())
    for variable, value in zip(model.optimizer.variables, start, strict=True):
        variable.assign(value)
    model.optimizer.learning_rate = rate
    curve: dict = {"rate": rate, "loss": [], "accuracy": [], "seconds": []}
    spent = 0.0
    for _ in range(epochs):
        begun = time.process_time()
        history = model.fit(x, y, batch_size=128, epochs=1, verbose=0).history
        spent += time.process_time() - begun
        curve["loss"].append(history["loss"][0])
        curve["accuracy"].append(model.evaluate(x_test, y_test, verbose=0)[1])
        curve["seconds"].append(spent)
    return curve


def main() -> int:
    """Trains, prints the last numbers of every method; `--out` keeps them as JSON."""
    options = parse()
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    startup.import_backend(1)
    import keras
    import numpy as np

    import dgn_tf
    from benchmarks import report
    from benchmarks.large_steps import digits

    data = digits()
    curves: dict[str, list[dict]] = {}
    for method in options.only:
        model = build(keras, dgn_tf, method)
        start = [variable.numpy() for variable in model.optimizer.variables]
        model.fit(data[0], data[2], batch_size=128, epochs=1, verbose=0)  # traced before the clock
        model.evaluate(data[1], data[3], verbose=0)
        start += [0.0 * v.numpy() for v in model.optimizer.variables[len(start) :]]
        runs = [
            [run(keras, model, start, rate, seed, data, options.epochs)
             for seed in range(options.seeds)]
            for rate in RATES[method]
        ]  # fmt: skip
        final = [np.mean([each["loss"][-1] for each in group]) for group in runs]
        best = int(np.argmin(np.where(np.isfinite(final), final, np.inf)))
        curves[method] = runs[best]
        print(f"{method:8} rate {RATES[method][best]:<6} loss {final[best]:.4f}", flush=True)
    document = {"steps_per_epoch": -(-len(data[0]) // 128), "curves": curves}
    picture = vars(options).pop("figure")
    if options.out:
        report.keep("training-curves", options, document, threads=1)
    if picture:
        draw(document, picture)
    return 0


def draw(document: dict, path: Path) -> None:
    """Training loss against steps and against time, test accuracy against steps."""
    import numpy as np

    from reproduce import figures

    with figures.style():
        from matplotlib import pyplot

        figure, axes = pyplot.subplots(1, 3, figsize=(9.5, 2.9))
        looks: list[Any] = list(figures.STYLES)
        for look, (method, runs) in zip(looks, document["curves"].items(), strict=False):
            label = f"{_LABELS.get(method, method)}, rate {runs[0]['rate']:g}"
            loss, accuracy, seconds = (
                np.mean([each[key] for each in runs], axis=0)
                for key in ("loss", "accuracy", "seconds")
            )
            steps = document["steps_per_epoch"] * np.arange(1, len(loss) + 1)
            axes[0].semilogy(steps, loss, label=label, markevery=3, **look)
            axes[1].semilogy(seconds, loss, markevery=3, **look)
            axes[2].plot(steps, 100 * accuracy, markevery=3, **look)
        titles = (
            ("steps", "training loss"),
            ("processor seconds, one thread", "training loss"),
            ("steps", "test accuracy (%)"),
        )
        for axis, (horizontal, vertical) in zip(axes, titles, strict=True):
            axis.set(xlabel=horizontal, ylabel=vertical)
        handles, labels = axes[0].get_legend_handles_labels()
        axes[2].legend(handles, labels, fontsize=7.5, loc="lower right")
        figures.save(figure, path.with_suffix(""))


def summary(document: dict) -> list:
    """The end of every curve, one row per method: means over the seeds."""
    import numpy as np

    from reproduce.report import Table

    rows = []
    for method, runs in document["curves"].items():
        loss, accuracy, seconds = (
            float(np.mean([each[key][-1] for each in runs]))
            for key in ("loss", "accuracy", "seconds")
        )
        steps = document["steps_per_epoch"] * len(runs[0]["loss"])
        rows.append(
            (_LABELS.get(method, method), f"{runs[0]['rate']:g}", str(steps), f"{loss:.4f}",
             f"{100 * accuracy:.1f}", f"{1000 * seconds / steps:.1f}")
        )  # fmt: skip
    columns = ("method", "rate", "steps", "training loss", "test accuracy (%)", "CPU-ms per step")
    return [Table("Digits, dense residual network: the best of three rates", columns, rows)]
