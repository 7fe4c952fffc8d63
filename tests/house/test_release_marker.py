"""Tests marked `release` are left out, counted in the closing line, and run when asked for."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_TESTS = """
import pytest

def test_always():
    pass

@pytest.mark.release
@pytest.mark.parametrize("case", range(3))
def test_another_case(case):
    pass
"""


@pytest.mark.parametrize(
    ("arguments", "closing"),
    [
        ([], "1 passed, 3 left for ./run test --all in"),
        (["-n", "2"], "1 passed, 3 left for ./run test --all in"),
        (["-k", "another and 2"], "1 left for ./run test --all in"),
        (["--all"], "4 passed in"),
        (["test_it.py::test_another_case"], "3 passed in"),
    ],
)
def test_what_is_left_is_said(arguments, closing, tmp_path):
    shutil.copy(_ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    (tmp_path / "test_it.py").write_text(_TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(_ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert closing in done.stdout.splitlines()[-1], done.stdout
