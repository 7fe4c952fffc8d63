"""Where data sets are looked for and where they come from, as `sets.toml` has it."""

import os
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reproduce.data.cifar import cifar
from reproduce.data.layouts import Layout, idx, matlab, npz

_FORMATS: dict[str, Callable[..., Layout]] = {"idx": idx, "matlab": matlab, "cifar": cifar}


@dataclass(frozen=True)
class Known:
    """What is known about a data set.

    Attributes:
        classes: number of classes.
        layout: of the original files.
        cache: folders below Keras's `datasets`; downloads go to the first.
        files: the downloads: address and hash, SHA-256 or MD5 in hexadecimal digits.
        system: folders of system packages.
        package: how to get one of these.
        first_labels: of the training set, where another set's files look alike.
    """

    classes: int
    layout: Layout
    cache: Sequence[str] = ("",)
    files: Sequence[Sequence[str]] = ()
    system: Sequence[str] = ()
    package: str = ""
    first_labels: Sequence[int] = ()


@dataclass(frozen=True)
class Found:
    """A data set's files in one folder, and the folder's title."""

    layout: Layout
    paths: list[Path]
    title: str


def _known(layout: dict[str, Any], **given: Any) -> Known:
    kind = {key: value for key, value in layout.items() if key != "format"}
    return Known(layout=_FORMATS[layout["format"]](**kind), **given)


KNOWN = {
    name: _known(**given)
    for name, given in tomllib.loads(Path(__file__).with_name("sets.toml").read_text()).items()
}


def keras_datasets() -> Path:
    """Keras's cache of data sets, by Keras's rule: $KERAS_HOME, or ~/.keras where it can write."""
    named = os.environ.get("KERAS_HOME")
    if named is None:
        home = Path.home()
        named = str((home if os.access(home, os.W_OK) else Path(tempfile.gettempdir())) / ".keras")
    return Path(named).expanduser() / "datasets"


def download_folder(name: str) -> Path:
    """Where downloads of a data set go, and files may be put by hand."""
    return keras_datasets() / KNOWN[name].cache[0]


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
        folders = [(keras_datasets() / below, "Keras's cache") for below in known.cache]
        folders += [(Path(system), f"the system's {system}") for system in known.system]
    for folder, title in folders:
        for layout in (known.layout, npz(name)):
            if (paths := layout.find(folder)) is not None:
                return Found(layout, paths, title)
    return None


def expects(name: str) -> str:
    """Which files a data set is read from, in words."""
    return ", or ".join(dict.fromkeys([KNOWN[name].layout.expects, npz(name).expects]))
