"""Results on the disk: JSON files, whole or absent."""

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np


def open_folder(path: str | os.PathLike) -> Path:
    """Makes a folder and checks that it can be written; a ValueError where it cannot."""
    folder = Path(path)
    probe = folder / f".probe-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise ValueError(
            f"`--out` must be a writable folder. Received: {folder} ({error})"
        ) from None
    return folder


def write(path: Path, document: dict[str, Any]) -> None:
    """Writes JSON under a temporary name and renames it; NaN becomes null."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(plain(document), indent=1, allow_nan=False) + "\n")
    os.replace(partial, path)


def read(path: Path) -> dict[str, Any]:
    """Reads what `write` wrote."""
    return json.loads(path.read_text())


def plain(value: Any) -> Any:
    """Arrays and tuples as lists, numbers as Python's, NaN and infinity as None."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
