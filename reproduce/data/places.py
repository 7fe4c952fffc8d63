"""Where data sets are looked for and where they come from, as `sets.toml` has it."""

import os
import socket
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from reproduce.data.layouts import Layout, cifar, idx, matlab, npz

_FORMATS: dict[str, Callable[..., Layout]] = {"idx": idx, "matlab": matlab, "cifar": cifar}
#: Seconds without an answer after which a download is given up.
_PATIENCE = 30.0


@dataclass(frozen=True)
class Known:
    """What is known about a data set: the layout of its original files; folders below Keras's
    `datasets`, where downloads go to the first; the downloads, address and hash, SHA-256 or MD5 in
    hexadecimal digits; folders of system packages, and how to get one; and the first labels of the
    training set, where another set's files look alike."""

    classes: int
    layout: Layout
    cache: Sequence[str] = ("",)
    files: Sequence[Sequence[str]] = ()
    system: Sequence[str] = ()
    package: str = ""
    first_labels: Sequence[int] = ()


class Found(NamedTuple):
    """A data set's files in one folder, and the folder's title."""

    layout: Layout
    paths: list[Path]
    title: str


def _known(layout: dict[str, Any], **given: Any) -> Known:
    return Known(layout=_FORMATS[layout.pop("format")](**layout), **given)


KNOWN = {
    name: _known(**given)
    for name, given in tomllib.loads(Path(__file__).with_name("sets.toml").read_text()).items()
}


def keras_datasets() -> Path:
    """Keras's cache of data sets, by Keras's rule: $KERAS_HOME, or ~/.keras where it can write."""
    home = Path.home() if os.access(Path.home(), os.W_OK) else Path(tempfile.gettempdir())
    return Path(os.environ.get("KERAS_HOME", home / ".keras")).expanduser() / "datasets"


def download_folder(name: str) -> Path:
    """Where downloads of a data set go, and files may be put by hand."""
    return keras_datasets() / KNOWN[name].cache[0]


def find(name: str, data_dir: Path | None) -> Found | None:
    """The first complete set of files, or None; nothing is downloaded. `data_dir` is the only
    folder to look at, itself and its subfolder of that name; None for Keras's cache and the system
    packages."""
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


def download(name: str) -> None:
    """Fetches the files of a data set that are missing in Keras's cache.

    A file gets its place in the cache only when it is complete and its hash is right, else a
    ValueError says why; a file that is there is never touched."""
    import keras

    place, patience = download_folder(name), socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)
    try:
        place.mkdir(parents=True, exist_ok=True)
        for url, digits in KNOWN[name].files:
            place = download_folder(name) / url.rpartition("/")[2]
            if place.exists():
                continue
            with tempfile.TemporaryDirectory(prefix="download-", dir=place.parent) as room:
                path = keras.utils.get_file(
                    place.name, origin=url, file_hash=digits, cache_dir=room, cache_subdir="",
                    hash_algorithm="sha256" if len(digits) == 64 else "md5",
                )  # fmt: skip
                os.replace(path, place)
    # Keras reports every failure of the network as a plain Exception.
    except Exception as error:
        raise ValueError(f"{place}: {error}") from error
    finally:
        socket.setdefaulttimeout(patience)
