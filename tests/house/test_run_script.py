"""The `run` script: help, errors, and when it installs. No network is used."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path):
    """A copy of what the script reads, with a stand-in for Python that only writes down how it was
    called; its `-m venv` copies itself into .venv."""
    for path in [_ROOT / "run", _ROOT / "constraints.txt", *_ROOT.glob("requirements*.txt")]:
        shutil.copy(path, tmp_path)
    python = tmp_path / "fake-python"
    python.write_text(
        f"""#!/bin/sh
printf '%s\\n' "$*" >>"{tmp_path}/calls"
case "$*" in
"-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
*ensurepip*) exit ${{NO_VENV:-0}} ;;
*version_info*) exit ${{OLD:-0}} ;;
*"pip install"*) exit ${{NO_NETWORK:-0}} ;;
*mypy*) echo types; exit ${{BAD_TYPES:-0}} ;;
*pytest*) echo tests; exit ${{RED:-0}} ;;
-V) echo Python 3.9.1 ;;
esac
"""
    )
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return tmp_path


def start(checkout, *arguments, **variables):
    environment = {**os.environ, "PYTHON": str(checkout / "fake-python"), **variables}
    return subprocess.run(
        ["./run", *arguments], cwd=checkout, env=environment, capture_output=True, text=True
    )


def calls(checkout):
    path = checkout / "calls"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def test_the_first_start_installs_and_the_second_does_not(checkout):
    first = start(checkout, "reproduce", "figure-2")
    assert first.returncode == 0
    assert "Making the environment .venv" in first.stderr
    made = calls(checkout)
    assert any("pip install" in call and "-r requirements.txt" in call for call in made)
    assert made[-1] == "-m reproduce figure-2"
    second = start(checkout, "reproduce", "figure-2")
    assert second.stderr == ""
    assert calls(checkout) == ["-c ", "-m reproduce figure-2"]


def test_changed_requirements_are_installed_again(checkout):
    start(checkout, "reproduce", "figure-2")
    calls(checkout)
    with (checkout / "requirements.txt").open("a") as file:
        file.write("# changed\n")
    assert "Installing requirements.txt" in start(checkout, "reproduce", "figure-2").stderr
    assert any("pip install" in call for call in calls(checkout))


def test_a_failed_installation_is_tried_again(checkout):
    failed = start(checkout, "reproduce", NO_NETWORK="1")
    assert failed.returncode == 1
    assert "the installation failed" in failed.stderr
    assert not any(call.startswith("-m reproduce") for call in calls(checkout))
    assert start(checkout, "reproduce").returncode == 0
    assert any("pip install" in call for call in calls(checkout))


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"NO_VENV": "1"}, "apt install python3-venv, Homebrew: brew install python"),
        ({"OLD": "1"}, "Python 3.11 or newer is needed"),
        ({"PYTHON": "no-such-python"}, "no no-such-python found"),
        ({"REQUIREMENTS": "nothing.txt"}, "there is no file nothing.txt"),
        ({"CONSTRAINTS": "nothing.txt"}, "there is no file nothing.txt"),
    ],
)
def test_what_is_missing_is_named(checkout, variables, sentence):
    done = start(checkout, "reproduce", **variables)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert not (checkout / ".venv" / "bin").exists()


@pytest.mark.parametrize("arguments", [("reproduce", "list"), ("reproduce", "--help"), ("bench",)])
def test_lists_need_no_environment(checkout, arguments):
    assert start(checkout, *arguments).returncode == 0
    module = {"reproduce": "reproduce", "bench": "benchmarks"}[arguments[0]]
    assert calls(checkout) == [" ".join(["-m", module, *arguments[1:]])]
    assert not (checkout / ".venv").exists()


_CHECKS = ["-m ruff check .", "-m ruff format --check .", "-m mypy"]


@pytest.mark.parametrize(
    ("arguments", "last"),
    [
        (["data", "--data-dir", "x"], ["-m reproduce.data --data-dir x"]),
        (["wheel", "--newest"], [".ci/wheel.py --newest"]),
        (["shell"], ["-i -m reproduce.startup"]),
        (["shell", "-c", "1"], ["-c 1"]),
        (["shell", "mine.py", "4"], ["-m reproduce.startup mine.py 4"]),
        (["test"], [*_CHECKS, "-m pytest -n 2 --dist loadfile"]),
        (["test", "--all"], [*_CHECKS, "-m pytest --all -n 2 --dist loadfile"]),
        (["test", "-x", "tests/house"], [*_CHECKS, "-m pytest -x tests/house"]),
    ],
    ids=" ".join,
)
def test_what_a_command_runs(checkout, arguments, last):
    (checkout / "mine.py").touch()
    assert start(checkout, *arguments).returncode == 0
    # mypy runs beside pytest: either may be the first of the two.
    assert sorted(calls(checkout)[-len(last) :]) == sorted(last)


@pytest.mark.parametrize(
    ("variables", "code"), [({}, 0), ({"BAD_TYPES": "1"}, 1), ({"RED": "5"}, 5)], ids=str
)
def test_tests_fail_where_types_or_tests_do_and_the_types_stand_below(checkout, variables, code):
    done = start(checkout, "test", **variables)
    assert done.returncode == code
    assert done.stdout.splitlines() == ["tests", "types"]


def test_one_command_installs_pytorch_and_tests_its_backend(checkout):
    assert start(checkout, "test", "--torch").returncode == 0
    made = calls(checkout)
    assert any("pip install" in call and "-r requirements-torch.txt" in call for call in made)
    assert made[-1].startswith("-m pytest --all -k torch tests/fictitious_play")


def test_the_newest_versions_can_be_asked_for(checkout):
    start(checkout, "reproduce", CONSTRAINTS="/dev/null")
    (install,) = (call for call in calls(checkout) if "pip install" in call)
    assert "-c /dev/null" in install
    start(checkout, "reproduce")
    (install,) = (call for call in calls(checkout) if "pip install" in call)
    assert "-c constraints.txt" in install


def test_help_and_unknown_commands(checkout):
    assert "Usage: ./run COMMAND" in start(checkout, "help").stdout
    assert start(checkout, "help").returncode == 0
    assert "Usage: ./run COMMAND" in start(checkout, "test", "--help").stdout
    unknown = start(checkout, "dance")
    assert unknown.returncode == 1
    assert "no command 'dance'" in unknown.stderr
    assert calls(checkout) == []
    absent = start(checkout, "shell", "absent.py")
    assert (absent.returncode, absent.stderr.splitlines()[-1]) == (
        1,
        "run: there is no file absent.py.",
    )


def test_the_script_is_posix_shell():
    subprocess.run(["sh", "-n", _ROOT / "run"], check=True)
