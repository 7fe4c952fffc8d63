"""What a training step costs: every step in a process of its own, the processes taking turns.

A process holds one compiled step. Turns of a few steps go round all of them, so that whatever else
the machine does meets all alike, and ratios are taken within a round. A process per step makes its
peak memory its own, and costs no second compilation.
"""

import importlib
import multiprocessing
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np


def stepper(model: Any, x: Any, y: Any, eager: bool = False) -> Callable[[], float]:
    """A function that takes one training step of a compiled Keras model on one batch in memory and
    returns its loss; as a graph, where neither `eager` nor the model says otherwise."""
    import tensorflow as tf

    batch = tf.convert_to_tensor(x), tf.convert_to_tensor(y)

    def step() -> dict[str, Any]:
        return model.train_step(batch)

    taken = step if eager or model.run_eagerly else tf.function(step, autograph=False)
    return lambda: float(taken()["loss"])


def peak_mib() -> float:
    """Peak resident memory of this process so far, in MiB.

    Where Linux says it by `VmHWM`, that is read: `getrusage` hands a process what the one that
    started it had in use.
    """
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    if found:
        return int(found[1]) / 1024
    import resource

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / (2**20 if sys.platform == "darwin" else 2**10)


def device_peak_mib() -> float | None:
    """Peak memory in use on the first GPU since the last call, in MiB; None without a GPU."""
    tf = sys.modules.get("tensorflow")
    if tf is None or not tf.config.list_logical_devices("GPU"):
        return None
    peak = tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20
    tf.config.experimental.reset_memory_stats("GPU:0")
    return float(peak)


def interleaved(
    makes: dict[str, tuple[Callable[..., Callable], tuple]],
    rounds: int,
    length: int = 10,
    tick: Callable[[], Any] = lambda: None,
    imports: Sequence[str] = ("tensorflow", "keras", "dgn_tf"),
) -> dict[str, dict[str, Any]]:
    """Builds every step in a process of its own, then runs them in turn.

    Args:
        makes: name → a function that can be pickled, and its arguments; in the process it returns
            a step, as `stepper` does.
        rounds: how often each gets its turn.
        length: steps of a turn: a multiple of the periods of whatever is not done in every step.
        tick: called after every building and every round.
        imports: modules that every process imports before anything else.

    Returns:
        name → `wall` and `cpu`, arrays `(rounds,)` of seconds of a mean step; `first_call_s`,
        seconds of building and of the first step; `imports_mib` and `peak_mib`, peak resident
        memory after the imports and at the end; `device_mib`, the peak on a GPU after the first
        step, None without one. A step that cannot be built has `error` alone.

    Raises:
        RuntimeError: where a step fails between two turns.
    """
    names, cores = list(makes), os.cpu_count() or 1
    running: dict[str, Callable[..., Any]] = {}
    results: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:
        for group in (names[i : i + cores] for i in range(0, len(names), cores)):
            for name in group:
                running[name] = stack.enter_context(_process(imports, *makes[name]))
            for name in group:
                results[name] = running[name]()
                tick()
        turns: dict[str, list] = {name: [] for name in names if "error" not in results[name]}
        for name in turns:
            running[name](length)
        for _ in range(rounds):
            for name, taken in turns.items():
                taken.append(running[name](length))
            tick()
        for name, taken in turns.items():
            wall, cpu = np.asarray(taken).T
            peak, device = running[name](0)
            results[name].update(wall=wall, cpu=cpu, peak_mib=peak, device_mib=device)
    return results


def quartiles(values: Sequence[float] | np.ndarray) -> dict[str, float]:
    """`median`, `low` and `high`: the quartiles of some values."""
    low, median, high = np.quantile(np.asarray(values, float), (0.25, 0.5, 0.75))
    return {"median": float(median), "low": float(low), "high": float(high)}


@contextmanager
def _process(imports: Sequence[str], *given: Any) -> Iterator[Callable[..., Any]]:
    """One step in a process of its own: a function that hands it the length of a cycle, 0 to ask
    for the peak memory, and returns what it says; at first, without a length, of the building."""
    spawn = multiprocessing.get_context("spawn")
    pipe, other = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(other, imports, *given), daemon=True)
    process.start()
    other.close()

    def ask(length: int | None = None) -> Any:
        if length is not None:
            pipe.send(length)
        try:
            answer = pipe.recv()
        except EOFError:
            answer = {"error": "the process ended (out of memory?)"}
        if length is not None and isinstance(answer, dict):
            raise RuntimeError(f"A step that had worked failed: {answer['error']}")
        return answer

    try:
        yield ask
    finally:
        process.terminate()
        process.join()


def _serve(
    pipe: Any, imports: Sequence[str], make: Callable[..., Callable], arguments: tuple
) -> None:
    """Builds a step, says what that took, and takes turns until it is asked for its memory."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    try:
        for name in imports:
            importlib.import_module(name)
        before, begun = peak_mib(), time.perf_counter()
        step = make(*arguments)
        step()
        device_peak_mib()
        pipe.send({"first_call_s": time.perf_counter() - begun, "imports_mib": before})
        while length := pipe.recv():
            begun, busy = time.perf_counter(), time.process_time()
            for _ in range(length):
                step()
            wall, cpu = time.perf_counter() - begun, time.process_time() - busy
            pipe.send((wall / length, cpu / length))
        pipe.send((peak_mib(), device_peak_mib()))
    except Exception as error:
        pipe.send({"error": f"{type(error).__name__}: {error}"[:2000]})
