"""Where a number came from."""

import ast
import hashlib
import os
import platform
import shlex
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parent.parent
_PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "jax", "torch", "numpy", "scipy")
#: What every training run depends on.
_TRAINING = ("reproduce/training/cell.py", "reproduce/training/methods.py",
             "reproduce/training/split.py", "reproduce/networks.py")  # fmt: skip


@lru_cache
def code(*more: str) -> str:
    """A fingerprint of the sources that decide a training run, comments and docstrings apart, and
    of `more` files and folders of the repository."""
    digest = hashlib.sha256()
    for place in (*_TRAINING, *more):
        path = _ROOT / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            tree = ast.parse(file.read_bytes())
            for node in ast.walk(tree):
                if isinstance(body := getattr(node, "body", None), list):
                    body[:] = [part for part in body if not _is_text(part)]
            digest.update(ast.dump(tree).encode())
    return digest.hexdigest()[:12]


def _is_text(part: ast.AST) -> bool:
    return isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)


def made(*more: str) -> dict[str, Any]:
    """What a training run says of where it was made; `more` as for `code`."""
    return {"revision": revision(), "code": code(*more), **environment()}


def environment() -> dict[str, Any]:
    """What moves a run's numbers besides its sources: device, processor, threads, oneDNN, TF32."""
    import keras

    tf32 = None
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        tf32 = tf.config.experimental.tensor_float_32_execution_enabled()
    return {
        "device": device(), "processor": _processor(), "tf32": tf32,
        "threads": int(os.environ.get("TF_NUM_INTRAOP_THREADS") or os.cpu_count() or 1),
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "the processor's default"),
    }  # fmt: skip


@lru_cache
def _processor() -> str:
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    flags = next((line for line in lines if line.startswith("flags")), "")
    widest = next((f for f in ("avx512_vnni", "avx512f", "avx2") if f" {f}" in flags), "")
    return " ".join(filter(None, (next(named, platform.machine()), widest)))


@lru_cache
def revision() -> str:
    """The git revision of the sources, with "+" where they were changed since; else "unknown"."""
    try:
        commit = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--", "*.py", "requirements*.txt")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + ("+" if changed else "")


def device() -> str:
    """What the Keras backend computes on: the kind of the GPUs or TPUs, or "CPU"."""
    import keras

    kinds = _accelerators(keras.config.backend())
    if len(kinds) > 1:
        return f"{len(kinds)} × {kinds[0]}"
    return kinds[0] if kinds else "CPU"


def _accelerators(backend: str) -> list[str]:
    if backend == "jax":
        import jax

        return [found.device_kind for found in jax.devices() if found.platform != "cpu"]
    if backend == "torch":
        import torch

        return [*map(torch.cuda.get_device_name, range(torch.cuda.device_count()))]
    import tensorflow as tf

    details = tf.config.experimental.get_device_details
    devices = (found for kind in ("GPU", "TPU") for found in tf.config.list_physical_devices(kind))
    return [details(found).get("device_name", found.device_type) for found in devices]


def threads_shown(given: dict[str, Any]) -> str:
    """`1 thread of 2 cores`, of what `describe` returned."""
    threads, cores = given["threads"], given["cores"]
    return f"{threads} thread{'s' * (threads != 1)} of {cores} core{'s' * (cores != 1)}"


def describe(
    command: list[str], preset: str, seed: int, threads: int | None, where: str | None = None
) -> dict[str, Any]:
    """Command, preset, seed, versions, revision, machine: everything but the time it took. None for
    `threads` is all; `where` is the device, where it is not that of this process's Keras
    backend."""
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return {
        "command": shlex.join(command), "preset": preset, "seed": seed,
        "date": datetime.now(UTC).date().isoformat(), "revision": revision(),
        "versions": versions, "backend": os.environ.get("KERAS_BACKEND", "tensorflow"),
        **environment(), **({} if where is None else {"device": where}),
        "cores": os.cpu_count(), "threads": threads or os.cpu_count(),
        "machine": f"{platform.system()} {platform.machine()}",
    }  # fmt: skip


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=_ROOT, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()
