"""Runs items: settings in, JSON with provenance out, then figures and reports from the JSON."""

import importlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from reproduce import figures, provenance, store
from reproduce import report as reports
from reproduce.catalogue import ITEMS, Item

_CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class Options:
    """What the command line says of items made of many training runs.

    Attributes:
        seeds: number of seeds instead of the preset's; None for the preset's.
        jobs: worker processes.
        dask: address of a Dask scheduler; None for this machine.
        data_dir: folder with the data sets' files; None for the usual places.
        keep: whether training runs that the item's present result holds, of the same cells, are
            kept in the new one, each with the revision that made it.
    """

    seeds: int | None = None
    jobs: int = 1
    dask: str | None = None
    data_dir: str | None = None
    keep: bool = False


_PLAIN = Options()


@dataclass(frozen=True)
class Context:
    """What an item's `run` is given.

    Attributes:
        settings: the preset's settings, from the item's PRESETS.
        seed: of every random number.
        solves: folder for the progress of long solves; an interrupted command goes on from there.
        preset: name of the preset.
        results: folder of this preset's JSON files.
        options: of the command line, for items made of many training runs.
    """

    settings: dict[str, Any]
    seed: int
    solves: Path
    preset: str = "smoke"
    results: Path = Path("results")
    options: Options = Options()

    @property
    def present(self) -> Path:
        """The item's result that is there before this run, if any."""
        return self.results / f"{self.solves.name}.json"

    def kept(self) -> dict[str, Any] | None:
        """The present result where the command line asks to keep what it holds; None otherwise."""
        return store.read(self.present) if self.options.keep and self.present.exists() else None

    @property
    def jobs(self) -> int:
        """Worker processes; 1 for this one alone."""
        return self.options.jobs

    @property
    def dask(self) -> str | None:
        """Address of a Dask scheduler; None for this machine."""
        return self.options.dask


def has_preset(item: Item, preset: str) -> bool:
    """Whether an item has a preset: some presets are of a few items only."""
    return preset in importlib.import_module(item.module).PRESETS


def run(
    items, preset: str, seed: int, out: str, threads: int | None, options: Options = _PLAIN
) -> None:
    """Runs items at a preset and writes `out/preset/NAME.json` and their figures.

    Raises:
        ValueError: for a preset that an item does not have, an unwritable folder, or `--seeds`
            for a single item that has one seed.
    """
    modules = [(item, importlib.import_module(item.module)) for item in items]
    if not modules:
        raise ValueError(f"`--preset` must be a preset of some item. Received: {preset!r}")
    for item, module in modules:
        if preset not in module.PRESETS:
            raise ValueError(
                f"`--preset` must be one of {', '.join(module.PRESETS)} for {item.name}. "
                f"Received: {preset!r}"
            )
        if options.seeds is not None and len(items) == 1 and "seeds" not in module.PRESETS[preset]:
            raise ValueError(
                f"`--seeds` is for items that repeat runs; {item.name} takes `--seed`. "
                f"Received: --seeds {options.seeds}"
            )
    folder = store.open_folder(Path(out) / preset)
    console = Console()
    written: list[Path] = []
    for item, module in modules:
        console.rule(f"{item.name} ({preset})")
        document = _run_one(item, module, preset, seed, folder, threads, options)
        path = folder / f"{item.name}.json"
        store.write(path, document)
        shutil.rmtree(folder / _CHECKPOINTS / item.name, ignore_errors=True)
        written += [path, *_draw(module, document, path)]
        for table in module.summary(document):
            console.print(_rich(table))
    written += reports.write(out)
    console.print("Written:")
    for path in written:
        console.print(f"  {path}", highlight=False, soft_wrap=True)


def report(out: str) -> None:
    """Draws every figure and report anew from the JSON in `out`.

    Raises:
        ValueError: where there is none.
    """
    written: list[Path] = []
    for item in ITEMS:
        for path in sorted(Path(out).glob(f"*/{item.name}.json")):
            module = importlib.import_module(item.module)
            written += _draw(module, store.read(path), path)
    if not written:
        raise ValueError(f"`--out` must hold results. Received: {out}, which holds none")
    for path in [*written, *reports.write(out)]:
        print(path)


def _run_one(
    item: Item, module: ModuleType, preset, seed, folder, threads, options
) -> dict[str, Any]:
    command = ["./run", "reproduce", item.name, "--preset", preset, "--seed", str(seed)]
    settings = dict(module.PRESETS[preset])
    if "seeds" in settings and options.seeds is not None:
        settings["seeds"] = options.seeds
        command += ["--seeds", str(options.seeds)]
    if threads is not None:
        command += ["--threads", str(threads)]
    if options.jobs > 1:
        command += ["--jobs", str(options.jobs)]
    if options.dask is not None:
        command += ["--dask", "ADDRESS"]
    if options.data_dir is not None:
        command += ["--data-dir", "FOLDER"]
    if options.keep:
        command += ["--keep"]
    begun, processor = time.monotonic(), _processor_seconds()
    solves = store.open_folder(folder / _CHECKPOINTS / item.name)
    context = Context(settings, seed, solves, preset, folder, options)
    results = module.run(context)
    seconds, cpu_seconds = time.monotonic() - begun, _processor_seconds() - processor
    where = None if options.dask is None else "workers of a cluster"
    return {
        "item": item.name,
        "title": item.title,
        "provenance": {
            **provenance.describe(command, preset, seed, threads, where),
            "seconds": seconds,
            "cpu_seconds": cpu_seconds,
        },
        "settings": settings,
        "results": results,
    }


def _processor_seconds() -> float:
    """Of this process and of its finished children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _draw(module: ModuleType, document: dict[str, Any], path: Path) -> list[Path]:
    with figures.style():
        return module.draw(store.plain(document), path.with_suffix(""))


def _rich(table: "reports.Table") -> Table:
    drawn = Table(title=table.title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(table.columns):
        drawn.add_column(name, justify="left" if number == 0 else "right", overflow="fold")
    for row in table.rows:
        drawn.add_row(*row)
    return drawn
