"""NumPy's `.npz` in the layout of Keras's mnist.npz: x_train, y_train, x_test, y_test."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reproduce.data.dataset import Arrays, images, labels, present, reading

_KEYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True)
class NPZ:
    """One file that is named after the data set."""

    name: str

    @property
    def expects(self) -> str:
        return f"{self.name}.npz (x_train, y_train, x_test, y_test)"

    def find(self, folder: Path) -> list[Path] | None:
        """The file in a folder; None where it is missing."""
        return present(folder, [[f"{self.name}.npz", f"{self.name.replace('-', '_')}.npz"]])

    def read(self, paths: list[Path], classes: int) -> Arrays:
        """The data set.

        Raises:
            ValueError: for a file that is damaged or holds something else, pickles among them.
        """
        path = paths[0]
        kind = f"a complete .npz file of numbers: {', '.join(_KEYS)}"
        with reading(kind, path), np.load(path, allow_pickle=False) as file:
            x_train, y_train, x_test, y_test = (file[key] for key in _KEYS)
        x_train, x_test = images(x_train, path), images(x_test, path)
        y_train = labels(y_train, len(x_train), classes, path)
        return x_train, y_train, x_test, labels(y_test, len(x_test), classes, path)
