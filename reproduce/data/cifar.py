"""The Python version of CIFAR-10 and CIFAR-100: pickles in a tar.gz, or unpacked from it.

A pickle holds `data`, uint8 (n, 3072): the red, green and blue planes of 32 × 32, row by row.
"""

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reproduce.data import pickled
from reproduce.data.dataset import Arrays, labels


@dataclass(frozen=True)
class CIFAR:
    """The archive of CIFAR-10 or CIFAR-100, or the folder in it.

    Attributes:
        folder: the archive's folder.
        archives: names the archive goes by, the authors' first.
        train: names of the training files.
        test: name of the test file.
        key: entry of the labels.
    """

    folder: str
    archives: tuple[str, ...]
    train: tuple[str, ...]
    test: str
    key: str

    @property
    def expects(self) -> str:
        return f"{self.archives[0]} (or its unpacked folder {self.folder})"

    @property
    def members(self) -> tuple[str, ...]:
        return (*self.train, self.test)

    def find(self, folder: Path) -> list[Path] | None:
        """The unpacked files, or the archive; None where neither is complete."""
        for place in (folder / self.folder, folder):
            paths = [place / name for name in self.members]
            if all(path.is_file() for path in paths):
                return paths
        archive = next((folder / name for name in self.archives if (folder / name).is_file()), None)
        return None if archive is None else [archive]

    def read(self, paths: list[Path], classes: int) -> Arrays:
        """The data set.

        Raises:
            ValueError: for a file that is damaged, holds something else, or asks for a global that
                no array needs.
        """
        pieces = self._unpacked(paths) if len(paths) > 1 else self._packed(paths[0])
        read = {name: self._batch(where, content, classes) for name, where, content in pieces}
        missing = [name for name in self.members if name not in read]
        if missing:
            raise ValueError(
                f"{paths[0]} must hold {self.folder}/{missing[0]}. Received: no such file"
            )
        train = [read.pop(name) for name in self.train]
        y_train = np.concatenate([y for _, y in train])
        planes, y_test = read.pop(self.test)
        return _images([x for x, _ in train]), y_train, _images([planes]), y_test

    def _unpacked(self, paths: list[Path]) -> Iterator[tuple[str, str, Any]]:
        for path in paths:
            try:
                with path.open("rb") as file:
                    yield path.name, str(path), pickled.load(file)
            except (OSError, ValueError) as error:
                raise _unreadable(str(path), error) from error

    def _packed(self, path: Path) -> Iterator[tuple[str, str, Any]]:
        wanted = {f"{self.folder}/{name}": name for name in self.members}
        where = str(path)
        try:
            with gzip.open(path) as plain, tarfile.open(fileobj=plain, mode="r:") as archive:
                for member in archive:
                    name = wanted.get(member.name.removeprefix("./"))
                    file = archive.extractfile(member) if name and member.isreg() else None
                    if name and file is not None:
                        where = f"{path}, {member.name}"
                        yield name, where, pickled.load(file)
                        where = str(path)
                # The checksum stands at the very end, behind the last member.
                while plain.read(2**20):
                    pass
        except (OSError, EOFError, ValueError, tarfile.TarError, zlib.error) as error:
            raise _unreadable(where, error) from error

    def _batch(self, where: str, content: Any, classes: int) -> tuple[np.ndarray, np.ndarray]:
        """Planes `(n, 3, 32, 32)` and labels `(n,)` of one pickle."""
        content = content if isinstance(content, dict) else {}
        data, y = content.get(b"data"), content.get(self.key.encode())
        if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (3072,):
            raise ValueError(
                f"{where} must hold `data`, unsigned bytes (n, 3072). Received: {_seen(data)}"
            )
        if not isinstance(y, list | np.ndarray) or not len(y):
            raise ValueError(f"{where} must hold a list `{self.key}`. Received: {_seen(y)}")
        if isinstance(y, list) and not all(type(label) is int for label in y):
            raise ValueError(f"{where} must hold whole numbers as `{self.key}`")
        return data.reshape(-1, 3, 32, 32), labels(np.asarray(y), len(data), classes, Path(where))


CIFAR10 = CIFAR(
    folder="cifar-10-batches-py",
    # After the authors' name, the ones that versions of Keras give it in their cache.
    archives=(
        "cifar-10-python.tar.gz", "cifar-10-batches-py.tar.gz", "cifar-10-batches-py-target_archive"
    ),
    train=tuple(f"data_batch_{number}" for number in range(1, 6)),
    test="test_batch",
    key="labels",
)  # fmt: skip
CIFAR100 = CIFAR(
    folder="cifar-100-python",
    archives=("cifar-100-python.tar.gz", "cifar-100-python-target_archive"),
    train=("train",),
    test="test",
    key="fine_labels",
)


def _images(pieces: list[np.ndarray]) -> np.ndarray:
    """Images `(n, 32, 32, 3)` of planes `(n, 3, 32, 32)`, each piece freed when it is copied."""
    made = np.empty((sum(map(len, pieces)), 32, 32, 3), np.uint8)
    begin = 0
    while pieces:
        piece = pieces.pop(0)
        made[begin : begin + len(piece)] = piece.transpose(0, 2, 3, 1)
        begin += len(piece)
    return made


def _unreadable(where: str, error: Exception) -> ValueError:
    return ValueError(f"{where} must be a complete CIFAR file. Received: {error}")


def _seen(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"shape {value.shape} of {value.dtype}"
    return "none" if value is None else type(value).__name__
