"""Runs items: settings in, JSON with provenance out, then figures and reports from the JSON."""

import importlib
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
class Context:
    """What an item's `run` is given.

    Attributes:
        settings: the preset's settings, from the item's PRESETS.
        seed: of every random number.
        solves: folder for the progress of long solves; an interrupted command goes on from there.
    """

    settings: dict[str, Any]
    seed: int
    solves: Path


def run(items, preset: str, seed: int, out: str, threads: int | None) -> None:
    """Runs items at a preset and writes `out/preset/NAME.json` and their figures.

    Raises:
        ValueError: for a preset that an item does not have or an unwritable folder.
    """
    modules = [(item, importlib.import_module(item.module)) for item in items]
    for item, module in modules:
        if preset not in module.PRESETS:
            raise ValueError(
                f"`--preset` must be one of {', '.join(module.PRESETS)} for {item.name}. "
                f"Received: {preset!r}"
            )
    folder = store.open_folder(Path(out) / preset)
    console = Console()
    written: list[Path] = []
    for item, module in modules:
        console.rule(f"{item.name} ({preset})")
        document = _run_one(item, module, preset, seed, out, folder, threads)
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


def _run_one(item: Item, module: ModuleType, preset, seed, out, folder, threads) -> dict[str, Any]:
    command = ["./run", "reproduce", item.name, "--preset", preset, "--seed", str(seed)]
    if threads is not None:
        command += ["--threads", str(threads)]
    begun, processor = time.monotonic(), time.process_time()
    settings = dict(module.PRESETS[preset])
    context = Context(settings, seed, store.open_folder(folder / _CHECKPOINTS / item.name))
    results = module.run(context)
    return {
        "item": item.name,
        "title": item.title,
        "provenance": {
            **provenance.describe(command, preset, seed, threads),
            "seconds": time.monotonic() - begun,
            "cpu_seconds": time.process_time() - processor,
        },
        "settings": settings,
        "results": results,
    }


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
