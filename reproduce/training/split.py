"""A data set as a run uses it: standardised, with a validation part of its own."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from reproduce import data

#: Seed of the validation part and of subsets: the same for every run, whatever its own seed.
_SEED = 20211


@dataclass(frozen=True)
class Split:
    """Arrays of one data set, which has so many classes and was read at the source: float32 images
    `(images, height, width, channels)`, each channel with mean zero and standard deviation one over
    the training images, and int64 labels `(images,)`."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: int
    source: str


@lru_cache(maxsize=2)
def split(
    name: str, train: int | None = None, validation: int = 256, test: int | None = None,
    data_dir: str | None = None,
) -> Split:  # fmt: skip
    """Reads a data set and divides its training images: some held out for validation, drawn once
    and for all and never trained on, and `train` of the others, None for all; of the test images
    `test`, None for all.

    A ValueError for sizes the data set does not have, or a data set that is not there."""
    whole = data.load(name, data_dir)
    images = len(whole.x_train)
    wanted = images - validation if train is None else train
    if validation < 1 or wanted < 1 or wanted + validation > images:
        raise ValueError(
            f"`train` and `validation` must be positive and together at most the {images} training "
            f"images of {name}. Received: train={train}, validation={validation}"
        )
    if test is not None and not 1 <= test <= len(whole.x_test):
        raise ValueError(
            f"`test` must be between 1 and {len(whole.x_test)} for {name}. Received: test={test}"
        )
    order = np.random.default_rng(_SEED).permutation(images)
    held, kept = order[:validation], order[validation : validation + wanted]
    x_train = whole.x_train[kept].astype(np.float32)
    mean, deviation = (of(x_train, axis=(0, 1, 2), dtype=np.float64).astype(np.float32)
                       for of in (np.mean, np.std))  # fmt: skip
    deviation = np.maximum(deviation, np.float32(1e-6))
    parts = x_train, whole.x_train[held], whole.x_test[:test]
    train_images, held_images, test_images = (
        (x.astype(np.float32) - mean) / deviation for x in parts
    )
    return Split(train_images, whole.y_train[kept], held_images, whole.y_train[held], test_images,
                 whole.y_test[:test], whole.classes, whole.source)  # fmt: skip
