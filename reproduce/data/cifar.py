"""The Python version of CIFAR-10 and CIFAR-100: pickles in a tar.gz, or unpacked from it.

A pickle holds `data`, uint8 (n, 3072): the red, green and blue planes of 32 × 32, row by row.
"""

import gzip
import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from reproduce.data import pickled
from reproduce.data.dataset import Arrays, checked, reading
from reproduce.data.layouts import Layout

_KIND = "a complete CIFAR file"


def cifar(folder: str, archives: list[str], train: list[str], test: str, key: str) -> Layout:
    """The archive of CIFAR-10 or CIFAR-100, or the folder in it, or that folder's files.

    Args:
        folder: the archive's folder.
        archives: names the archive goes by, the authors' first.
        train: names of the training files.
        test: name of the test file.
        key: entry of the labels.
    """
    names = [*train, test]

    def read(paths: list[Path], classes: int) -> Arrays:
        with reading(_KIND, paths[0]):
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
    """Images `(n, 32, 32, 3)` and labels `(n,)` of one pickle.

    Raises:
        ValueError: for one that is damaged, holds something else, or asks for a global that no
            array needs.
    """
    with reading(_KIND, where):
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
