"""Imports the Keras backend without the lines that TensorFlow writes to the terminal at its start.

They come from native code, some of them before TensorFlow reads its own log level, so they are
taken out of the process's standard error while the backend is imported. `TF_CPP_MIN_LOG_LEVEL=0`
or 1 asks for them.
"""

import os
import re
import runpy
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_THREADS = (
    "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
)  # fmt: skip
#: What TensorFlow's loggers write: "I0000 00:00:17.. 42 port.cc:153] ...", and its second lines.
_NATIVE = re.compile(
    rb"[IWE]\d{4} [\d:.]+ +\d+ [\w.]+:\d+\] "
    rb"|\d{4}-\d\d-\d\d [\d:.]+: [IWE] "
    rb"|WARNING: All log messages before absl::InitializeLog"
    rb"|To enable the following instructions:"
)


def import_backend(threads: int | None = None) -> None:
    """Imports Keras and its backend and makes the backend look for its devices, quietly; `threads`,
    None for all cores, are read by TensorFlow, XLA and the BLAS libraries once, when they are
    imported."""
    if threads is not None:
        for name in _THREADS:
            os.environ[name] = str(threads)
    if not os.environ.get("TF_CPP_MIN_LOG_LEVEL"):
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    with without_native_lines():
        import keras

        if keras.config.backend() == "tensorflow":
            import tensorflow as tf

            tf.config.list_physical_devices()


@contextmanager
def without_native_lines() -> Iterator[None]:
    """Takes TensorFlow's own lines out of standard error; anything else is written at the end.

    Everything is written where the block raises, or where TensorFlow's messages are asked for.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") in ("0", "1"):
        yield
        return
    sys.stderr.flush()
    terminal = os.dup(2)
    failed = True
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
            failed = False
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
            kept.seek(0)
            for line in kept.read().splitlines(keepends=True):
                if failed or not _NATIVE.match(line):
                    os.write(2, line)


def main(arguments: list[str]) -> None:
    """What `./run shell` starts its prompt with, or a program with its arguments."""
    import_backend()
    if arguments:
        sys.argv = arguments
        sys.path.insert(0, os.path.dirname(os.path.abspath(arguments[0])))
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
