"""Settings of the whole test run: one arithmetic, quiet, without a GPU, one thread per worker.

They are environment variables because TensorFlow, JAX and the BLAS libraries read them once, when
they are imported. `DEVICE=gpu` runs the same tests on a GPU, where float32 is compared as TF32
allows; where there is none, it says so and ends.
"""

import gc
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

#: Where the tests run, "cpu" or "gpu".
DEVICE = os.environ.get("DEVICE", "cpu")
# oneDNN takes sums in another order, by processor; tests compare numbers.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if DEVICE == "gpu":
    # Several workers share the memory of one GPU.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
else:
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "Agg")
# XLA compiles with fewer optimisations, in two thirds of the time; with all of them at a release.
fewer = "" if "--all" in sys.argv else "--xla_backend_optimization_level=0"
os.environ.setdefault("XLA_FLAGS", fewer)  # which the workers inherit
for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(name, "1")

_LEFT = pytest.StashKey[int]()


def pytest_addoption(parser):
    parser.addoption(
        "--all", action="store_true", help="also the tests that are left for a release"
    )


def pytest_configure(config):
    config.addinivalue_line(
        "markers",
        "release: repeats what another test proves, for another case, and takes long; "
        "left out without --all, unless the test is named",
    )
    if DEVICE not in ("cpu", "gpu"):
        raise pytest.UsageError(f"DEVICE must be cpu or gpu. Received: DEVICE={DEVICE}")
    if DEVICE == "gpu":
        _use_gpu(hasattr(config, "workerinput"))


def _use_gpu(is_worker: bool) -> None:
    """Compares as TF32 allows; ends the run where TensorFlow finds no GPU."""
    program = "import tensorflow as tf; print(len(tf.config.list_physical_devices('GPU')))"
    if not is_worker:
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        if done.stdout.split()[-1:] in ([], ["0"]):
            pytest.exit("DEVICE=gpu: TensorFlow finds no GPU here; no test was run.", returncode=0)
    import numpy as np

    from tests import tolerance

    np.testing.assert_allclose = tolerance.with_tf32(np.testing.assert_allclose)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Collecting imports TensorFlow, whose lines stay off the terminal as in every command."""
    from reproduce import startup

    with startup.without_native_lines():
        return (yield)


@pytest.hookimpl(trylast=True)  # after -k and -m, so that only what would have run is counted
def pytest_collection_modifyitems(config, items):
    """Leaves the tests marked `release` for `--all`, and counts them."""
    named = any("::" in argument for argument in config.args)
    if config.option.all or named:
        return
    left = [item for item in items if item.get_closest_marker("release")]
    items[:] = [item for item in items if not item.get_closest_marker("release")]
    config.stash[_LEFT] = len(left)


def pytest_collection_finish():
    """What the imports made stays to the end, and no garbage collection walks through it again;
    collections are few, as every module ends with one."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def pytest_sessionfinish(session):
    """A worker of pytest-xdist tells the process that started it how many it left."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left"] = session.config.stash.get(_LEFT, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    left = getattr(node, "workeroutput", {}).get("left", 0)
    node.config.stash[_LEFT] = max(left, node.config.stash.get(_LEFT, 0))


def pytest_terminal_summary(terminalreporter, config):
    """Puts the number of tests that were left out into pytest's closing line."""
    left = config.stash.get(_LEFT, 0)
    if left:
        terminalreporter.stats["left for ./run test --all"] = [SimpleNamespace()] * left


@pytest.fixture(scope="module", autouse=True)
def _fresh_session():
    """After a module goes what Keras, TensorFlow and JAX keep of its models and its functions."""
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].backend.clear_session()
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
