"""A folder that holds how far a solve has come, written so that no kill can spoil it.

    folder/
      solve.json            format and settings of the solve that owns the folder
      stage-0007/           the state after stage 7
        model.weights.h5    networks and optimizer
        progress.json       history, and the checksum of the weights

A stage is written under a temporary name, flushed to the disk and renamed in one step; the stage
before it is deleted only afterwards.
"""

import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import keras

_FORMAT = "fictitious_play.solve/1"
_STAGE = re.compile(r"stage-(\d{4,})")
_PARTIAL = ".partial"


class SolveFolder:
    """The folder of one solve.

    Args:
        path: the folder; made if missing.
        settings: everything that determines the solve, JSON-serialisable.

    Raises:
        ValueError: where the folder cannot be written, belongs to something else or to a solve
            with other settings.
    """

    def __init__(self, path: str | os.PathLike, settings: dict[str, Any]):
        self.path = Path(path)
        self.settings = json.loads(json.dumps(settings))
        self._claim()

    def latest(self) -> int:
        """Number of the last finished stage in the folder, 0 where there is none."""
        return max(self._stages(), default=0)

    def save(self, stage: int, model: keras.Model, progress: dict[str, Any]) -> None:
        """Keeps the state after `stage`, then drops the older ones."""
        target = self.path / f"stage-{stage:04d}"
        partial = self.path / f"{target.name}{_PARTIAL}"
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir()
            weights = partial / "model.weights.h5"
            model.save_weights(weights)
            record = {"stage": stage, "sha256": _checksum(weights), **progress}
            _write(partial / "progress.json", record)
            _flush(weights)
            _flush(partial)
            os.rename(partial, target)
            _flush(self.path)
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise OSError(
                f"The state after stage {stage} could not be saved in {self.path}: {error}. "
                "What was saved before is untouched; solve with the same folder to go on from it."
            ) from error
        for number in self._stages():
            if number < stage:
                shutil.rmtree(self.path / f"stage-{number:04d}", ignore_errors=True)

    def load(self, stage: int, model: keras.Model) -> dict[str, Any]:
        """Puts the state after `stage` into `model` and returns what was saved beside it."""
        source = self.path / f"stage-{stage:04d}"
        weights = source / "model.weights.h5"
        try:
            progress = json.loads((source / "progress.json").read_text())
            whole = progress["stage"] == stage and progress["sha256"] == _checksum(weights)
        except (OSError, ValueError, KeyError, TypeError):
            whole = False
        if not whole:
            raise ValueError(
                f"A saved stage must be whole. Received: {source}, which is damaged or was not "
                "written to the end. Delete that folder to go on from an earlier stage, if there "
                "is one, or start anew."
            )
        model.load_weights(weights)
        return progress

    def _stages(self) -> list[int]:
        matches = (_STAGE.fullmatch(entry.name) for entry in self.path.iterdir())
        return [int(match.group(1)) for match in matches if match]

    def _claim(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(
                f"`folder` must be a folder that can be made. Received: {self.path} ({error})"
            ) from error
        owner = self.path / "solve.json"
        if not owner.exists():
            if any(not entry.name.endswith(_PARTIAL) for entry in self.path.iterdir()):
                raise ValueError(
                    "`folder` must be empty or hold an earlier part of the same solve. "
                    f"Received: {self.path}, which holds other files"
                )
            try:
                _write(owner, {"format": _FORMAT, "settings": self.settings})
            except OSError as error:
                raise ValueError(
                    f"`folder` must be writable. Received: {self.path} ({error})"
                ) from error
            return
        try:
            found = json.loads(owner.read_text())
            known = found["format"] == _FORMAT
        except (OSError, ValueError, KeyError, TypeError):
            known = False
        if not known:
            raise ValueError(
                f"`folder` must hold a solve of this package. Received: {self.path}, whose "
                "solve.json is not one"
            )
        if found["settings"] != self.settings:
            raise ValueError(
                "A solve can go on only with the game and the settings it began with. "
                f"Received: {self.path}, begun with {_difference(found['settings'], self.settings)}"
            )


def _difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    """Names the settings that differ, a nested one by its path."""
    parts = []
    for key in sorted({*old, *new}):
        before, now = old.get(key), new.get(key)
        if before == now:
            continue
        if isinstance(before, dict) and isinstance(now, dict):
            parts.append(f"{key}: {_difference(before, now)}")
        else:
            parts.append(f"{key}={before!r}, now {now!r}")
    return "; ".join(parts)


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, values: dict[str, Any]) -> None:
    """Writes JSON under a temporary name and renames it: the file is whole or absent."""
    partial = path.with_name(path.name + _PARTIAL)
    partial.write_text(json.dumps(values, indent=1))
    _flush(partial)
    os.replace(partial, path)


def _flush(path: Path) -> None:
    """Makes a file's content, or a folder's entries, survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
