"""The IDX format of MNIST, plain or compressed with gzip.

Four bytes 0, 0, type, rank; one big-endian unsigned 32-bit size per axis; then the values, the last
axis fastest. Type 8 is the unsigned byte.
"""

import gzip
import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reproduce.data.dataset import Arrays, images, labels, present, reading

_STEMS = ("train-images", "train-labels", "t10k-images", "t10k-labels")
_RANKS = (3, 1, 3, 1)


@dataclass(frozen=True)
class IDX:
    """Four IDX files: images and labels of the training and the test set."""

    expects: str = (
        "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
        "t10k-labels-idx1-ubyte (plain or .gz)"
    )

    def find(self, folder: Path) -> list[Path] | None:
        """The four files in a folder; None where one is missing."""
        files = zip(_STEMS, _RANKS, strict=True)
        return present(folder, (
            [f"{stem}{dot}idx{rank}-ubyte{end}" for dot in "-." for end in ("", ".gz")]
            for stem, rank in files
        ))  # fmt: skip

    def read(self, paths: list[Path], classes: int) -> Arrays:
        """The data set.

        Raises:
            ValueError: for a file that is damaged, or does not fit the others.
        """
        x_train, y_train, x_test, y_test = (
            read(path, rank) for path, rank in zip(paths, _RANKS, strict=True)
        )
        x_train, x_test = images(x_train, paths[0]), images(x_test, paths[2])
        y_train = labels(y_train, len(x_train), classes, paths[1])
        return x_train, y_train, x_test, labels(y_test, len(x_test), classes, paths[3])


def read(path: Path, rank: int) -> np.ndarray:
    """The unsigned bytes of one IDX file.

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
