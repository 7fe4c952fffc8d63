"""What measurements are kept as, and `benchmarks/RESULTS.md`, made from them."""

import argparse
import importlib
import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reproduce import provenance, store

_FOLDER = Path(__file__).resolve().parent
_HEAD = """\
# Measurements

`./run bench report` makes this page from the JSON files in `benchmarks/results`, each of them made
by the command beneath its tables. Times are one machine's at one hour: read the ratios, which are
taken within a round of one run.
"""


def keep(
    name: str,
    given: argparse.Namespace,
    measured: dict[str, Any],
    threads: int | None = None,
    seed: int = 0,
) -> None:
    """Writes what a benchmark measured to its `--out`, with provenance and settings.

    Args:
        name: of the benchmark.
        given: its arguments, with `out`.
        measured: what it measured.
        threads: it was limited to; None for all.
        seed: of its random numbers.
    """
    command = ["./run", "bench", name, *sys.argv[1:]]
    described = provenance.describe(command, "benchmark", seed, threads)
    described["processor"] = _processor()
    described["onednn"] = os.environ.get("TF_ENABLE_ONEDNN_OPTS")
    settings = {key: value for key, value in vars(given).items() if key != "out"}
    store.write(given.out, {"provenance": described, "settings": settings, **measured})
    print(f"Written: {given.out}")


def over_seeds(values: Sequence[float]) -> str:
    """Mean and standard deviation, the latter where there are several."""
    spread = f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3g}{spread}"


def main() -> int:
    """Writes `benchmarks/RESULTS.md` from all files in `benchmarks/results`."""
    from benchmarks.__main__ import BENCHMARKS

    parts = [_HEAD]
    for path in sorted((_FOLDER / "results").glob("*.json")):
        document = store.read(path)
        given = document["provenance"]
        name = given["command"].split()[2]
        module, title = BENCHMARKS[name]
        parts.append(f"## {path.stem}\n\n{title[0].upper()}{title[1:]}.")
        parts += [table.markdown() for table in importlib.import_module(module).summary(document)]
        versions = ", ".join(f"{name} {value}" for name, value in given["versions"].items())
        parts.append(
            f"<sub>`{given['command']}` · {given['date']} · revision {given['revision']} · "
            f"{provenance.threads_shown(given)}"
            f"{_and(given.get('processor'))} · {versions}</sub>"
        )
    target = _FOLDER / "RESULTS.md"
    target.write_text("\n\n".join(parts) + "\n")
    print(f"Written: {target.relative_to(_FOLDER.parent)}")
    return 0


def _and(processor: str | None) -> str:
    return f" of {processor}" if processor else ""


def _processor() -> str | None:
    """The processor's name where Linux tells it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else None
