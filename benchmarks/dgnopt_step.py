"""What a training step costs: DGNOpt against Keras's SGD, medians of interleaved runs.

Two networks, one batch of 128 in memory, no XLA: ResMLP3-128 (flatten 784, Dense 128, ReLU, three
times h += Dense128(ReLU(Dense128 h)), Dense 10) and ResConv3-16 (Conv 3×3 (16, stride 2), ReLU,
three times h = ReLU(h + Conv(ReLU(Conv h))) at 14×14, global average, Dense 10).

Every configuration's step is compiled in a process of its own; then the rounds run all of them in
turn, a cycle of ten steps each, so that statistics and bases fall into every measurement in their
proportion. Processor time beside the clock's shows the cost where other programs share the machine.
`peak_mib` is the process's peak resident memory, `imports_mib` what it was before the model.
"""

import argparse
import os
import sys
from pathlib import Path

from reproduce import startup


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser("./run bench dgnopt-step", description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--networks", nargs="*", default=["ResMLP3-128", "ResConv3-16"])
    parser.add_argument("--only", nargs="*", default=None, help="names of configurations")
    parser.add_argument("--out", type=Path, default=None, help="JSON file to write")
    return parser.parse_args()


def mlp(keras):
    inputs = keras.Input((28, 28, 1))
    h = keras.layers.Dense(128, activation="relu")(keras.layers.Flatten()(inputs))
    for _ in range(3):
        inner = keras.layers.Dense(128, activation="relu")(h)
        h = keras.layers.Add()([h, keras.layers.Dense(128)(inner)])
    return inputs, keras.layers.Dense(10)(h)


def convolutional(keras):
    inputs = keras.Input((28, 28, 1))
    conv = keras.layers.Conv2D
    h = conv(16, 3, strides=2, padding="same", activation="relu")(inputs)
    for _ in range(3):
        inner = conv(16, 3, padding="same", activation="relu")(h)
        both = keras.layers.Add()([h, conv(16, 3, padding="same")(inner)])
        h = keras.layers.ReLU()(both)
    return inputs, keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(h))


NETWORKS = {"ResMLP3-128": mlp, "ResConv3-16": convolutional}


def configurations(dgn_tf) -> dict:
    kfac, ekfac = dgn_tf.curvature.KFACBlock, dgn_tf.curvature.EKFACBlock
    tenth = {"update_every": 10, "refresh_every": 10}
    every = {"update_every": 1, "refresh_every": 10}
    return {
        "open loop identity": {"information_structure": "open_loop", "curvature": "identity"},
        "K-FAC /10": {"information_structure": "open_loop", "curvature": kfac(**tenth)},
        "EKFAC /10": {"information_structure": "open_loop", "curvature": ekfac(**tenth)},
        "K-FAC /1": {"information_structure": "open_loop", "curvature": kfac(**every)},
        "EKFAC /1": {"information_structure": "open_loop", "curvature": ekfac(**every)},
        "feedback only, identity": {"form": "feedback_only", "curvature": "identity"},
        "feedback only, EKFAC /1": {"form": "feedback_only", "curvature": ekfac(**every)},
        "cooperative proximal, identity": {"curvature": "identity"},
        "cooperative proximal, EKFAC /10": {"curvature": ekfac(**tenth)},
        "cooperative proximal, K-FAC /1": {"curvature": kfac(**every)},
        "cooperative proximal, EKFAC /1": {"curvature": ekfac(**every)},
    }


def make(network: str, name: str):
    """A compiled step as a function without arguments."""
    import keras
    import numpy as np

    import dgn_tf
    from benchmarks import timing

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(128, 28, 28, 1)).astype("float32")
    y = rng.integers(0, 10, 128)
    inputs, outputs = NETWORKS[network](keras)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if name == "Keras SGD":
        model = keras.Model(inputs, outputs)
        optimizer = keras.optimizers.SGD(1e-3)
    else:
        model = dgn_tf.GameModel(inputs, outputs)
        optimizer = dgn_tf.DGNOpt(learning_rate=1e-3, **configurations(dgn_tf)[name])
    model.compile(optimizer=optimizer, loss=loss, jit_compile=False)
    optimizer.build(model.trainable_variables)
    return timing.stepper(model, x, y)


def measure(network: str, names: list, rounds: int) -> dict:
    from benchmarks import timing

    timings = timing.interleaved({name: (make, (network, name)) for name in names}, rounds)
    base = timings["Keras SGD"]
    results: dict = {}
    for name, own in timings.items():
        if "error" in own:
            sys.exit(f"{name}: {own['error']}")
        results[name] = {key: own[key] for key in ("first_call_s", "imports_mib", "peak_mib")}
        for clock in ("wall", "cpu"):
            ratios = timing.quartiles(own[clock] / base[clock])
            results[name][f"{clock}_ms"] = timing.quartiles(1e3 * own[clock])["median"]
            results[name][f"{clock}_ratio_to_sgd"] = ratios["median"]
    return results


def main() -> int:
    """Prints a row per configuration; `--out` keeps them as JSON."""
    options = parse()
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    startup.import_backend(options.threads)
    import dgn_tf
    from benchmarks import report

    names = ["Keras SGD", *configurations(dgn_tf)]
    if options.only:
        names = ["Keras SGD", *options.only]
    measured: dict = {"load_average": os.getloadavg(), "results": {}}
    for network in options.networks:
        print(f"\n{network}, {options.threads} thread(s)")
        measured["results"][network] = results = measure(network, names, options.rounds)
        for name, row in results.items():
            print(
                f"{name:32s} {row['wall_ms']:7.2f} ms {row['wall_ratio_to_sgd']:6.2f} × SGD  "
                f"(processor {row['cpu_ms']:7.2f} ms {row['cpu_ratio_to_sgd']:6.2f} ×)  "
                f"first call {row['first_call_s']:5.1f} s {row['peak_mib']:6.0f} MiB",
                flush=True,
            )
    if options.out:
        report.keep("dgnopt-step", options, {"batch": 128, **measured}, options.threads)
    return 0


def summary(document: dict) -> list:
    """Ratios to Keras's SGD, a table per network."""
    from reproduce.report import Table

    columns = ("step", "ms", "× SGD", "× SGD, processor time", "first call s", "peak MiB")
    return [
        Table(
            f"{network}, {document['provenance']['threads']} thread(s), medians of "
            f"{document['settings']['rounds']} rounds",
            columns,
            [
                (name, f"{row['wall_ms']:.2f}", f"{row['wall_ratio_to_sgd']:.2f}",
                 f"{row['cpu_ratio_to_sgd']:.2f}", f"{row['first_call_s']:.1f}",
                 f"{row['peak_mib']:.0f}")
                for name, row in rows.items()
            ],
        )
        for network, rows in document["results"].items()
    ]  # fmt: skip
