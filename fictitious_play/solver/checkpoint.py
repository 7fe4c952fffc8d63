"""A folder that holds how far a solve has come, written so that no kill can spoil it.

    folder/
      solve.json            format and settings of the solve that owns the folder
      stage-0007/           the state after stage 7
        NAME.weights.h5     networks and optimizer of every training model
        profile-0003.npz    an earlier profile, where the belief still counts it
        progress.json       history, and the checksums of the other files

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

import numpy as np

from fictitious_play.solver.belief import Belief
from fictitious_play.solver.play import Play

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
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"`folder` must be a path. Received: folder={path!r}")
        self.path = Path(path)
        self.settings = json.loads(json.dumps(settings))
        self._claim()

    def latest(self) -> int:
        """Number of the last finished stage in the folder, 0 where there is none."""
        return max(self._stages(), default=0)

    def save(self, stage: int, play: Play, progress: dict[str, Any]) -> None:
        """Keeps the state of a play after `stage`, then drops the older ones."""
        target = self.path / f"stage-{stage:04d}"
        partial = self.path / f"{target.name}{_PARTIAL}"
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir()
            for name, model in play.models.items():
                model.save_weights(partial / f"{name}.weights.h5")
            self._save_profiles(partial, play.belief)
            files = sorted(partial.iterdir())
            record = {
                "stage": stage,
                "sha256": {path.name: _checksum(path) for path in files},
                "shares": play.belief.shares.tolist(),
                **progress,
            }
            _write(partial / "progress.json", record)
            for path in (*files, partial):
                _flush(path)
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

    def load(self, stage: int, play: Play) -> dict[str, Any]:
        """Puts the state after `stage` into a play and returns what was saved beside it."""
        source = self.path / f"stage-{stage:04d}"
        try:
            progress = json.loads((source / "progress.json").read_text())
            sums = progress["sha256"]
            whole = progress["stage"] == stage and all(
                _checksum(source / name) == value for name, value in sums.items()
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            whole = False
        if not whole:
            raise ValueError(
                f"A saved stage must be whole. Received: {source}, which is damaged or was not "
                "written to the end. Delete that folder to go on from an earlier stage, if there "
                "is one, or start anew."
            )
        for name, model in play.models.items():
            model.load_weights(source / f"{name}.weights.h5")
        profiles = {}
        for path in source.glob("profile-*.npz"):
            with np.load(path) as arrays:
                number = int(path.stem.removeprefix("profile-"))
                profiles[number] = [arrays[name] for name in arrays.files]
        play.resume(stage, profiles, np.asarray(progress["shares"]))
        return progress

    def _save_profiles(self, folder: Path, belief: Belief) -> None:
        """The profiles that a belief still counts; those saved before are linked, not copied."""
        for number, profile in zip(belief.stages, belief.profiles, strict=True):
            if not profile:
                continue
            path = folder / f"profile-{number:04d}.npz"
            before = next(iter(self.path.glob(f"stage-????/{path.name}")), None)
            if before is None:
                np.savez(path, *profile)
            else:
                try:
                    os.link(before, path)
                except OSError:
                    shutil.copyfile(before, path)

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
