"""Ways to store a data set in files: IDX, MATLAB's format, CIFAR's pickles and NumPy's."""

import gzip
import io
import math
import struct
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reproduce.data import pickled
from reproduce.data.dataset import Arrays, checked, reading

_KEYS = ("x_train", "y_train", "x_test", "y_test")
_STEMS = {"train-images": 3, "train-labels": 1, "t10k-images": 3, "t10k-labels": 1}
_CIFAR = "a complete CIFAR file"


@dataclass(frozen=True)
class Layout:
    """What the files of a data set are called, in words and as `ways`, lists of files, each a list
    of the names that it may have; the first complete list is read: (paths of such a list, number of
    classes) → the arrays, with a ValueError for files that are damaged, hold something else, or do
    not fit each other."""

    expects: str
    ways: Sequence[Sequence[Sequence[str]]]
    read: Callable[[list[Path], int], Arrays]

    def find(self, folder: Path) -> list[Path] | None:
        """The files in a folder; None where no list is complete."""
        for files in self.ways:
            here = [[folder / name for name in names if (folder / name).is_file()]
                    for names in files]  # fmt: skip
            if all(here):
                return [paths[0] for paths in here]
        return None


def npz(name: str) -> Layout:
    """One .npz file, named after the data set, with the entries of Keras's mnist.npz; no pickles
    in it."""

    def read(paths: list[Path], classes: int) -> Arrays:
        kind = f"a complete .npz file of numbers: {', '.join(_KEYS)}"
        with reading(kind, paths[0]), np.load(paths[0], allow_pickle=False) as file:
            x, y, x_test, y_test = (file[key] for key in _KEYS)
        return (*checked(x, y, classes, paths[0]),
                *checked(x_test, y_test, classes, paths[0]))  # fmt: skip

    names = [f"{name}.npz", f"{name.replace('-', '_')}.npz"]
    return Layout(f"{name}.npz ({', '.join(_KEYS)})", [[names]], read)


def idx() -> Layout:
    """The four IDX files of MNIST, plain or compressed with gzip."""

    def read(paths: list[Path], classes: int) -> Arrays:
        x, y, x_test, y_test = map(_idx, paths, _STEMS.values())
        return (*checked(x, y, classes, *paths[:2]),
                *checked(x_test, y_test, classes, *paths[2:]))  # fmt: skip

    *most, last = (f"{stem}-idx{rank}-ubyte" for stem, rank in _STEMS.items())
    return Layout(f"{', '.join(most)} and {last} (plain or .gz)", [[
        [f"{stem}{dot}idx{rank}-ubyte{end}" for dot in "-." for end in ("", ".gz")]
        for stem, rank in _STEMS.items()
    ]], read)  # fmt: skip


def _idx(path: Path, rank: int) -> np.ndarray:
    """The unsigned bytes of one IDX file: four bytes 0, 0, type, rank, where type 8 is the unsigned
    byte; one big-endian unsigned 32-bit size per axis; then the values, the last axis fastest."""
    opened = gzip.open if path.suffix == ".gz" else open
    with reading("a complete, readable file", path), opened(path, "rb") as file:
        content = file.read()
    header, values = content[: 4 + 4 * rank], memoryview(content)[4 + 4 * rank :]
    if header[:4] != bytes((0, 0, 8, rank)):
        raise ValueError(
            f"{path} must be an IDX file of unsigned bytes with {rank} axes, magic number "
            f"0x{8 * 256 + rank:08x}. Received: 0x{header[:4].hex()}"
        )
    with reading("a complete IDX file", path):
        shape = struct.unpack(f">{rank}I", header[4:])
    if len(values) != math.prod(shape):
        raise ValueError(
            f"{path} must hold the {math.prod(shape)} values of its header {shape}. "
            f"Received: {len(values)}"
        )
    return np.frombuffer(values, np.uint8).reshape(shape).copy()


def matlab() -> Layout:
    """SVHN's two files of cropped digits, MATLAB's version 5: X is (height, width, channels, n),
    and label 10 means 0."""

    def read(paths: list[Path], classes: int) -> Arrays:
        (x, y), (x_test, y_test) = (part(path, classes) for path in paths)
        return x, y, x_test, y_test

    def part(path: Path, classes: int) -> tuple[np.ndarray, np.ndarray]:
        from scipy.io import loadmat

        with reading("a complete MATLAB file, version 5", path):
            content = loadmat(path, variable_names=("X", "y"))
        if missing := {"X", "y"} - content.keys():
            raise ValueError(f"{path} must hold the variables X and y. Received: no {min(missing)}")
        x, y = content["X"], content["y"]
        if x.ndim != 4:
            raise ValueError(
                f"X in {path} must be (height, width, channels, n). Received: shape {x.shape}"
            )
        if y.dtype.kind in "uif":
            y = np.where(y == 10, 0, y)
        return checked(np.ascontiguousarray(np.moveaxis(x, 3, 0)), y, classes, path)

    names = "train_32x32.mat", "test_32x32.mat"
    return Layout(" and ".join(names), [[[name] for name in names]], read)


def cifar(folder: str, archives: list[str], train: list[str], test: str, key: str) -> Layout:
    """The Python version of CIFAR-10 or CIFAR-100: pickles in an archive, whose names begin with
    the authors', in the folder of it, or that folder's files. A pickle holds `data`, uint8 (n,
    3072): the red, green and blue planes of 32 × 32, row by row; and the labels under a key."""
    names = [*train, test]

    def read(paths: list[Path], classes: int) -> Arrays:
        with reading(_CIFAR, paths[0]):
            if len(paths) > 1:
                files = {path.name: (str(path), path.read_bytes()) for path in paths}
            else:
                files = _unpacked(paths[0], {f"{folder}/{name}": name for name in names})
        for name in names:
            if name not in files:
                raise ValueError(f"{paths[0]} must hold {folder}/{name}. Received: no such file")
        *parts, held_out = (_batch(*files[name], key, classes) for name in names)
        x_train, y_train = (np.concatenate(part) for part in zip(*parts, strict=True))
        return x_train, y_train, *held_out

    ways = [[[f"{folder}/{name}"] for name in names], [[name] for name in names], [archives]]
    return Layout(f"{archives[0]} (or its unpacked folder {folder})", ways, read)


def _unpacked(path: Path, wanted: dict[str, str]) -> dict[str, tuple[str, bytes]]:
    """Name → what an error calls the file, and its bytes, of an archive's members."""
    found = {}
    with gzip.open(path) as plain, tarfile.open(fileobj=plain, mode="r:") as archive:
        for member in archive:
            name = wanted.get(member.name.removeprefix("./"))
            file = archive.extractfile(member) if name and member.isreg() else None
            if name and file is not None:
                found[name] = f"{path}, {member.name}", file.read()
        # The checksum stands at the very end, behind the last member.
        while plain.read(2**20):
            pass
    return found


def _batch(where: str, raw: bytes, key: str, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Images `(n, 32, 32, 3)` and labels `(n,)` of one pickle."""
    with reading(_CIFAR, where):
        content = pickled.load(io.BytesIO(raw))
    content = content if isinstance(content, dict) else {}
    data, y = content.get(b"data"), content.get(key.encode())
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (3072,):
        raise ValueError(
            f"{where} must hold `data`, unsigned bytes (n, 3072). Received: {_seen(data)}"
        )
    if not isinstance(y, list | np.ndarray) or not len(y):
        raise ValueError(f"{where} must hold a list `{key}`. Received: {_seen(y)}")
    if isinstance(y, list) and not all(type(label) is int for label in y):
        raise ValueError(f"{where} must hold whole numbers as `{key}`")
    x = np.ascontiguousarray(data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    return checked(x, np.asarray(y), classes, where)


def _seen(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"shape {value.shape} of {value.dtype}"
    return "none" if value is None else type(value).__name__
