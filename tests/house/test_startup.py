"""TensorFlow's lines at its start stay off the terminal, unless they are asked for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reproduce import startup

_ROOT = Path(__file__).resolve().parents[2]


def begin(program="", **variables):
    given = {"TF_CPP_MIN_LOG_LEVEL": "", "TF_ENABLE_ONEDNN_OPTS": "1", **variables}
    # Keras imports scikit-learn and matplotlib where they are installed, which takes two seconds.
    code = "import sys\nsys.modules.update(sklearn=None, matplotlib=None)\n"
    code += "from reproduce import startup\nstartup.import_backend(2)\n" + program
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=_ROOT, env={**os.environ, **given}, capture_output=True, text=True,
    )  # fmt: skip


def test_nothing_is_written_at_the_start():
    compiled = (
        "import os, tensorflow as tf\n"
        "tf.function(lambda x: x @ x, jit_compile=True)(tf.eye(2))\n"
        "print(os.environ['OMP_NUM_THREADS'])\n"
    )
    done = begin(compiled)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "2\n")


@pytest.mark.release
def test_tensorflows_lines_can_be_asked_for():
    """In the default run, such lines of anybody: below."""
    assert "oneDNN custom operations are on" in begin(TF_CPP_MIN_LOG_LEVEL="0").stderr


def test_a_program_of_ones_own_is_run_as_python_runs_it(tmp_path, monkeypatch, capsys):
    (tmp_path / "beside.py").write_text("value = 3")
    mine = tmp_path / "mine.py"
    mine.write_text("import sys, beside\nprint(__name__, sys.argv[1:], beside.value)\n")
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setattr(sys, "path", list(sys.path))
    startup.main([str(mine), "4"])
    assert capsys.readouterr().out == "__main__ ['4'] 3\n"


def test_other_lines_are_kept_and_an_error_or_a_wish_shows_everything(capfd, monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "2")
    native = b"I0000 00:00:1795837322.304772    5511 port.cc:153] oneDNN custom operations\n"
    with startup.without_native_lines():
        os.write(2, native + b"a warning of somebody else's\n")
    assert capfd.readouterr().err == "a warning of somebody else's\n"

    def fails():
        with startup.without_native_lines():
            os.write(2, native)
            raise ImportError

    with pytest.raises(ImportError):
        fails()
    assert capfd.readouterr().err == native.decode()
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    with startup.without_native_lines():
        os.write(2, native)
    assert capfd.readouterr().err == native.decode()
