"""A data set in memory, and the checks every reader's arrays pass."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

#: x_train, y_train, x_test, y_test.
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels, as they are in the files.

    Attributes:
        name: one of `reproduce.data.NAMES`.
        x_train, x_test: uint8 images `(n, height, width, channels)`.
        y_train, y_test: int64 labels `(n,)`, from 0 to `classes` - 1.
        classes: number of classes.
        scale: the largest value a pixel can have.
        source: one line on where it was read from.
    """

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
    """Whatever a damaged file makes its reader raise, as a `ValueError` that names the file.

    Args:
        what: the file must be.
        path: of the file.
    """
    try:
        yield
    except Exception as error:
        told = str(error) or type(error).__name__
        raise ValueError(f"{path} must be {what}. Received: {told}") from error


def checked(
    x: np.ndarray, y: np.ndarray, classes: int, path: Path | str, y_path: Path | str = ""
) -> tuple[np.ndarray, np.ndarray]:
    """Images `(n, height, width, channels)` and an int64 label `(n,)` for each.

    Args:
        x: `(n, height, width)`, or with channels.
        y: n numbers in any shape that has no other long axis.
        classes: number of classes.
        path, y_path: of the images, and of the labels where they lie elsewhere.

    Raises:
        ValueError: for images of another rank or type, or none at all; another number of labels, no
            whole numbers, or one outside the classes.
    """
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
