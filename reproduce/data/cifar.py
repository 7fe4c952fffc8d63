"""The Python version of CIFAR-10 and CIFAR-100: pickles in a tar.gz, or unpacked from it.

A pickle holds `data`, uint8 (n, 3072): the red, green and blue planes of 32 × 32, row by row.
"""

import gzip
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reproduce.data import pickled
from reproduce.data.dataset import Arrays, labels, present, reading

_KIND = "a complete CIFAR file"


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
            if paths := present(place, [[name] for name in self.members]):
                return paths
        return present(folder, [self.archives])

    def read(self, paths: list[Path], classes: int) -> Arrays:
        """The data set.

        Raises:
            ValueError: for a file that is damaged, holds something else, or asks for a global that
                no array needs.
        """
        with reading(_KIND, paths[0]):
            files = self._unpacked(paths) if len(paths) > 1 else self._packed(paths[0])
        missing = [name for name in self.members if name not in files]
        if missing:
            raise ValueError(
                f"{paths[0]} must hold {self.folder}/{missing[0]}. Received: no such file"
            )
        *train, test = (self._batch(*files[name], classes) for name in self.members)
        x_train, y_train = (np.concatenate(parts) for parts in zip(*train, strict=True))
        return x_train, y_train, *test

    def _unpacked(self, paths: list[Path]) -> dict[str, tuple[str, bytes]]:
        """Name → what an error calls the file, and its bytes."""
        return {path.name: (str(path), path.read_bytes()) for path in paths}

    def _packed(self, path: Path) -> dict[str, tuple[str, bytes]]:
        wanted = {f"{self.folder}/{name}": name for name in self.members}
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

    def _batch(self, where: str, raw: bytes, classes: int) -> tuple[np.ndarray, np.ndarray]:
        """Images `(n, 32, 32, 3)` and labels `(n,)` of one pickle."""
        with reading(_KIND, where):
            content = pickled.load(io.BytesIO(raw))
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
        x = np.ascontiguousarray(data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        return x, labels(np.asarray(y), len(data), classes, Path(where))


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


def _seen(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"shape {value.shape} of {value.dtype}"
    return "none" if value is None else type(value).__name__
