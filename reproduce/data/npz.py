"""NumPy's `.npz` in the layout of Keras's mnist.npz: x_train, y_train, x_test, y_test."""

import pickle
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reproduce.data.dataset import Arrays, images, labels

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
        names = dict.fromkeys((f"{self.name}.npz", f"{self.name.replace('-', '_')}.npz"))
        path = next((folder / name for name in names if (folder / name).is_file()), None)
        return None if path is None else [path]

    def read(self, paths: list[Path], classes: int) -> Arrays:
        """The data set.

        Raises:
            ValueError: for a file that is damaged or holds something else, pickles among them.
        """
        path = paths[0]
        try:
            with np.load(path, allow_pickle=False) as file:
                x_train, y_train, x_test, y_test = (file[key] for key in _KEYS)
        except KeyError as error:
            raise ValueError(f"{path} must hold {', '.join(_KEYS)}. Received: {error}") from error
        except (
            OSError, EOFError, ValueError, TypeError, AttributeError, NotImplementedError,
            MemoryError, OverflowError, zipfile.BadZipFile, zlib.error, pickle.UnpicklingError,
        ) as error:  # fmt: skip
            raise ValueError(
                f"{path} must be a complete .npz file of numbers. Received: {error}"
            ) from error
        x_train, x_test = images(x_train, path), images(x_test, path)
        y_train = labels(y_train, len(x_train), classes, path)
        return x_train, y_train, x_test, labels(y_test, len(x_test), classes, path)
