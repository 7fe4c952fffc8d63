"""A folder that holds how far a solve has come, written so that no kill can spoil it.

    folder/
      solve.json            format, settings and fingerprint of the solve that owns the folder
      solve.lock            which process writes here, while it does
      stage-0007/           the state after stage 7
        NAME.npz            networks and optimizer of every training model, and their average
        profile-0003.npz    an earlier profile, where the belief still counts it
        progress.json       history, and the checksums of the other files and of itself

A stage is written under a temporary name, flushed to the disk and renamed in one step; the stage
before it is deleted only afterwards.

A solve is continued with the same problem and the same settings, bit for bit, under the same
versions. What may change is `stages`, the tolerances, how often regret is estimated, and the patch
version of a library. The learning rate follows the cosine over all stages that are now asked for:
with more stages it is higher from where the solve goes on than it was before, and decays over what
is left; the stages that were played stay as they are.
"""

import errno
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fictitious_play.solver import archive, folder_lock
from fictitious_play.solver.belief import Belief
from fictitious_play.solver.fingerprint import differences
from fictitious_play.solver.play import Play
from fictitious_play.solver.record import StageRecord

_FORMAT = "fictitious_play.solve/6"
_STAGE = re.compile(r"stage-(\d{4,})")
_PARTIAL = ".partial"
#: Settings that say how long to go on, or that change nothing.
_FREE = ("stages", "tolerance", "regret_every", "regret_tolerance", "python")


class SolveFolder:
    """The folder of one solve, held against other writers until `close`.

    Args:
        path: the folder; made if missing.
        settings: everything that determines the solve, JSON-serialisable.
        problem: the `fingerprint` of its game and α^0.

    Raises:
        ValueError: where the folder cannot be written, belongs to something else, to another
            problem, to a solve with other settings, or to a process that is writing.
        OSError: where there is no room.
    """

    def __init__(self, path: str | os.PathLike, settings: dict[str, Any], problem: dict[str, list]):
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"`folder` must be a path. Received: folder={path!r}")
        self.path = Path(path)
        try:
            self.settings = json.loads(json.dumps(settings))
        except TypeError as error:
            raise ValueError(
                "A solve with a `folder` must have settings that can be written as JSON. Received: "
                f"{error}. Likely cause: `get_config` of the game returns an array or a function; "
                "give lists and numbers"
            ) from error
        self.problem = problem
        self._claim()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets other solves have the folder."""
        self._lock.release()

    def latest(self) -> int:
        """Number of the last finished stage in the folder, 0 where there is none."""
        return max(self._stages(), default=0)

    def resume(self, play: Play) -> list[StageRecord]:
        """Takes a play to the last finished stage in the folder; the history until there."""
        stage = self.latest()
        if not stage:
            return []
        return [StageRecord.from_json(values) for values in self.load(stage, play)["history"]]

    def save(self, stage: int, play: Play, progress: dict[str, Any]) -> None:
        """Keeps the state of a play after `stage`, then drops the older ones."""
        target = self.path / f"stage-{stage:04d}"
        partial = self.path / f"{target.name}{_PARTIAL}"
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir()
            sums = {}
            for name, content in self._contents(play):
                sums[name] = archive.checksum(content)
                archive.write(partial / name, content)
            record = {
                "stage": stage,
                "sha256": sums,
                "shares": play.belief.shares.tolist(),
                "solve": self._solve(),
                **progress,
            }
            # An edited record would be another solve's.
            record["record_sha256"] = _sum_of(record)
            archive.write_json(partial / "progress.json", record)
            os.rename(partial, target)
            archive.flush_folder(self.path)
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise OSError(
                error.errno,
                f"The state after stage {stage} could not be saved in {self.path}: "
                f"{error.strerror or error}. What was saved before is untouched; solve with the "
                "same folder to go on from it",
                error.filename or str(target),
            ) from error
        for number in self._stages():
            if number < stage:
                shutil.rmtree(self.path / f"stage-{number:04d}", ignore_errors=True)

    def load(self, stage: int, play: Play) -> dict[str, Any]:
        """Puts the state after `stage` into a play and returns what was saved beside it."""
        source = self.path / f"stage-{stage:04d}"
        try:
            progress = json.loads((source / "progress.json").read_text())
            contents = {name: (source / name).read_bytes() for name in progress["sha256"]}
            whole = (
                progress.pop("record_sha256") == _sum_of(progress)
                and progress["stage"] == stage
                # A stage of before does not say to which solve it belongs.
                and progress.get("solve", self._solve()) == self._solve()
                and all(
                    archive.checksum(contents[name]) == value
                    for name, value in progress["sha256"].items()
                )
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            whole = False
        if not whole:
            raise ValueError(
                f"A saved stage must be whole. Received: {source}, which is damaged, was not "
                "written to the end, or belongs to another solve. Delete that folder to go on from "
                "an earlier stage, if there is one, or start anew."
            )
        arrays = {name: archive.unpacked(content) for name, content in contents.items()}
        for name, model in play.models.items():
            archive.assign_arrays("policy", model.policy.weights, arrays[f"{name}.npz"])
            archive.assign_arrays("optimizer", model.optimizer.variables, arrays[f"{name}.npz"])
        for name, each in play.averages.items():
            archive.assign_arrays("average", each.average.weights, arrays[f"{name}.npz"])
        profiles = {
            int(name.removeprefix("profile-").removesuffix(".npz")): [
                profile[key] for key in sorted(profile)
            ]
            for name, profile in arrays.items()
            if name.startswith("profile-")
        }
        play.resume(stage, profiles, np.asarray(progress["shares"]))
        return progress

    def _solve(self) -> str:
        """What tells this solve from others, by its settings."""
        return archive.checksum(json.dumps(_compared(self.settings), sort_keys=True).encode())

    def _contents(self, play: Play) -> Iterator[Any]:
        """Names and bytes of the files of a stage but its record."""
        for name, model in play.models.items():
            arrays = archive.variable_arrays("policy", model.policy.weights)
            arrays.update(archive.variable_arrays("optimizer", model.optimizer.variables))
            if name in play.averages:
                average = play.averages[name].average
                arrays.update(archive.variable_arrays("average", average.weights))
            yield f"{name}.npz", archive.packed(arrays)
        yield from _profiles(play.belief)

    def _stages(self) -> list[int]:
        matches = (_STAGE.fullmatch(entry.name) for entry in self.path.iterdir())
        return [int(match.group(1)) for match in matches if match]

    def _claim(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _refused(error, self.path, "a folder that can be made") from error
        owner = self.path / "solve.json"
        if not owner.exists() and any(not _is_ours(entry.name) for entry in self.path.iterdir()):
            raise ValueError(
                "`folder` must be empty or hold an earlier part of the same solve. "
                f"Received: {self.path}, which holds other files"
            )
        try:
            self._lock = folder_lock.FolderLock(self.path)
        except OSError as error:
            raise _refused(error, self.path, "writable") from error
        try:
            record = {"format": _FORMAT, "settings": self.settings, "problem": self.problem}
            if not owner.exists() or self._checked(owner) != record:
                archive.write_json(owner, record)
        except BaseException:
            self._lock.release()
            raise

    def _checked(self, owner: Path) -> dict[str, Any]:
        """What solve.json holds, where the folder is one of the same solve."""
        try:
            record = json.loads(owner.read_text())
            kind, different, changed = record["format"], "", []
            old = isinstance(kind, str) and kind.startswith("fictitious_play.solve/")
            if kind == _FORMAT:
                different = _difference(_compared(record["settings"]), _compared(self.settings))
                changed = differences(record["problem"], self.problem)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            kind, old = None, False
        if old and kind != _FORMAT:
            raise ValueError(
                f"`folder` must hold a solve in the format {_FORMAT!r}. Received: {self.path}, in "
                f"the format {kind!r} of another version of this package. Go on with that version, "
                "or solve anew in another folder."
            )
        if kind != _FORMAT:
            raise ValueError(
                f"`folder` must hold a solve of this package. Received: {self.path}, whose "
                "solve.json is not one"
            )
        if different:
            raise ValueError(
                "A solve can go on only with the game and the settings it began with. "
                f"Received: {self.path}, begun with {different}"
            )
        if changed:
            named = ", ".join(f"`{name}`" for name in changed)
            raise ValueError(
                "A solve can go on only with the problem it began with. "
                f"Received: {self.path}, begun with other values of {named}. Solve the changed "
                "problem in another folder."
            )
        stages, saved = self.settings["stages"], self.latest()
        if stages < saved:
            raise ValueError(
                f"`stages` must be at least {saved}, which {self.path} has played. "
                f"Received: stages={stages}"
            )
        return record


def _profiles(belief: Belief) -> Iterator[Any]:
    """Names and bytes of the profiles that a belief still counts."""
    for number, profile in zip(belief.stages, belief.profiles, strict=True):
        if profile:
            arrays = archive.variable_arrays("policy", profile)
            yield f"profile-{number:04d}.npz", archive.packed(arrays)


def _is_ours(name: str) -> bool:
    """Whether a file may be left over from a solve that was killed before it had begun."""
    return name.endswith(_PARTIAL) or name.startswith(folder_lock.NAME)


def _sum_of(record: dict[str, Any]) -> str:
    return archive.checksum(json.dumps(record).encode())


def _refused(error: OSError, path: Path, rule: str) -> Exception:
    """No room is an OSError as it came; any other reason is a folder that cannot be used."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
        return error
    return ValueError(f"`folder` must be {rule}. Received: {path} ({error})")


def _compared(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that must be equal: without the free ones, with versions up to the minor one,
    and without the name of a function that gives α^0, whose values are compared."""
    kept = {key: value for key, value in settings.items() if key not in _FREE}
    versions = kept.get("versions", {})
    kept["versions"] = {
        name: ".".join(version.split(".")[:2]) for name, version in versions.items()
    }
    if isinstance(kept.get("initial_belief"), str):
        kept["initial_belief"] = "a function"
    return kept


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
