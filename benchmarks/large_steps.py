"""Large learning rates on the digits: where the open loop diverges, does the game?

A dense residual network (64 → 32, three residual blocks of one Dense layer, 10 classes): accuracy
on the test set after a few epochs for every structure and curvature, several seeds.

A run counts as diverged if its loss is not finite or its test accuracy below 50 %. The step guard
is off, so that divergence shows.
"""

import argparse
import os
from pathlib import Path

from reproduce import startup

SETTINGS = {
    "SGD, lr 1": {"curvature": "identity", "learning_rate": 1.0},
    "K-FAC, lr 0.1": {"curvature": "kfac", "learning_rate": 0.1},
}
GAMES = {
    "open loop": {"information_structure": "open_loop"},
    "feedback, proximal": {"information_structure": "feedback"},
    "cooperative, proximal": {"information_structure": "cooperative"},
    "cooperative, explicit": {"information_structure": "cooperative", "form": "explicit"},
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser("./run bench large-steps", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--only", nargs="*", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--out", type=Path, default=None, help="JSON file to write")
    return parser.parse_args()


def digits():
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    x = (bunch.data / 16.0).astype("float32")
    return train_test_split(x, bunch.target, test_size=0.25, random_state=0)


def build(keras, dgn_tf, settings):
    inputs = keras.Input((64,))
    h = keras.layers.Dense(32, activation="relu")(inputs)
    for _ in range(3):
        h = keras.layers.Add()([h, keras.layers.Dense(32, activation="relu")(h)])
    model = dgn_tf.GameModel(inputs, keras.layers.Dense(10)(h))
    model.compile(
        dgn_tf.DGNOpt(guard=None, **settings),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def main() -> int:
    """Prints the accuracies of every setting; `--out` keeps them as JSON."""
    options = parse()
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    startup.import_backend()
    import keras
    import numpy as np

    import dgn_tf
    from benchmarks import report

    x, x_test, y, y_test = digits()
    results: dict[str, list[dict]] = {}
    for title in options.only:
        for name, game in GAMES.items():
            model = build(keras, dgn_tf, {**SETTINGS[title], **game})
            start = [v.numpy() for v in model.optimizer.variables]
            runs = []
            for seed in range(options.seeds):
                keras.utils.set_random_seed(seed)
                fresh = keras.models.clone_model(keras.Model(model.inputs, model.outputs))
                model.set_weights(fresh.get_weights())
                for variable, value in zip(model.optimizer.variables, start, strict=True):
                    variable.assign(value)
                history = model.fit(x, y, batch_size=64, epochs=options.epochs, verbose=0).history
                accuracy = model.evaluate(x_test, y_test, verbose=0)[1]
                finite = bool(np.isfinite(history["loss"][-1]))
                runs.append({"accuracy": accuracy, "diverged": not finite or accuracy < 0.5})
            results[f"{title}: {name}"] = runs
            accuracies = " ".join(f"{100 * run['accuracy']:5.1f}" for run in runs)
            lost = sum(run["diverged"] for run in runs)
            print(
                f"{title:14s} {name:24s} {accuracies}   diverged {lost} of {len(runs)}", flush=True
            )
    if options.out:
        report.keep("large-steps", options, {"results": results})
    return 0


def summary(document: dict) -> list:
    """Accuracy and divergence, a row per setting."""
    from reproduce.report import Table

    rows = []
    for name, runs in document["results"].items():
        good = [100 * run["accuracy"] for run in runs if not run["diverged"]]
        spread = f"{min(good):.1f} to {max(good):.1f}" if good else "–"
        rows.append((*name.split(": "), spread, f"{len(runs) - len(good)} of {len(runs)}"))
    columns = ("steps", "game", "test accuracy (%)", "diverged")
    return [Table("Digits, dense residual network of one player per stage", columns, rows)]
