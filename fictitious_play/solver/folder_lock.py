"""One writer per folder: a lock file that names the process that holds it."""

import json
import os
import socket
from pathlib import Path
from typing import Any

from fictitious_play.solver import archive

NAME = "solve.lock"


class FolderLock:
    """Holds a folder until `release`.

    The lock file names the process by host, number and the moment it started. A lock whose process
    on this host is gone is stale and is taken over; one of another host is respected, since nobody
    here can tell.

    Args:
        folder: the folder, which is there.

    Raises:
        ValueError: where another process, or another solve of this one, holds the folder.
        OSError: where the lock cannot be written.
    """

    def __init__(self, folder: Path):
        self.path = folder / NAME
        self._own = folder / f"{NAME}.{os.getpid()}.{id(self):x}"
        owner = json.dumps(_this_process()).encode()
        archive.write(self._own, owner)
        try:
            self._take()
        finally:
            self._own.unlink(missing_ok=True)

    def release(self) -> None:
        """Gives the folder free."""
        self.path.unlink(missing_ok=True)

    def _take(self) -> None:
        for _ in range(10):
            try:
                os.link(self._own, self.path)  # made whole or not at all
                return
            except FileExistsError:
                self._clear_stale()
            except OSError:  # no links on this file system
                with self.path.open("xb") as file:
                    file.write(self._own.read_bytes())
                return
        raise self._refusal({})

    def _clear_stale(self) -> None:
        """Removes a stale lock; raises where it is not stale."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return
        try:
            owner = json.loads(content)
            stale = is_gone(owner)
        except (ValueError, KeyError, TypeError):
            owner, stale = {}, True  # cut short: its writer did not live to finish it
        if not stale:
            raise self._refusal(owner)
        aside = self._own.with_suffix(".stale")
        try:
            os.rename(self.path, aside)
        except FileNotFoundError:
            return
        if aside.read_bytes() != content:  # another process was faster: its lock goes back
            os.link(aside, self.path)
        aside.unlink(missing_ok=True)

    def _refusal(self, owner: dict[str, Any]) -> ValueError:
        return ValueError(
            "A folder must have one solve at a time. Received: "
            f"{self.path.parent}, which process {owner.get('pid')} on {owner.get('host')} holds. "
            f"Wait for it, take another folder, or delete {self.path} if that process is gone."
        )


def is_gone(owner: dict[str, Any]) -> bool:
    """Whether the process that a lock names has ended. A process of this host with its number that
    started at another moment is another one; processes of other hosts count as alive."""
    if owner["host"] != socket.gethostname():
        return False
    started = _started(int(owner["pid"]))
    return started is None or started != owner["started"]


def _this_process() -> dict[str, Any]:
    pid = os.getpid()
    return {"pid": pid, "host": socket.gethostname(), "started": _started(pid)}


def _started(pid: int) -> str | None:
    """When a process started: boot and clock tick on Linux, "alive" elsewhere; None where there is
    no such process."""
    if os.path.isdir("/proc/self"):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return None
        return None if fields[0] in "ZX" else f"{boot} {fields[19]}"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass
    return "alive"
