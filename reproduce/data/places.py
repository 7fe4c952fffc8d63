"""Where data sets are looked for, and where they come from."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from reproduce.data.cifar import CIFAR10, CIFAR100
from reproduce.data.dataset import Arrays
from reproduce.data.idx import IDX
from reproduce.data.matlab import Matlab
from reproduce.data.npz import NPZ


class Layout(Protocol):
    """A way to store a data set: what its files are called, and how to read them."""

    @property
    def expects(self) -> str: ...

    def find(self, folder: Path) -> list[Path] | None: ...

    def read(self, paths: list[Path], classes: int) -> Arrays: ...


@dataclass(frozen=True)
class File:
    """A file that can be downloaded.

    Attributes:
        url: its address.
        hash: of its bytes, SHA-256 or MD5 in hexadecimal digits.
    """

    url: str
    hash: str

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Known:
    """What is known about a data set.

    Attributes:
        classes: number of classes.
        layout: of the original files.
        cache: folders below Keras's `datasets`; downloads go to the first.
        system: folders of system packages.
        files: the downloads.
    """

    classes: int
    layout: Layout
    cache: tuple[str, ...] = ("",)
    files: tuple[File, ...] = ()
    system: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """A data set's files in one folder, and the folder's title."""

    layout: Layout
    paths: list[Path]
    title: str


_FASHION = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"
_SVHN = "http://ufldl.stanford.edu/housenumbers/"
_CIFAR = "https://www.cs.toronto.edu/~kriz/"

KNOWN = {
    # Address and SHA-256 of keras.datasets.mnist.
    "mnist": Known(10, IDX(), ("", "mnist"), (File(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
        "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
    ),)),
    # MD5 as published by the authors, in the table "Get the Data" of their README.
    "fashion-mnist": Known(10, IDX(), ("fashion-mnist",), (
        File(_FASHION + "train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        File(_FASHION + "train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
        File(_FASHION + "t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
        File(_FASHION + "t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
    ), ("/usr/share/datasets/fashion-mnist",)),
    # The authors publish no hashes; SHA-256 as in TensorFlow Datasets, url_checksums/svhn_cropped.
    "svhn": Known(10, Matlab(), ("svhn",), (
        File(_SVHN + "train_32x32.mat",
             "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8"),
        File(_SVHN + "test_32x32.mat",
             "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b"),
    )),
    # Address and SHA-256 of keras.datasets.cifar10 and cifar100.
    "cifar10": Known(10, CIFAR10, ("", "cifar-10-batches-py-target", "cifar10"), (File(
        _CIFAR + "cifar-10-python.tar.gz",
        "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    ),)),
    "cifar100": Known(100, CIFAR100, ("", "cifar-100-python-target", "cifar100"), (File(
        _CIFAR + "cifar-100-python.tar.gz",
        "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    ),)),
}  # fmt: skip


def keras_datasets() -> Path:
    """Keras's cache of data sets, by Keras's rule: $KERAS_HOME, or ~/.keras where it can write."""
    named = os.environ.get("KERAS_HOME")
    if named is None:
        home = Path.home()
        named = str((home if os.access(home, os.W_OK) else Path(tempfile.gettempdir())) / ".keras")
    return Path(named).expanduser() / "datasets"


def find(name: str, data_dir: Path | None) -> Found | None:
    """The first complete set of files, or None; nothing is downloaded.

    Args:
        name: of a data set in `KNOWN`.
        data_dir: the only folder to look at, itself and its subfolder of that name; None for
            Keras's cache and the system packages.
    """
    known = KNOWN[name]
    if data_dir is not None:
        # Results say where their images were read, and no paths of the machine that made them.
        folders = [(data_dir / name, f"the data folder's {name}"), (data_dir, "the data folder")]
    else:
        cache = keras_datasets()
        folders = [(cache / below, "Keras's cache") for below in known.cache]
        folders += [(Path(system), f"the system's {system}") for system in known.system]
    for folder, title in folders:
        for layout in (known.layout, NPZ(name)):
            paths = layout.find(folder)
            if paths is not None:
                return Found(layout, paths, title)
    return None


def expects(name: str) -> str:
    """Which files a data set is read from, in words."""
    return ", or ".join(dict.fromkeys([KNOWN[name].layout.expects, NPZ(name).expects]))
