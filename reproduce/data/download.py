"""Downloads into Keras's cache, with a checked hash, beside whatever is there already."""

import os
import socket
import tempfile
from pathlib import Path

from reproduce.data.places import KNOWN, download_folder

#: Seconds without an answer after which a download is given up.
_PATIENCE = 30.0


def download(name: str) -> None:
    """Fetches the files of a data set that are missing in Keras's cache.

    A file gets its place in the cache only when it is complete and its hash is right; a file that
    is there is never touched.

    Raises:
        ValueError: where a file cannot be fetched or stored, or has another hash.
    """
    folder = download_folder(name)
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for url, digits in KNOWN[name].files:
            if not (place := folder / url.rpartition("/")[2]).exists():
                _fetch(url, digits, place)
    except OSError as error:
        raise ValueError(f"{folder}: {error}") from error
    finally:
        socket.setdefaulttimeout(patience)


def _fetch(url: str, digits: str, place: Path) -> None:
    import keras

    with tempfile.TemporaryDirectory(prefix="download-", dir=place.parent) as room:
        try:
            path = keras.utils.get_file(
                place.name, origin=url, file_hash=digits, cache_dir=room, cache_subdir="",
                hash_algorithm="sha256" if len(digits) == 64 else "md5",
            )  # fmt: skip
        # Keras reports every failure of the network as a plain Exception.
        except Exception as error:
            raise ValueError(f"{url}: {error}") from error
        os.replace(path, place)
