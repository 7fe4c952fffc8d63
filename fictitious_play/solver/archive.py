"""Files that are whole or absent: arrays and JSON are packed in memory and written in one go.

Nothing is ever written through a library that holds a file open: a disk that fills up at any
moment is an `OSError` of the write, and nothing else.
"""

import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops

_PARTIAL = ".partial"


def packed(arrays: Mapping[str, Any]) -> bytes:
    """Arrays by name as the bytes of an .npz file."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def unpacked(content: bytes) -> dict[str, np.ndarray]:
    """The inverse of `packed`; ValueError where the bytes are something else."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except Exception as error:
        raise ValueError(f"Not an .npz file: {error}") from error


def variable_arrays(name: str, variables: Sequence) -> dict[str, np.ndarray]:
    """The values of Keras variables, numbered in their order."""
    return {
        f"{name}_{number:04d}": ops.convert_to_numpy(variable)
        for number, variable in enumerate(variables)
    }


def assign_arrays(name: str, variables: Sequence, arrays: Mapping[str, np.ndarray]) -> None:
    """Puts the values of `variable_arrays` back; ValueError where number or shapes differ."""
    saved = [arrays[key] for key in sorted(arrays) if key.startswith(f"{name}_")]
    shapes = [tuple(array.shape) for array in saved]
    wanted = [tuple(variable.shape) for variable in variables]
    if shapes != wanted:
        raise ValueError(
            f"The saved {name} must have the shapes of the present one, {wanted}. Received: "
            f"{shapes}"
        )
    for variable, array in zip(variables, saved, strict=True):
        variable.assign(array)


def write(path: Path, content: bytes) -> None:
    """Writes a file under a temporary name, flushes it to the disk and renames it.

    Raises:
        OSError: names the file; what was there before is untouched.
    """
    partial = path.with_name(path.name + _PARTIAL)
    try:
        with partial.open("wb", buffering=0) as file:
            rest = memoryview(content)
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        os.replace(partial, path)
        flush_folder(path.parent)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OSError(
            error.errno, f"{error.strerror or error}, while writing", str(path)
        ) from error


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """`write`, of JSON."""
    write(path, json.dumps(values).encode())


def flush_folder(path: Path) -> None:
    """Makes the entries of a folder survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def checksum(content: Any) -> str:
    """SHA-256 of some bytes, or of what holds them."""
    return hashlib.sha256(content).hexdigest()
