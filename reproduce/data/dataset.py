"""A data set in memory, the checks every reader's arrays pass, and the digits of scikit-learn."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

#: x_train, y_train, x_test, y_test.
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
#: Of the digits: seed of their split, and how many are tested on.
_SEED, _TEST = 20210501, 360


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels, as they are in the files: uint8 images `(n, height, width, channels)` from
    0 to `scale`, int64 labels `(n,)` from 0 to `classes` - 1, and one line on the source that they
    were read from."""

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: int
    scale: float
    source: str


@contextmanager
def reading(what: str, path: Path | str) -> Iterator[None]:
    """Whatever a damaged file makes its reader raise, as a `ValueError` that names the file."""
    try:
        yield
    except Exception as error:
        told = str(error) or type(error).__name__
        raise ValueError(f"{path} must be {what}. Received: {told}") from error


def checked(
    x: np.ndarray, y: np.ndarray, classes: int, path: Path | str, y_path: Path | str = ""
) -> tuple[np.ndarray, np.ndarray]:
    """Images `(n, height, width, channels)` and an int64 label `(n,)` for each, of x, with or
    without channels, and y, n numbers in any shape that has no other long axis; `y_path` is where
    the labels lie elsewhere.

    A ValueError for images of another rank or type, or none at all; another number of labels, no
    whole numbers, or one outside the classes."""
    if x.dtype != np.uint8 or x.ndim not in (3, 4) or not x.size:
        raise ValueError(
            f"{path} must hold images as unsigned bytes, (n, height, width) or (n, height, width, "
            f"channels). Received: shape {x.shape} of {x.dtype}"
        )
    count = len(x)
    if y.dtype.kind not in "uif" or y.size != count or max(y.shape, default=0) != count:
        raise ValueError(
            f"{y_path or path} must hold one number for each of {count} images. "
            f"Received: labels of shape {y.shape} and type {y.dtype}"
        )
    y = y.reshape(count)
    with np.errstate(invalid="ignore"):
        whole = y.astype(np.int64)
    outside = (whole != y) | (whole < 0) | (whole >= classes)
    if outside.any():
        raise ValueError(
            f"{y_path or path} must hold labels from 0 to {classes - 1}. Received: {y[outside][0]}"
        )
    return x[..., None] if x.ndim == 3 else x, whole


def digits() -> Dataset:
    """Real handwritten digits, 8 × 8, pixels from 0 to 16: the test set of UCI's Optical
    Recognition of Handwritten Digits, which scikit-learn brings along. Split once and for all,
    stratified, whatever the version of scikit-learn or NumPy: every class gives its share of the
    360 test images, the classes with the largest remainders one more."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x, y = x.astype(np.uint8).reshape(-1, 8, 8, 1), y.astype(np.int64)
    share = np.bincount(y) * _TEST / len(y)
    counts = np.floor(share).astype(int)
    counts[np.argsort(counts - share, kind="stable")[: _TEST - counts.sum()]] += 1
    # The raw stream of a bit generator is the one NumPy promises not to change.
    order = np.argsort(np.random.PCG64(_SEED).random_raw(len(y)), kind="stable")
    test = np.sort(np.concatenate([order[y[order] == k][:n] for k, n in enumerate(counts)]))
    train = np.setdiff1d(np.arange(len(y)), test)
    source = f"scikit-learn's digits, {len(train)} to train and {len(test)} to test, stratified"
    return Dataset("digits", x[train], y[train], x[test], y[test], 10, 16.0, source)
