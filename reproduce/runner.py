"""Runs items: settings in, JSON with provenance out, then figures and reports from the JSON."""

import os
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rich.console import Console
from rich.markdown import Markdown

from reproduce import pages, provenance, store
from reproduce.catalogue import ITEMS, Item
from reproduce.dgnopt import problems

_CHECKPOINTS = "checkpoints"
#: The results of the repository, which only `publish` writes.
COMMITTED = Path(__file__).resolve().parent.parent / "results"
_PLAIN = SimpleNamespace(jobs=1, threads=None, dask=None, data_dir=None, keep=False, only=())


@dataclass(frozen=True)
class Context:
    """What an item's `run` is given: the preset's settings; the seed of every random number;
    folders for the progress of long solves, from where an interrupted command goes on, of this
    preset's JSON files, and of finished training runs, `cells`, with the seconds of those that were
    `reused`; the command line's options; the item's name; and `ran`, to which an item adds what
    differs in its worker processes from this process's provenance."""

    settings: dict[str, Any]
    seed: int
    solves: Path
    preset: str = "smoke"
    results: Path = Path("results")
    options: Any = field(default_factory=lambda: _PLAIN)
    cells: Path = Path("cells")
    reused: Counter = field(default_factory=Counter)
    item: str = ""
    ran: dict[str, int] = field(default_factory=dict)

    def problems(self, kinds: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
        """The problems of some kinds at this preset, on the data sets that are here and wanted."""
        return problems.problems(self.preset, kinds, self.options.data_dir, self.options.only)


def run(items: list[Item], given: Any) -> None:
    """Runs items at a preset, as the command line has it, and writes `out/preset/NAME.json` and
    their figures.

    A ValueError for a preset that an item does not have, an unwritable folder or that of the
    committed results, and options that a single item does not have."""
    if not items:
        raise ValueError(f"`--preset` must be a preset of some item. Received: {given.preset!r}")
    _check(items[0], given)
    _refuse_committed(given.out)
    folder = store.open_folder(Path(given.out) / given.preset)
    console = Console()
    if any(item.data for item in items):
        for sentence in problems.absent(given.preset, given.data_dir, given.only):
            console.print(sentence, highlight=False)
    written: list[Path] = []
    for item in items:
        console.rule(f"{item.label} ({given.preset})")
        document = _run_one(item, folder, given)
        path = folder / f"{item.name}.json"
        store.write(path, document)
        shutil.rmtree(folder / _CHECKPOINTS / item.name, ignore_errors=True)
        written += [path, *pages.draw(item, document, path.with_suffix(""))]
        for table in item.code().summary(document):
            console.print(Markdown(table.markdown()))
    written += pages.write(pages.Place.of_runs(Path(given.out)))
    console.print("Written:")
    for path in written:
        console.print(f"  {path}", highlight=False, soft_wrap=True)


def _check(item: Item, given: Any) -> None:
    """Refuses what a single item does not have."""
    if given.item == "all":
        return
    if given.preset not in item.presets:
        raise ValueError(
            f"`--preset` must be one of {', '.join(item.presets)} for {item.name}. "
            f"Received: {given.preset!r}"
        )
    if given.seeds is not None and "seeds" not in item.presets[given.preset]:
        raise ValueError(
            f"`--seeds` is for items that repeat runs; {item.name} takes `--seed`. "
            f"Received: --seeds {given.seeds}"
        )
    if given.only and not item.data:
        raise ValueError(
            f"`--only` is for items that train on data sets; {item.label} does not. "
            f"Received: --only {','.join(given.only)}"
        )


def report(out: str) -> None:
    """Draws every figure and page anew from the JSON in `out`; a ValueError where there is none, or
    for the committed results."""
    _refuse_committed(out)
    place = pages.Place.of_runs(Path(out))
    if not any(place.found(item) for item in ITEMS):
        raise ValueError(
            f"`--out` must hold results: run an item first, or, to make the committed figures and "
            f"RESULTS.md anew, add `--publish`. Received: {out}, which holds none"
        )
    for path in [*place.draw(), *pages.write(place)]:
        print(path)


def publish(out: str, root: Path = COMMITTED.parent) -> None:
    """Takes the results of `out`, but those of the preset smoke, which are none, into those of a
    repository and makes its pages anew: `results/`, `docs/results/`, RESULTS.md and README.md."""
    for path in chain.from_iterable(map(pages.Place.of_runs(Path(out)).found, ITEMS)):
        if (preset := path.parent.name) != "smoke":
            store.open_folder(root / "results" / preset)
            shutil.copy(path, root / "results" / preset / path.name)
    for path in pages.publish(root):
        print(path)


def _refuse_committed(out: str) -> None:
    if Path(out).resolve() == COMMITTED:
        raise ValueError(
            "`--out` must be another folder than the committed results, which "
            "`./run reproduce report --publish` alone changes: leave `--out` out, and publish. "
            f"Received: {out}"
        )


def _run_one(item: Item, folder: Path, given: Any) -> dict[str, Any]:
    settings = dict(item.presets[given.preset])
    seeds = given.seeds if "seeds" in settings else None
    settings |= {} if seeds is None else {"seeds": seeds}
    said = {
        "--preset": given.preset, "--seed": given.seed, "--seeds": seeds,
        "--threads": given.threads, "--jobs": given.jobs,
        "--dask": given.dask and "ADDRESS", "--data-dir": given.data_dir and "FOLDER",
        "--keep": "" if given.keep else None, "--only": ",".join(given.only) or None,
    }  # fmt: skip
    told = ([name, *([str(value)] if value != "" else [])]
            for name, value in said.items() if value is not None)  # fmt: skip
    command = ["./run", "reproduce", item.label, *chain(*told)]
    solves = store.open_folder(folder / _CHECKPOINTS / item.name)
    cells = store.open_folder(folder.parent / "cells")
    context = Context(settings, given.seed, solves, given.preset, folder, given, cells,
                      item=item.name)  # fmt: skip
    begun = _clocks()
    results = item.code().run(context)
    # A result costs what its runs cost, whichever command made them.
    cost = {clock: now - begun[clock] + context.reused[clock] for clock, now in _clocks().items()}
    where = None if given.dask is None else "workers of a cluster"
    made = provenance.describe(command, given.preset, given.seed, given.threads, where)
    return {"item": item.name, "title": item.title, "provenance": {**made, **context.ran, **cost},
            "settings": settings, "results": results}  # fmt: skip


def _clocks() -> dict[str, float]:
    """Seconds, and processor seconds of this process and of its finished children."""
    times = os.times()
    busy = times.user + times.system + times.children_user + times.children_system
    return {"seconds": time.monotonic(), "cpu_seconds": busy}
