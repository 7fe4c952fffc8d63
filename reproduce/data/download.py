"""Downloads into Keras's cache, with a checked hash, beside whatever is there already."""

import os
import socket
import tempfile
from pathlib import Path

from reproduce.data.places import KNOWN, File, keras_datasets

#: Seconds without an answer after which a download is given up.
_PATIENCE = 30.0


def download(name: str) -> None:
    """Fetches the files of a data set that are missing in Keras's cache.

    A file gets its place in the cache only when it is complete and its hash is right; a file that
    is there is never touched.

    Raises:
        ValueError: where a file cannot be fetched or stored, or has another hash.
    """
    known = KNOWN[name]
    folder = keras_datasets() / known.cache[0]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in known.files:
            if not (folder / file.name).exists():
                _fetch(file, folder)
    except OSError as error:
        raise ValueError(f"{folder}: {error}") from error


def _fetch(file: File, folder: Path) -> None:
    import keras

    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)
    try:
        with tempfile.TemporaryDirectory(prefix="download-", dir=folder) as room:
            try:
                path = keras.utils.get_file(
                    file.name,
                    origin=file.url,
                    file_hash=file.hash,
                    hash_algorithm="sha256" if len(file.hash) == 64 else "md5",
                    cache_dir=room,
                    cache_subdir="",
                )
            # Keras reports every failure of the network as a plain Exception.
            except Exception as error:
                raise ValueError(f"{file.url}: {error}") from error
            os.replace(path, folder / file.name)
    finally:
        socket.setdefaulttimeout(patience)
