"""`DEVICE=gpu`: what it compares by, and what it says where there is no GPU."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.tolerance import with_tf32

_ROOT = Path(__file__).resolve().parents[2]


def test_float32_is_compared_as_tf32_allows_and_float64_as_it_was():
    compare = with_tf32(np.testing.assert_allclose)
    values = np.array([1.0, 1e-6, 100.0])
    compare(values.astype("float32") * np.float32(1.001), values, rtol=1e-6)
    compare(values.astype("float32") + np.float32(0.1), values)  # beside 100
    for wrong in ((values * 1.001).astype("float64"), values.astype("float32") * np.float32(1.01)):
        with pytest.raises(AssertionError):
            compare(wrong, values, rtol=1e-6)


#: A TensorFlow that is imported at once and has no GPU.
_STAND_IN = """
class config:
    def list_physical_devices(kind):
        return []
"""


@pytest.mark.parametrize(
    ("device", "code", "sentence", "stand_in"),
    [
        ("gpu", 0, "TensorFlow finds no GPU here; no test was run", True),
        pytest.param(
            "gpu", 0, "TensorFlow finds no GPU here; no test was run", False,
            marks=pytest.mark.release,
        ),
        ("tpu", 4, "must be cpu or gpu", False),
    ],
)  # fmt: skip
def test_a_run_without_the_device_says_so(device, code, sentence, stand_in, tmp_path):
    environment = {**os.environ, "DEVICE": device, "CUDA_VISIBLE_DEVICES": "-1"}
    if stand_in:
        (tmp_path / "tensorflow.py").write_text(_STAND_IN)
        environment["PYTHONPATH"] = str(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/house/test_gpu_mode.py"],
        cwd=_ROOT, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == code
    assert sentence in done.stdout + done.stderr
