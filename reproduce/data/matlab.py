"""The MATLAB files of SVHN, format 2: X is (height, width, channels, n), and label 10 means 0."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reproduce.data.dataset import Arrays, images, labels, present, reading


@dataclass(frozen=True)
class Matlab:
    """SVHN's two files of cropped digits."""

    expects: str = "train_32x32.mat and test_32x32.mat"

    def find(self, folder: Path) -> list[Path] | None:
        """The two files in a folder; None where one is missing."""
        return present(folder, [["train_32x32.mat"], ["test_32x32.mat"]])

    def read(self, paths: list[Path], classes: int) -> Arrays:
        """The data set.

        Raises:
            ValueError: for a file that is damaged or holds something else.
        """
        train, test = (read(path, classes) for path in paths)
        return *train, *test


def read(path: Path, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Images `(n, height, width, channels)` and labels `(n,)` of one file.

    Raises:
        ValueError: for a file that is damaged or holds something else.
    """
    from scipy import io

    with reading("a complete MATLAB file, version 5", path):
        content = io.loadmat(path, variable_names=("X", "y"))
    missing = [variable for variable in ("X", "y") if variable not in content]
    if missing:
        raise ValueError(f"{path} must hold the variables X and y. Received: no {missing[0]}")
    x, y = content.pop("X"), content.pop("y")
    if x.ndim != 4:
        raise ValueError(
            f"X in {path} must be (height, width, channels, n). Received: shape {x.shape}"
        )
    x = images(np.ascontiguousarray(np.moveaxis(x, 3, 0)), path)
    if y.dtype.kind in "uif":
        y = np.where(y == 10, 0, y)
    return x, labels(y, len(x), classes, path)
