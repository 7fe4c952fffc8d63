"""Large learning rates on the digits: where the open loop diverges, does the game?

A dense residual network (64 → 32, three residual blocks of one Dense layer, 10 classes): accuracy
on the test set after a few epochs for every structure and curvature, several seeds.

    python benchmarks/large_steps.py --seeds 5 --out large_steps.json

A run counts as diverged if its loss is not finite or its test accuracy below 50 %. The step guard
is off, so that divergence shows.
"""

import argparse
import json
import os
import sys


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--out", default=None, help="JSON file for the results")
    return parser.parse_args()


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


def main() -> None:
    options = parse()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    import keras
    import numpy as np

    import dgn_tf
    from reproduce.provenance import describe

    x, x_test, y, y_test = digits()
    report: dict = {
        **describe(sys.argv, "all", options.seeds, None),
        "epochs": options.epochs,
        "results": {},
    }
    for title, setting in SETTINGS.items():
        for name, game in GAMES.items():
            model = build(keras, dgn_tf, {**setting, **game})
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
            report["results"][f"{title}: {name}"] = runs
            accuracies = " ".join(f"{100 * run['accuracy']:5.1f}" for run in runs)
            lost = sum(run["diverged"] for run in runs)
            print(
                f"{title:14s} {name:24s} {accuracies}   diverged {lost} of {len(runs)}", flush=True
            )
    if options.out:
        with open(options.out, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)


if __name__ == "__main__":
    main()
