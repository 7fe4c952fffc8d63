"""Where a number came from."""

import os
import platform
import shlex
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parent.parent
_PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "jax", "torch", "numpy", "scipy")


def revision() -> str:
    """The git revision of the sources, with "+" where they were changed since; else "unknown"."""
    try:
        commit = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--", "*.py", "requirements*.txt")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + ("+" if changed else "")


def describe(command: list[str], preset: str, seed: int, threads: int | None) -> dict[str, Any]:
    """Command, preset, seed, versions, revision, machine: everything but the time it took."""
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "command": shlex.join(command),
        "preset": preset,
        "seed": seed,
        "date": datetime.now(UTC).date().isoformat(),
        "revision": revision(),
        "versions": versions,
        "backend": os.environ.get("KERAS_BACKEND", "tensorflow"),
        "device": "CPU",
        "cores": os.cpu_count(),
        "threads": threads or os.cpu_count(),
        "machine": f"{platform.system()} {platform.machine()}",
    }


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=_ROOT, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()
