"""The command line of `./run bench`."""

import importlib
import os
import sys

BENCHMARKS = {
    "fast-form": (
        "benchmarks.fast_form",
        "all players in one computation against one Functional model per player",
    ),
    "kill-resume": (
        "benchmarks.kill_resume",
        "a solve killed at random moments and continued, bit for bit",
    ),
    "dgnopt-step": (
        "benchmarks.dgnopt_step",
        "cost of a DGNOpt training step against Keras's SGD, a row per setting",
    ),
    "large-steps": (
        "benchmarks.large_steps",
        "accuracy and divergence at large learning rates, with and without the game",
    ),
    "training-curves": (
        "benchmarks.training_curves",
        "SGD, Adam, EKFAC and the game against steps and time (docs/tutorial_training.md)",
    ),
    "robustness": (
        "benchmarks.robustness",
        "raw pixels, ten times the learning rate, a last layer a hundred times too large",
    ),
    "utilisation": (
        "benchmarks.utilisation",
        "matrix products of a training step against the machine's own rate",
    ),
    "devices": (
        "benchmarks.devices",
        "whole solves on this machine's CPU or GPU, backend by backend",
    ),
    "mutation-check": (
        "benchmarks.mutation_check",
        "lines of the mathematics broken one at a time: does a test notice? (docs/mutation.md)",
    ),
    "unseen-states": (
        "benchmarks.unseen_states",
        "closed-loop games whose states rest or drift at first, against the exact theory",
    ),
    "coverage": (
        "benchmarks.coverage",
        "docs/coverage.md: every layer class of Keras, trained by three optimizers",
    ),
    "blindness": (
        "benchmarks.blindness",
        "certificates of profiles with a planted fault, against the gain that is known",
    ),
    "learning-rates": (
        "benchmarks.learning_rates",
        "multiples of the default learning rate over games and networks (docs/design.md)",
    ),
    "announced-weights": (
        "benchmarks.announced_weights",
        "averages of a stage's weights announced, or the last ones (docs/design.md)",
    ),
    "leak": (
        "benchmarks.leak",
        "resident memory while games are solved one after another in one process",
    ),
    "report": ("benchmarks.report", "benchmarks/RESULTS.md from what was kept"),
}


def main(arguments: list[str]) -> int:
    """Lists the benchmarks, or runs one with the rest of the command line.

    TensorFlow uses oneDNN by itself only on processors with AVX512-VNNI; here it does on all, so
    that ratios from different machines compare the same kernels.
    """
    if not arguments or arguments[0] in ("list", "-h", "--help"):
        print("Usage: ./run bench NAME [--threads K] [--out FILE] ...\n")
        for name, (_, title) in BENCHMARKS.items():
            print(f"  {name:<16}{title}")
        return 0
    if arguments[0] not in BENCHMARKS:
        print(
            f"bench: the name must be one of {', '.join(BENCHMARKS)}. Received: {arguments[0]!r}",
            file=sys.stderr,
        )
        return 2
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    sys.argv = [f"./run bench {arguments[0]}", *arguments[1:]]
    return importlib.import_module(BENCHMARKS[arguments[0]][0]).main() or 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
