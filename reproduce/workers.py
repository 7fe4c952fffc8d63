"""Worker processes of a command: tasks beside one another, ended with the command."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from typing import Any

from reproduce import startup

_POLL_SECONDS = 0.5
_MEMORY = 2 * 2**30  # bytes that a solve may need


def count(tasks: int, options: Any) -> int:
    """Processes for so many solves: `--jobs`, one where there are `--threads` alone or a GPU, and
    else as many as there are cores, and memory."""
    from fictitious_play import devices

    if options.jobs is not None:
        return min(options.jobs, tasks)
    if options.threads is not None or devices.has_gpu():
        return 1
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(tasks, os.cpu_count() or 1, memory // _MEMORY))


def threads(jobs: int, options: Any) -> int:
    """Threads of each of so many processes: `--threads`, or their share of the cores."""
    return options.threads or max(1, (os.cpu_count() or 1) // jobs)


def finished(
    jobs: int, options: Any, work: Callable, tasks: Sequence[tuple], poll: Any = lambda: None
) -> Iterator[tuple[tuple, futures.Future]]:
    """Calls `work` with the arguments of every task in `jobs` processes and yields every task with
    its future, as they finish; calls `poll` twice per second."""
    spawn = multiprocessing.get_context("spawn")
    pool = futures.ProcessPoolExecutor(jobs, spawn, _prepare, (threads(jobs, options),))
    try:
        pending = {pool.submit(work, *task): task for task in tasks}
        while pending:
            done, _ = futures.wait(pending, _POLL_SECONDS, futures.FIRST_COMPLETED)
            poll()
            yield from ((pending.pop(future), future) for future in done)
        pool.shutdown()
    except BaseException:
        for child in multiprocessing.active_children():
            child.terminate()
        pool.shutdown(wait=False, cancel_futures=True)
        raise


def _prepare(own: int) -> None:
    """A worker's threads, set before its backend is imported, quietly; lines of progress instead of
    bars, of which a terminal has place for one; and a quiet end at Ctrl-C."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    os.environ["TTY_COMPATIBLE"] = "0"
    startup.import_backend(own)
