"""Small data sets, written in their original formats."""

import gzip
import io
import pickle
import struct
import tarfile
from typing import ClassVar

import numpy as np
import scipy.io

IDX_NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte",
             "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")  # fmt: skip
NAMES = ("cifar10", "cifar100", "fashion-mnist", "mnist", "svhn")


def arrays(shape, classes, train=7, test=4):
    rng = np.random.default_rng(5)
    sizes = (train, test)
    x = [rng.integers(0, 256, (n, *shape), dtype=np.uint8) for n in sizes]
    y = [rng.integers(0, classes, n) for n in sizes]
    return x[0], y[0], x[1], y[1]


def idx(array):
    """The bytes of an IDX file, by the format's definition."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + bytes(
        array.astype(np.uint8)
    )


def write_idx(folder, content, compressed=False):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(IDX_NAMES, content, strict=True):
        raw = idx(array)
        path = folder / (f"{name}.gz" if compressed else name)
        path.write_bytes(gzip.compress(raw) if compressed else raw)


def write_svhn(folder, content):
    folder.mkdir(parents=True, exist_ok=True)
    for file, x, y in (("train", *content[:2]), ("test", *content[2:])):
        y = np.where(y == 0, 10, y).astype(np.uint8)[:, None]
        parts = {"X": x.transpose(1, 2, 3, 0), "y": y}
        scipy.io.savemat(folder / f"{file}_32x32.mat", parts, do_compression=True)


class Python2Pickler(pickle._Pickler):
    """Writes bytes as Python 2 wrote its strings, which CIFAR's files are made of."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def save_bytes(self, value):
        self.write(pickle.BINSTRING + struct.pack("<i", len(value)) + value)

    dispatch[bytes] = save_bytes


def python2(value):
    file = io.BytesIO()
    Python2Pickler(file, protocol=2).dump(value)
    return file.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def batch(x, y, key):
    planes = x.transpose(0, 3, 1, 2).reshape(len(x), -1)
    return {b"data": planes, key: [int(label) for label in y], b"filenames": [b"a.png"] * len(x)}


def cifar10_files(content, dump=python2):
    x, y, x_test, y_test = content
    parts = np.array_split(np.arange(len(x)), 5)
    files = {
        f"data_batch_{n}": dump(batch(x[part], y[part], b"labels"))
        for n, part in enumerate(parts, 1)
    }
    return {**files, "test_batch": dump(batch(x_test, y_test, b"labels"))}


def cifar100_files(content, dump=python2):
    x, y, x_test, y_test = content
    return {
        "train": dump({**batch(x, y, b"fine_labels"), b"coarse_labels": [0] * len(x)}),
        "test": dump(
            {**batch(x_test, y_test, b"fine_labels"), b"coarse_labels": [0] * len(y_test)}
        ),
    }


def write_folder(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def write_tar(path, inner, files):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{inner}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def write(name, folder, content):
    """A data set as its authors give it away."""
    if name in ("mnist", "fashion-mnist"):
        write_idx(folder, content, compressed=True)
    elif name == "svhn":
        write_svhn(folder, content)
    elif name == "cifar10":
        write_tar(folder / "cifar-10-python.tar.gz", "cifar-10-batches-py", cifar10_files(content))
    else:
        write_tar(folder / "cifar-100-python.tar.gz", "cifar-100-python", cifar100_files(content))


def content_of(name):
    shape = (28, 28, 1) if "mnist" in name else (32, 32, 3)
    content = arrays(shape, 100 if name == "cifar100" else 10)
    return tuple(x[..., 0] if x.shape[-1] == 1 else x for x in content)


def check(read, content):
    x, y, x_test, y_test = content
    for got, want in ((read.x_train, x), (read.x_test, x_test)):
        assert got.dtype == np.uint8
        np.testing.assert_array_equal(got, want if want.ndim == 4 else want[..., None])
    for got, want in ((read.y_train, y), (read.y_test, y_test)):
        assert got.dtype == np.int64
        np.testing.assert_array_equal(got, want)


def snapshot(folder):
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in sorted(folder.rglob("*"))
    }
