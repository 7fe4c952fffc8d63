"""The seed of a test's networks."""

import random


def set_seed(seed: int) -> None:
    """As `keras.utils.set_random_seed`, for weights and dropout, whose seeds Python draws.

    TensorFlow's own seed, by which `fit` shuffles, is left alone: setting it throws away every
    kernel that is ready to run.
    """
    random.seed(seed)
