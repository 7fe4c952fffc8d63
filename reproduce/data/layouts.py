"""Ways to store a data set in files: IDX, MATLAB's format and NumPy's."""

import gzip
import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reproduce.data.dataset import Arrays, checked, reading

_KEYS = ("x_train", "y_train", "x_test", "y_test")
_STEMS = {"train-images": 3, "train-labels": 1, "t10k-images": 3, "t10k-labels": 1}


@dataclass(frozen=True)
class Layout:
    """What the files of a data set are called, and how to read them.

    Attributes:
        expects: what they are called, in words.
        ways: lists of files, each a list of the names that it may have; the first complete list
            is read.
        read: (paths of such a list, number of classes) → the arrays. It raises a `ValueError` for
            files that are damaged, hold something else, or do not fit each other.
    """

    expects: str
    ways: Sequence[Sequence[Sequence[str]]]
    read: Callable[[list[Path], int], Arrays]

    def find(self, folder: Path) -> list[Path] | None:
        """The files in a folder; None where no list is complete."""
        for files in self.ways:
            here = ([folder / name for name in names if (folder / name).is_file()]
                    for names in files)  # fmt: skip
            if all(found := [next(iter(paths), None) for paths in here]):
                return [path for path in found if path is not None]
        return None


def npz(name: str) -> Layout:
    """One .npz file, named after the data set, with the entries of Keras's mnist.npz; no pickles
    in it."""

    def read(paths: list[Path], classes: int) -> Arrays:
        path = paths[0]
        kind = f"a complete .npz file of numbers: {', '.join(_KEYS)}"
        with reading(kind, path), np.load(path, allow_pickle=False) as file:
            x_train, y_train, x_test, y_test = (file[key] for key in _KEYS)
        return *checked(x_train, y_train, classes, path), *checked(x_test, y_test, classes, path)

    names = [f"{name}.npz", f"{name.replace('-', '_')}.npz"]
    return Layout(f"{name}.npz ({', '.join(_KEYS)})", [[names]], read)


def idx() -> Layout:
    """The four IDX files of MNIST, plain or compressed with gzip."""

    def read(paths: list[Path], classes: int) -> Arrays:
        x_train, y_train, x_test, y_test = map(read_idx, paths, _STEMS.values())
        return (*checked(x_train, y_train, classes, *paths[:2]),
                *checked(x_test, y_test, classes, *paths[2:]))  # fmt: skip

    *most, last = (f"{stem}-idx{rank}-ubyte" for stem, rank in _STEMS.items())
    return Layout(f"{', '.join(most)} and {last} (plain or .gz)", [[
        [f"{stem}{dot}idx{rank}-ubyte{end}" for dot in "-." for end in ("", ".gz")]
        for stem, rank in _STEMS.items()
    ]], read)  # fmt: skip


def read_idx(path: Path, rank: int) -> np.ndarray:
    """The unsigned bytes of one IDX file: four bytes 0, 0, type, rank, where type 8 is the unsigned
    byte; one big-endian unsigned 32-bit size per axis; then the values, the last axis fastest.

    Args:
        path: compressed if its name ends with .gz.
        rank: how many axes it must have.

    Returns:
        An array of uint8.

    Raises:
        ValueError: for another header, or more or fewer values than the header says.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    with reading("a complete, readable file", path), opened(path, "rb") as file:
        content = file.read()
    header, values = content[: 4 + 4 * rank], memoryview(content)[4 + 4 * rank :]
    if header[:4] != bytes((0, 0, 8, rank)):
        raise ValueError(
            f"{path} must be an IDX file of unsigned bytes with {rank} axes, magic number "
            f"0x{8 * 256 + rank:08x}. Received: 0x{header[:4].hex()}"
        )
    if len(header) < 4 + 4 * rank:
        raise ValueError(f"{path} must hold {rank} sizes. Received: a truncated header")
    shape = struct.unpack(f">{rank}I", header[4:])
    if len(values) != math.prod(shape):
        raise ValueError(
            f"{path} must hold the {math.prod(shape)} values of its header {shape}. "
            f"Received: {len(values)}"
        )
    return np.frombuffer(values, np.uint8).reshape(shape).copy()


def matlab() -> Layout:
    """SVHN's two files of cropped digits."""

    def read(paths: list[Path], classes: int) -> Arrays:
        train, test = (read_matlab(path, classes) for path in paths)
        return *train, *test

    names = "train_32x32.mat", "test_32x32.mat"
    return Layout(" and ".join(names), [[[name] for name in names]], read)


def read_matlab(path: Path, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Images `(n, height, width, channels)` and labels `(n,)` of one file of MATLAB's, version 5:
    X there is (height, width, channels, n), and label 10 means 0.

    Raises:
        ValueError: for a file that is damaged or holds something else.
    """
    from scipy import io

    with reading("a complete MATLAB file, version 5", path):
        content = io.loadmat(path, variable_names=("X", "y"))
    if missing := {"X", "y"} - content.keys():
        raise ValueError(f"{path} must hold the variables X and y. Received: no {min(missing)}")
    x, y = content.pop("X"), content.pop("y")
    if x.ndim != 4:
        raise ValueError(
            f"X in {path} must be (height, width, channels, n). Received: shape {x.shape}"
        )
    if y.dtype.kind in "uif":
        y = np.where(y == 10, 0, y)
    return checked(np.ascontiguousarray(np.moveaxis(x, 3, 0)), y, classes, path)
