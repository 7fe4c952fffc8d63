"""Runs many cells: in this process, in several, or on a Dask cluster; finished ones are kept.

Every finished cell is a JSON file, whole or absent, named by the content of the cell, so that an
interrupted command goes on with the cells that are missing, and items share the cells they have in
common. It says what code made it: cells of other code are trained again, unless the command line
asks to keep them. A cell that fails is recorded with its
error beside the others and tried again when the command is started again.
"""

import hashlib
import itertools
import json
import multiprocessing
import os
import signal
from collections.abc import Iterable, Iterator
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

from rich import progress

from reproduce import provenance, startup, store
from reproduce.training import cell as cells_of

#: Cells of a group in one task, at most: what a killed worker can lose, and what balances the load.
_TASK = 8
_POLL_SECONDS = 0.5


def run(cells: list[dict[str, Any]], context: Any, title: str = "cells") -> list[dict[str, Any]]:
    """Runs cells and returns a result each, in the order given.

    Args:
        cells: made by `reproduce.training.cell.make`.
        context: the item's `Context`: `cells`, the folder of finished cells, `options`, and
            `reused`, to which the seconds of cells that were there are added.
        title: of the progress bar.

    Raises:
        ValueError: where the Dask cluster cannot be reached.
    """
    folder = context.cells
    results: dict[str, dict[str, Any]] = {}
    names = [name_of(cell) for cell in cells]
    for name, cell in zip(names, cells, strict=True):
        if name not in results and (found := _finished(folder, name)) is not None:
            if context.options.keep or found["made"]["code"] == code_of(cell):
                results[name] = found
                for key in context.reused:
                    context.reused[key] += found[key]
            else:
                (folder / f"{name}.json").unlink()
    waiting = {n: c for n, c in zip(names, cells, strict=True) if n not in results}
    if waiting:
        options = context.options
        tasks = _tasks(waiting, options.jobs if options.dask is None else 8)
        with _bar() as bar:
            total = sum(cell["steps"] for cell in cells)
            kept = sum(c["steps"] for n, c in zip(names, cells, strict=True) if n in results)
            line = bar.add_task(title, total=total, completed=kept)
            runner = _runner(context)
            for name, result in runner(tasks, folder, partial(bar.update, line)):
                results[name] = result
                if "error" in result:
                    bar.console.print(f"failed: {_short(waiting[name])}: {result['error']}")
            bar.update(line, completed=total)
    return [results[name] for name in names]


def _runner(context: Any) -> Any:
    if context.options.dask is not None:
        from reproduce.training.cluster import on_cluster

        return partial(on_cluster, context.options.dask)
    if context.options.jobs > 1:
        return partial(_in_processes, context.options.jobs)
    return _here


def _content(cell: dict[str, Any]) -> dict[str, Any]:
    """What a cell is, wherever its data lie."""
    return store.plain({key: value for key, value in cell.items() if key != "data_dir"})


def name_of(cell: dict[str, Any]) -> str:
    """The name of a cell's file, from its content."""
    plain = json.dumps(_content(cell), sort_keys=True)
    return hashlib.sha256(plain.encode()).hexdigest()[:20]


def code_of(cell: dict[str, Any]) -> str:
    """The fingerprint of the code that would train a cell now."""
    return provenance.code(*sources(cell["method"]))


def sources(method: dict[str, Any]) -> tuple[str, ...]:
    """What a method is made of, for `provenance.code`."""
    if method["name"] == "EMSA":
        return "dgn_tf", "reproduce/baselines"
    return ("dgn_tf",) if is_game(method) else ()


def is_game(method: dict[str, Any]) -> bool:
    """Whether DGNOpt trains it, Keras's own optimizers and EMSA apart."""
    return "structure" in method or method["name"] in ("K-FAC", "EKFAC")


def _finished(folder: Path, name: str) -> dict[str, Any] | None:
    path = folder / f"{name}.json"
    return store.read(path)["result"] if path.exists() else None


def _short(cell: dict[str, Any]) -> str:
    return f"{cell['method']} on {cell['data']}, {cell['network']}, seed {cell['seed']}"


def _tasks(waiting: dict[str, dict], workers: int) -> list[list[dict[str, Any]]]:
    """Cells that share a compiled model, in tasks small enough to keep all workers busy."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for cell in waiting.values():
        groups.setdefault(cells_of.group_key(cell), []).append(cell)
    size = _TASK if len(groups) >= workers else max(1, -(-len(waiting) // workers))
    size = min(size, _TASK)
    tasks = [group[i : i + size] for group in groups.values() for i in range(0, len(group), size)]
    return sorted(tasks, key=lambda task: -sum(cell["steps"] for cell in task))


def keep(folder: Path, cell: dict[str, Any], result: dict[str, Any]) -> None:
    """Writes a finished cell; a failed one is not kept."""
    if "error" not in result:
        content = {"cell": _content(cell), "result": result}
        store.write(folder / f"{name_of(cell)}.json", content)


def _here(tasks: list, folder: Path, update: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for task in tasks:
        for cell, result in zip(task, cells_of.run(task, _advance(update)), strict=True):
            keep(folder, cell, result)
            yield name_of(cell), store.plain(result)


def _advance(update: Any) -> Any:
    return lambda steps: update(advance=steps)


def run_task(task: list[dict[str, Any]], folder: str | None) -> list[dict[str, Any]]:
    """What a worker does: a task's cells, each written as soon as it is finished."""
    results = []
    for cell, result in zip(task, cells_of.run(task), strict=True):
        if folder is not None:
            keep(Path(folder), cell, result)
        results.append(store.plain(result))
    return results


def _in_processes(
    jobs: int, tasks: list, folder: Path, update: Any
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Tasks in worker processes. A task whose worker dies is tried alone once more."""
    orphans: list = []
    yield from _pool(jobs, tasks, folder, update, orphans)
    for task in orphans:
        left = [cell for cell in task if not (folder / f"{name_of(cell)}.json").exists()]
        lost: list = []
        yield from _kept(task, folder)
        if left:
            yield from _pool(1, [left], folder, update, lost)
        for cell in itertools.chain.from_iterable(lost):
            yield name_of(cell), {"error": "the worker process died twice (out of memory?)"}


def _kept(task: Iterable[dict], folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for cell in task:
        path = folder / f"{name_of(cell)}.json"
        if path.exists():
            yield name_of(cell), store.read(path)["result"]


def _pool(
    workers: int, tasks: list, folder: Path, update: Any, orphans: list
) -> Iterator[tuple[str, dict[str, Any]]]:
    threads = max(1, (os.cpu_count() or 1) // workers)
    pool = futures.ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), _prepare, (threads,)
    )
    counted: set[str] = set()
    all_cells = {name_of(cell): cell for task in tasks for cell in task}
    try:
        pending = {pool.submit(run_task, task, str(folder)): task for task in tasks}
        while pending:
            done, _ = futures.wait(pending, _POLL_SECONDS, futures.FIRST_COMPLETED)
            for name in all_cells.keys() - counted:
                if (folder / f"{name}.json").exists():
                    counted.add(name)
                    update(advance=all_cells[name]["steps"])
            for future in done:
                task = pending.pop(future)
                try:
                    results = future.result()
                except BrokenProcessPool:
                    orphans.append(task)
                    continue
                for cell, result in zip(task, results, strict=True):
                    yield name_of(cell), result
        pool.shutdown()
    except BaseException:
        for child in multiprocessing.active_children():
            child.terminate()
        pool.shutdown(wait=False, cancel_futures=True)
        raise


def _prepare(threads: int) -> None:
    """A worker's threads, set before TensorFlow is imported, quietly, and a quiet end at Ctrl-C."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    startup.import_backend(threads)


def _bar() -> progress.Progress:
    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TextColumn("{task.completed:.0f} of {task.total:.0f} steps"),
        progress.TimeElapsedColumn(),
        progress.TextColumn("left"),
        progress.TimeRemainingColumn(elapsed_when_finished=True, compact=True),
    )
