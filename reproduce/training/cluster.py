"""Cells on an existing Dask cluster (an optional extra: requirements-dask.txt)."""

from pathlib import Path
from typing import Any

from reproduce.training import cells

#: Seconds to wait for the scheduler's answer.
PATIENCE = 10


def on_cluster(address: str, tasks: list, folder: Path, update: Any) -> cells.Pairs:
    """Sends tasks to the cluster and keeps what comes back in this machine's folder.

    The workers need this repository on their path and the data where `data_dir` says.

    Args:
        address: of the scheduler, such as "tcp://host:8786".
        tasks: lists of cells that share a compiled model.
        folder: of finished cells.
        update: moves the progress bar.

    Raises:
        ValueError: where Dask is not installed or there is no cluster at the address.
    """
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
        pending = {client.submit(cells.run_task, task, None, pure=False): task for task in tasks}
        for future in as_completed(pending):
            task = pending[future]
            if future.status == "finished":
                results = future.result()
            else:
                text = f"{type(future.exception()).__name__}: {future.exception()}"
                results = [(cells.name_of(cell), {"error": text}) for cell in task]
            for cell, (name, result) in zip(task, results, strict=True):
                cells.keep(folder, cell, result)
                update(advance=cell["steps"])
                yield name, result
