"""Every benchmark runs at its smallest, keeps what it found, and can be put into the report."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks.__main__ import BENCHMARKS
from reproduce import store

_ROOT = Path(__file__).resolve().parents[2]
_SMALLEST = {
    "fast-form": "--players 2 --steps 2 --width 4 --batch 8 --repeats 1",
    "kill-resume": "--kills 1 --players 2 --steps 2 --stages 2 --steps-per-stage 2",
    "dgnopt-step": "--rounds 1 --networks ResMLP3-128 --only",
    "large-steps": "--seeds 1 --epochs 1 --only",
    "training-curves": "--seeds 1 --epochs 1 --only",
    "robustness": "--seeds 1 --epochs 1 --only",
    "utilisation": "--players 2 --width 4 --batch 8 --repeats 1",
    "devices": "--backends tensorflow --players 2 --euler-steps 2 --width 4 --batch 8 --stages 2 "
    "--steps 2",
    "unseen-states": "--seeds 1 --stages 1 --steps-per-stage 1 --paths 64 --only",
    "blindness": "--steps 1 --paths 64 --only",
    "learning-rates": "--players 2 --seeds 1 --multiples 1 --batch 8 --stages 1 "
    "--steps-per-stage 1 --forms",
    "announced-weights": "--seeds 1 --only",
    "leak": "--solves 6 --stages 1 --steps-per-stage 1 --only",
}
_ONLY = {
    "dgnopt-step": ["open loop identity"],
    "large-steps": ["SGD, lr 1"],
    "training-curves": ["SGD"],
    "robustness": ["well scaled"],
    "unseen-states": ["no noise"],
    "blindness": ["rare event"],
    "learning-rates": ["own and mean"],
    "announced-weights": ["2 banks, one step"],
    "leak": ["open_loop"],
}


def test_all_benchmarks_are_here():
    assert {*_SMALLEST, "coverage", "mutation-check", "report"} == set(BENCHMARKS)


#: The others train what tests train too.
_ALWAYS = {"blindness"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in _ALWAYS else pytest.mark.release)
        for name in _SMALLEST
    ],
)
def test_it_runs_and_can_be_reported(name, tmp_path, monkeypatch, capsys):
    out = tmp_path / "found.json"
    arguments = [*_SMALLEST[name].split(), *_ONLY.get(name, []), "--out", str(out)]
    if name in _ALWAYS:  # here, where a backend may be imported already
        monkeypatch.setattr(sys, "argv", sys.argv)
        assert command.main([name, *arguments]) == 0
        printed = capsys.readouterr().out
    else:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks", name, *arguments],
            cwd=_ROOT, capture_output=True, text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        printed = done.stdout
    assert f"Written: {out}" in printed
    document = store.read(out)
    assert document["provenance"]["command"].startswith(f"./run bench {name} ")
    tables = importlib.import_module(BENCHMARKS[name][0]).summary(document)
    assert all(len(row) == len(table.columns) for table in tables for row in table.rows)


def test_what_is_kept_is_reported():
    kept = [path.stem for path in (_ROOT / "benchmarks" / "results").glob("*.json")]
    page = (_ROOT / "benchmarks" / "RESULTS.md").read_text()
    assert kept
    assert all(f"\n## {name}\n" in page for name in kept)
    for path in (_ROOT / "benchmarks" / "results").glob("*.json"):
        document = store.read(path)
        name = document["provenance"]["command"].split()[2]
        for table in importlib.import_module(BENCHMARKS[name][0]).summary(document):
            assert table.markdown() in page
