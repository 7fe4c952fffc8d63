"""The image data sets of the DGNOpt paper, in their original formats, and one that is always here.

Data sets are looked for in the folder that is asked for, or else in Keras's cache, where system
packages install them, and last on the network. Files that are there are read and never changed.
"""

from pathlib import Path

from reproduce.data import places
from reproduce.data.dataset import Dataset, digits
from reproduce.data.layouts import Layout, npz
from reproduce.data.places import Known

__all__ = ["NAMES", "Dataset", "Known", "Layout", "available", "load", "npz", "register"]

#: The names that `load` knows.
NAMES = ("digits", *places.KNOWN)


def load(name: str, data_dir: str | Path | None = None) -> Dataset:
    """A data set by one of `NAMES`, pixels and labels as in the files.

    `data_dir` is the folder that holds the files, or a subfolder of that name that does; with it,
    nothing else is looked at. None for Keras's cache, system packages and the network. The digits
    need no files. A ValueError for an unknown name; files that are missing, with what to put where;
    a damaged file, or one that holds something else."""
    if name == "digits":
        return digits()
    folder = _checked(name, data_dir)
    found = places.find(name, folder)
    if found is None and folder is not None:
        raise ValueError(
            f"`data_dir` must hold the files of '{name}': put {places.expects(name)} into {folder} "
            f"or {folder / name}. Received: neither has them all."
        )
    layout, paths, title = found or _downloaded(name)
    known, path = places.KNOWN[name], paths[0]
    x_train, y_train, x_test, y_test = layout.read(paths, known.classes)
    if x_train.shape[1:] != x_test.shape[1:]:
        raise ValueError(
            f"{path} must have training and test images of one shape. "
            f"Received: {x_train.shape[1:]} and {x_test.shape[1:]}"
        )
    for other, its in places.KNOWN.items():
        first = list(its.first_labels)
        if first and other != name and y_train[: len(first)].tolist() == first:
            raise ValueError(
                f"{path} must belong to '{name}'. Received: the files of '{other}'. "
                f"Put each data set into a subfolder of its name."
            )
    files = path.name + (f" and {len(paths) - 1} more" if paths[1:] else "")
    source = f"{files}, in {title}"
    return Dataset(name, x_train, y_train, x_test, y_test, known.classes, 255.0, source)


def register(name: str, known: Known) -> None:
    """Makes a data set of one's own known to `load` and `available`, in this program.

    A folder of its name below `data_dir` may hold it. What is known is its number of classes and
    its `layout`: what the files are called, and a function that reads them; an .npz file `NAME.npz`
    is found without a layout that knows of it. A ValueError for a name that is taken."""
    if name in NAMES:
        raise ValueError(f"`name` must not be one of {', '.join(NAMES)}. Received: name={name!r}")
    places.KNOWN[name] = known


def available(name: str, data_dir: str | Path | None = None) -> bool:
    """Whether the files of a data set are here; they are not read, and nothing is downloaded.
    Refuses what `load` does, files apart."""
    return name == "digits" or places.find(name, _checked(name, data_dir)) is not None


def _checked(name: str, data_dir: str | Path | None) -> Path | None:
    if name not in places.KNOWN:
        names = ", ".join(dict.fromkeys((*NAMES, *places.KNOWN)))
        raise ValueError(f"`name` must be one of {names}. Received: name={name!r}")
    folder = None if data_dir is None else Path(data_dir).expanduser()
    if folder is not None and not folder.is_dir():
        raise ValueError(
            f"`data_dir` must be a folder that holds {places.expects(name)}. "
            f"Received: data_dir={str(data_dir)!r}, which is no folder."
        )
    return folder


def _downloaded(name: str) -> places.Found:
    try:
        places.download(name)
    except ValueError as error:
        raise ValueError(
            f"'{name}' is not on this machine and cannot be downloaded: put {places.expects(name)} "
            f"into {places.download_folder(name)}, or into a folder of yours that you name as "
            f"`data_dir`. Received: {error}"
        ) from error
    found = places.find(name, None)
    if found is None:
        raise ValueError(f"The downloaded files of '{name}' must be kept until they are read.")
    return found
