"""Cells: the same bits alone and in company, kept when finished, recorded when failed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent import futures
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from reproduce import __main__ as command
from reproduce import provenance, workers
from reproduce.training import cell as cell_of
from reproduce.training import cells, methods, split

_ROOT = Path(__file__).resolve().parents[2]
_SMALL = {
    "data": "digits", "train": 200, "test": 100, "curve_images": 50, "batch": 32,
    "network": "residual-dense", "options": {"width": 8, "blocks": 1},
}  # fmt: skip


def small(**given):
    settings = {**_SMALL, "method": {"name": "SGD"}, "rate": 0.1, "steps": 6, "evaluate_every": 3}
    return cell_of.make(**{**settings, **given})


def plain(result):
    timed = ("seconds", "cpu_seconds", "first_step_seconds")
    return {key: value for key, value in result.items() if key not in timed}


def context(folder, jobs=1, dask=None, keep=False):
    options = SimpleNamespace(jobs=jobs, threads=None, dask=dask, keep=keep)
    return SimpleNamespace(cells=folder, options=options, reused=Counter())


@pytest.mark.parametrize(
    "method",
    [
        {"name": "Adam"},
        pytest.param({"name": "EKFAC", "structure": "feedback"}, marks=pytest.mark.release),
        {"name": "SGD", "structure": "cooperative", "policy": "adaptive"},
    ],
    ids=str,
)
def test_a_cell_gives_the_same_bits_alone_and_after_another(method):
    net = {"options": {"width": 8, "blocks": 1, "shortcut": "dense"}, "method": method}
    first, second = small(**net, seed=3, rate=0.01), small(**net, seed=4, rate=0.02)
    alone = plain(next(cell_of.run([second])))
    together = [plain(result) for result in cell_of.run([first, second])]
    assert together[1] == alone
    assert together[0]["curve"] != alone["curve"]
    assert ("arms" in alone) == ("policy" in method)


def test_the_rate_falls_tenfold_at_each_milestone():
    seen = []
    cell = small(decay=[0.5, 5 / 6], rate=0.5)
    group = cell_of._Group(cell)
    recorder = cell_of._record(group, cell, None)
    group._start(cell)
    recorder.set_model(group.model)
    for step in range(6):
        recorder.on_train_batch_begin(step)
        seen.append(float(group.model.optimizer.learning_rate))
        recorder.on_train_batch_end(step, {"loss": 1.0})
    np.testing.assert_allclose(seen, [0.5, 0.5, 0.5, 0.05, 0.05, 0.005], rtol=1e-6)


def test_a_rate_that_is_too_large_counts_as_a_divergence():
    cell = small(rate=1e20, method={"name": "SGD"})
    result = next(cell_of.run([cell]))
    assert result["diverged"]
    assert "not finite" in result["why"] or "above twice" in result["why"]


def test_a_failing_cell_is_recorded_and_the_next_one_runs():
    bad = small(batch=1000)
    results = list(cell_of.run([bad, small()]))
    assert "`batch` must be at most the 200 images" in results[0]["error"]
    assert results[1]["accuracy"] > 0


def test_finished_cells_are_kept_and_failed_ones_tried_again(tmp_path):
    made = [small(seed=0), small(seed=1), small(batch=1000)]
    first = cells.run(made, context(tmp_path))
    files = sorted(tmp_path.glob("*.json"))
    assert len(files) == 2
    assert "error" in first[2]
    kept = json.loads(files[0].read_text())
    kept["result"]["accuracy"] = -1.0
    files[0].write_text(json.dumps(kept))
    again = context(tmp_path)
    second = cells.run(made, again)
    assert sorted(r.get("accuracy", -2) for r in second)[1] == -1.0
    assert again.reused["cpu_seconds"] == sum(r["cpu_seconds"] for r in first[:2])


def test_a_cell_of_other_code_is_trained_again_unless_it_is_to_be_kept(tmp_path, monkeypatch):
    [first] = cells.run([small()], context(tmp_path))
    assert first["made"]["onednn"] == os.environ.get(
        "TF_ENABLE_ONEDNN_OPTS", first["made"]["onednn"]
    )
    monkeypatch.setattr(provenance, "code", lambda *more: "other")
    [kept] = cells.run([small()], context(tmp_path, keep=True))
    assert kept["made"] == first["made"]
    [second] = cells.run([small(data_dir="/elsewhere")], context(tmp_path))
    assert second["made"]["code"] == "other"
    assert second["accuracy"] == first["accuracy"]
    assert len(list(tmp_path.glob("*.json"))) == 1


def same_training(one, other):
    assert one["accuracy"] == pytest.approx(other["accuracy"], abs=1e-9)
    np.testing.assert_allclose(one["curve"]["loss"], other["curve"]["loss"], rtol=1e-5)


def test_a_pool_of_workers_gives_the_results_in_order(tmp_path, monkeypatch):
    """One thread stands for the pool; what real processes train is compared further below."""

    made = [small(seed=0), small(seed=1), small(seed=0, method={"name": "Adam"}, rate=0.01)]
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one = cells.run(made, context(tmp_path / "one"))
    monkeypatch.setattr(
        workers.futures, "ProcessPoolExecutor", lambda *_: futures.ThreadPoolExecutor(1)
    )
    two = cells.run(made, context(tmp_path / "two", jobs=2))
    for a, b in zip(one, two, strict=True):
        same_training(a, b)
    assert len(list((tmp_path / "two").glob("*.json"))) == 3


def test_a_local_dask_cluster_gives_what_one_process_gives(tmp_path):
    distributed = pytest.importorskip("distributed")
    made = [small(seed=0), small(seed=1), small(batch=1000)]
    (tmp_path / "one").mkdir()
    (tmp_path / "cluster").mkdir()
    one = cells.run(made, context(tmp_path / "one"))
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        address = cluster.scheduler_address
        far = cells.run(made, context(tmp_path / "cluster", dask=address))
    assert [r.get("accuracy") for r in one] == [r.get("accuracy") for r in far]
    assert "error" in far[2]
    assert len(list((tmp_path / "cluster").glob("*.json"))) == 2


def test_a_dask_address_without_a_scheduler_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(cells, "PATIENCE", 0.5)
    with pytest.raises(ValueError, match="must be the address of a running scheduler"):
        cells.run([small()], context(tmp_path, dask="tcp://127.0.0.1:1"))


def _children(pid):
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_interrupted_command_ends_its_workers_and_goes_on(tmp_path):
    """It goes on in this process here, with what the workers have left, and a cell of theirs is
    what this process makes of it."""
    arguments = ["dgnopt-figure-5", "--preset", "smoke", "--out", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-m", "reproduce", *arguments, "--jobs", "2"],
        cwd=_ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    folder = tmp_path / "cells"
    while not list(folder.glob("*.json")) and process.poll() is None:
        time.sleep(0.1)
    workers = _children(process.pid)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 130
    assert len(workers) >= 2
    deadline = time.monotonic() + 30
    while any(map(_runs, workers)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert "the same command goes on" in process.stderr.read()
    before = {path: path.read_bytes() for path in folder.glob("*.json")}
    assert before
    assert not list(folder.glob("*.partial"))
    assert command.main(arguments) == 0
    assert {path: path.read_bytes() for path in before} == before
    assert (tmp_path / "smoke" / "dgnopt-figure-5.json").exists()
    theirs = json.loads(min(before.values(), key=len))
    same_training(theirs["result"], next(cell_of.run([cell_of.make(**theirs["cell"])])))


def test_validation_images_are_never_trained_on():
    part = split.split("digits", train=1000, validation=200)
    train = {image.tobytes() for image in part.x_train}
    assert len(part.x_validation) == 200
    assert not train & {image.tobytes() for image in part.x_validation}
    assert abs(part.x_train.mean()) < 1e-3
    assert part.x_train.std() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: split.split("digits", train=1437), "together at most the 1437"),
        (lambda: split.split("digits", test=5000), "`test` must be between 1 and"),
        (lambda: small(evaluate_every=4), "`evaluate_every` must divide"),
        (lambda: cell_of.make(data="digits"), "lacks"),
        (lambda: small(speed=1), "unknown entries"),
        (lambda: methods.optimizer({"name": "Newton"}, 0.1), "must be one of SGD"),
        (lambda: methods.optimizer({"name": "SGD", "speed": 1}, 0.1), "settings must be among"),
    ],
)
def test_bad_settings_are_refused(call, rule):
    with pytest.raises(ValueError, match=rule):
        call()
