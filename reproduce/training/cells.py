"""Runs many cells: in this process, in several, or on a Dask cluster; finished ones are kept.

Every finished cell is a JSON file, whole or absent, named by the content of the cell, so that an
interrupted command goes on with the cells that are missing, and items share the cells they have in
common. It says what code made it: cells of other code are trained again, unless the command line
asks to keep them. A cell that fails is recorded with its error beside the others and tried again
when the command is started again.
"""

import hashlib
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from rich import progress

from reproduce import provenance, store, workers
from reproduce.training import cell as cells_of

#: Cells of a group in one task, at most: what a killed worker can lose, and what balances the load.
_TASK = 8
#: Seconds to wait for the answer of a Dask scheduler.
PATIENCE = 10
Cell = dict[str, Any]
#: Names of cells and their results, as they are finished.
Pairs = Iterator[tuple[str, dict[str, Any]]]


def run(cells: list[Cell], context: Any, title: str = "cells") -> list[dict[str, Any]]:
    """Runs cells, made by `reproduce.training.cell.make`, and returns a result each, in the order
    given.

    The item's `Context` has `cells`, the folder of finished cells, `options`, and `reused`, to
    which the seconds of cells that were there are added. A ValueError where a Dask cluster cannot
    be reached."""
    folder, options = context.cells, context.options
    every = {name_of(cell): cell for cell in cells}
    results: dict[str, dict[str, Any]] = {}
    for name, cell in every.items():
        if (found := finished(folder, name)) is None:
            continue
        if options.keep or found["made"]["code"] == provenance.code(*sources(cell["method"])):
            results[name] = found
            context.reused.update({clock: found[clock] for clock in ("seconds", "cpu_seconds")})
        else:
            (folder / f"{name}.json").unlink()
    if waiting := [cell for name, cell in every.items() if name not in results]:
        jobs = options.jobs or 1
        tasks = _tasks(waiting, jobs if options.dask is None else 8)
        steps = progress.TextColumn("{task.completed:.0f} of {task.total:.0f} steps")
        columns = *progress.Progress.get_default_columns(), steps, progress.TimeElapsedColumn()
        with progress.Progress(*columns) as bar:
            total = sum(cell["steps"] for cell in every.values())
            kept = total - sum(cell["steps"] for cell in waiting)
            line = bar.add_task(title, total=total, completed=kept)
            near = partial(_in_processes, jobs, options) if jobs > 1 else _here
            train = partial(_on_cluster, options.dask) if options.dask is not None else near
            for name, result in train(tasks, folder, partial(bar.update, line)):
                results[name] = result
                if "error" in result:
                    cell = every[name]
                    told = f"{cell['method']} on {cell['data']}, {cell['network']}"
                    bar.console.print(f"failed: {told}, seed {cell['seed']}: {result['error']}")
            bar.update(line, completed=total)
    return [results[name_of(cell)] for cell in cells]


def _content(cell: Cell) -> Cell:
    """What a cell is, wherever its data lie."""
    return store.plain({key: value for key, value in cell.items() if key != "data_dir"})


def name_of(cell: Cell) -> str:
    """The name of a cell's file, from its content."""
    plain = json.dumps(_content(cell), sort_keys=True)
    return hashlib.sha256(plain.encode()).hexdigest()[:20]


def sources(method: dict[str, Any]) -> tuple[str, ...]:
    """What a method is made of, for `provenance.code`."""
    if method["name"] == "EMSA":
        return "dgn_tf", "reproduce/baselines"
    return ("dgn_tf",) if is_game(method) else ()


def is_game(method: dict[str, Any]) -> bool:
    """Whether DGNOpt trains it, Keras's own optimizers and EMSA apart."""
    return "structure" in method or method["name"] in ("K-FAC", "EKFAC")


def finished(folder: Path, name: str) -> dict[str, Any] | None:
    """The result of a finished cell in a folder."""
    path = folder / f"{name}.json"
    return store.read(path)["result"] if path.exists() else None


def keep(folder: Path, cell: Cell, result: dict[str, Any]) -> None:
    """Writes a finished cell; a failed one is not kept."""
    if "error" not in result:
        content = {"cell": _content(cell), "result": result}
        store.write(folder / f"{name_of(cell)}.json", content)


def _tasks(waiting: list[Cell], workers: int) -> list[list[Cell]]:
    """Cells that share a compiled model, in tasks small enough to keep all workers busy."""
    groups: dict[str, list[Cell]] = {}
    for cell in waiting:
        groups.setdefault(cells_of.group_key(cell), []).append(cell)
    size = _TASK if len(groups) >= workers else min(_TASK, -(-len(waiting) // workers))
    tasks = [group[i : i + size] for group in groups.values() for i in range(0, len(group), size)]
    return sorted(tasks, key=lambda task: -sum(cell["steps"] for cell in task))


def _trained(task: list[Cell], folder: Path | None, step: Any = None) -> Pairs:
    """Trains a task's cells, each written to the folder as soon as it is finished."""
    for cell, result in zip(task, cells_of.run(task, step), strict=True):
        if folder is not None:
            keep(folder, cell, result)
        yield name_of(cell), store.plain(result)


def run_task(task: list[Cell], folder: Path | None) -> list[tuple[str, dict[str, Any]]]:
    """What a worker does: a task's cells, in a list that can be sent."""
    return list(_trained(task, folder))


def _here(tasks: list, folder: Path, update: Any) -> Pairs:
    for task in tasks:
        yield from _trained(task, folder, lambda steps: update(advance=steps))


def _in_processes(jobs: int, options: Any, tasks: list, folder: Path, update: Any) -> Pairs:
    unseen = {name_of(cell): cell for task in tasks for cell in task}

    def poll() -> None:
        for name in [name for name in unseen if (folder / f"{name}.json").exists()]:
            update(advance=unseen.pop(name)["steps"])

    work = [(task, folder) for task in tasks]
    for _, future in workers.finished(jobs, options, run_task, work, poll):
        yield from future.result()


def _on_cluster(address: str, tasks: list, folder: Path, update: Any) -> Pairs:
    """Tasks on an existing Dask cluster, whose workers need this repository on their path and the
    data where `data_dir` says; what comes back is kept in this machine's folder."""
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise ValueError(
            "`--dask` needs the optional extra: pip install -r requirements-dask.txt. "
            f"Received: --dask {address}"
        ) from None
    try:
        client = Client(address, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"`--dask` must be the address of a running scheduler. Received: {address} ({error})"
        ) from None
    with client:
        pending = {client.submit(run_task, task, None, pure=False): task for task in tasks}
        for future in as_completed(pending):
            task = pending[future]
            if future.status == "finished":
                results = future.result()
            else:
                text = f"{type(future.exception()).__name__}: {future.exception()}"
                results = [(name_of(cell), {"error": text}) for cell in task]
            for cell, (name, result) in zip(task, results, strict=True):
                keep(folder, cell, result)
                update(advance=cell["steps"])
                yield name, result
