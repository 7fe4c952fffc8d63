"""A folder belongs to one problem and one writer, and survives a disk without room."""

import errno
import io
import json
import os
import shutil
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest

import fictitious_play as fp
from fictitious_play.solver import archive, folder_lock
from tests.fictitious_play.cases import Plain, edited

SETTINGS = {
    "stages": 2,
    "steps_per_stage": 2,
    "validation_paths": 64,
    "progress": False,
    "regret_every": None,
}


def solve(folder, game=None, belief=0.0, seed=0, **changes):
    solver = fp.DeepFictitiousPlay(
        game or Plain(), hidden=(4,), batch_normalization=False, initial_belief=belief, seed=seed
    )
    return solver.solve(folder=folder, **{**SETTINGS, **changes})


def test_another_problem_in_the_same_folder_is_refused(tmp_path):
    def zero(x, w):
        return np.zeros((len(x), 3, 2))

    def fifty(x, w):
        return np.full((len(x), 3, 2), 50.0)

    first = solve(tmp_path, belief=zero)
    with pytest.raises(ValueError, match="begun with other values of `initial_belief`"):
        solve(tmp_path, belief=fifty)
    with pytest.raises(ValueError, match=r"the problem it began with.*`terminal_cost`.*another"):
        solve(tmp_path, edited(weight=9.0), belief=zero)
    again = solve(tmp_path, belief=lambda x, w: np.zeros((len(x), 3, 2)))
    np.testing.assert_array_equal(again.cost, first.cost)


def test_a_stage_of_another_solve_is_no_stage_of_this_one(tmp_path):
    """Each whole, of one problem, under different seeds; stages of before do not say."""
    solve(tmp_path / "one")
    solve(tmp_path / "other", seed=1)
    stage = tmp_path / "one" / "stage-0002"
    shutil.rmtree(stage)
    shutil.copytree(tmp_path / "other" / "stage-0002", stage)
    with pytest.raises(ValueError, match="belongs to another solve"):
        solve(tmp_path / "one", stages=3)


def test_settings_that_cannot_be_written_are_named(tmp_path):
    class Listed(Plain):
        def get_config(self):
            return {"weights": np.ones(2)}

    with pytest.raises(ValueError, match=r"written as JSON\. Received: .*ndarray.*`get_config`"):
        solve(tmp_path, Listed())


def test_a_first_belief_is_a_function_of_a_paths_past(tmp_path):
    """It may see x_0 and the increments before the step."""
    rng = np.random.default_rng(0)

    def past(x, w):
        seen = np.cumsum(w, axis=1) - w
        return x[:, None] + seen[..., 1:]

    solve(tmp_path / "past", belief=past, stages=1)
    for wrong, rule in (
        (lambda x, w: past(x, w) + w.mean(axis=0)[:, 1:], "every path controls of its own"),
        (lambda x, w: past(x, w) + rng.normal(), "the same controls for the same paths"),
        (lambda x, w: past(x, w) + w[..., 1:], "not look ahead"),
        (lambda x, w: past(x, w) + w[:, -1:, 1:], "not look ahead"),
    ):
        with pytest.raises(ValueError, match=f"`initial_belief` must.*{rule}"):
            solve(tmp_path / "wrong", belief=wrong)


def test_records_cannot_be_written_over(tmp_path):
    record = solve(None, stages=1).history[0]
    for values in (record.cost, record.cost_standard_error, record.loss):
        with pytest.raises(ValueError, match="read-only"):
            values[...] = 0.0


def test_more_stages_another_tolerance_and_a_patch_version_go_on(tmp_path):
    solve(tmp_path)
    owner = tmp_path / "solve.json"
    record = json.loads(owner.read_text())
    major, minor, *_ = keras.__version__.split(".")
    record["settings"]["versions"]["keras"] = f"{major}.{minor}.999"
    record["settings"]["python"] = "3.99.0"
    owner.write_text(json.dumps(record))
    more = solve(tmp_path, stages=4, tolerance=1e-9)
    assert [each.stage for each in more.history] == [1, 2, 3, 4]
    # The cosine over four stages of two steps, where the solve went on and at its end.
    whole = solve(tmp_path / "whole", stages=4)
    assert more.history[2].learning_rate == whole.history[2].learning_rate
    assert more.history[1].learning_rate < whole.history[1].learning_rate
    assert json.loads(owner.read_text())["settings"]["stages"] == 4
    with pytest.raises(ValueError, match="`stages` must be at least 4"):
        solve(tmp_path, stages=3)
    record["settings"]["versions"]["keras"] = f"{major}.999.0"
    owner.write_text(json.dumps(record))
    with pytest.raises(ValueError, match="versions: keras"):
        solve(tmp_path, stages=4)


@pytest.fixture(scope="module")
def begun_owner(uninterrupted):
    return json.loads((uninterrupted[0] / "solve.json").read_text())


def test_a_folder_of_an_older_format_says_what_to_do(tmp_path):
    (tmp_path / "solve.json").write_text('{"format": "fictitious_play.solve/4", "settings": {}}')
    with pytest.raises(ValueError, match=r"'fictitious_play.solve/4' of another version.*anew"):
        solve(tmp_path)


@pytest.mark.parametrize(
    "edit",
    [
        {"problem": None},
        {"problem": {"drift": "fast"}},
        {"problem": {"drift": [[1.0, 2.0], [3.0]]}},
        {"settings": []},
    ],
)
def test_what_is_no_record_of_a_solve_is_refused_with_a_sentence(tmp_path, begun_owner, edit):
    (tmp_path / "solve.json").write_text(json.dumps({**begun_owner, **edit}))
    with pytest.raises(ValueError, match="must hold a solve of this package"):
        solve(tmp_path)


# One writer


def lock(folder, **changes):
    owner = {"pid": os.getpid(), "host": socket.gethostname(),
             "started": folder_lock._started(os.getpid()), **changes}  # fmt: skip
    (folder / "solve.lock").write_text(json.dumps(owner))


def test_a_folder_that_a_process_holds_is_refused(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        lock(tmp_path, pid=child.pid, started=folder_lock._started(child.pid))
        with pytest.raises(ValueError, match=rf"one solve at a time.*process {child.pid} on"):
            solve(tmp_path)
        assert (tmp_path / "solve.lock").exists()
        child.kill()  # not yet waited for: a zombie is gone too
        while folder_lock._started(child.pid):
            pass
        solve(tmp_path)
    finally:
        child.communicate()
    assert sorted(os.listdir(tmp_path)) == ["solve.json", "stage-0002"]


@pytest.mark.parametrize(
    ("left", "free"),
    [
        ({"pid": 2**22 + 1, "started": None}, True),
        ({"started": "another boot 1"}, True),  # its number went to another process
        ({}, False),
        ({"host": "elsewhere", "pid": 1}, False),
    ],
)
def test_stale_locks_are_told_from_those_that_hold(tmp_path, left, free):
    lock(tmp_path, **left)
    if free:
        folder_lock.FolderLock(tmp_path).release()
        assert not (tmp_path / "solve.lock").exists()
    else:
        with pytest.raises(ValueError, match=r"one solve at a time.*delete"):
            folder_lock.FolderLock(tmp_path)
    assert not list(tmp_path.glob("solve.lock.*"))


def test_a_lock_that_was_cut_short_is_stale(tmp_path):
    (tmp_path / "solve.lock").write_text('{"pid": 1')
    folder_lock.FolderLock(tmp_path).release()


def test_two_solves_of_one_process_cannot_share_a_folder(tmp_path):
    held = folder_lock.FolderLock(tmp_path)
    with pytest.raises(ValueError, match="one solve at a time"):
        solve(tmp_path)
    held.release()
    solve(tmp_path)


# No room


class Full(io.FileIO):
    """A file on a disk that takes so many more bytes, over all files."""

    left = 0

    def write(self, content):
        part = bytes(content)[: max(0, Full.left)]
        if not part and len(content):
            raise OSError(errno.ENOSPC, "No space left on device")
        Full.left -= len(part)
        return super().write(part)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    solve(folder / "begun", stages=1)
    shutil.copytree(folder / "begun", folder / "more")
    return folder / "begun", solve(folder / "more").cost


@pytest.mark.parametrize(
    "share",
    [
        0.0,
        pytest.param(0.4, marks=pytest.mark.release),
        0.95,
        pytest.param(0.999, marks=pytest.mark.release),
    ],
)
def test_no_room_at_any_moment_keeps_the_older_stage(tmp_path, uninterrupted, monkeypatch, share):
    begun, cost = uninterrupted
    folder = tmp_path / "copy"
    shutil.copytree(begun, folder)
    size = sum(path.stat().st_size for path in (folder / "stage-0001").iterdir())
    opened = archive.Path.open

    def full(self, mode="r", *more, **named):
        return Full(self, mode) if mode == "wb" else opened(self, mode, *more, **named)

    with monkeypatch.context() as patch:
        patch.setattr(archive.Path, "open", full)
        # The lock and solve.json of the larger solve fit.
        Full.left = 10**9
        patch.setattr(
            fp.solver.checkpoint.SolveFolder, "save",
            lambda self, *rest, of=fp.solver.checkpoint.SolveFolder.save: (
                setattr(Full, "left", int(share * size)), of(self, *rest)
            ),
        )  # fmt: skip
        with pytest.raises(OSError, match="No space left") as caught:
            solve(folder)
    assert caught.value.errno == errno.ENOSPC
    assert "stage-0002" in str(caught.value.filename)
    assert "after stage 2 could not be saved" in str(caught.value)
    assert sorted(os.listdir(folder)) == ["solve.json", "stage-0001"]
    np.testing.assert_array_equal(solve(folder).cost, cost)


def test_no_room_for_the_first_file_is_an_error_that_names_it(tmp_path, monkeypatch):
    opened = archive.Path.open

    def full(self, mode="r", *more, **named):
        return Full(self, mode) if mode == "wb" else opened(self, mode, *more, **named)

    Full.left = 0
    monkeypatch.setattr(archive.Path, "open", full)
    with pytest.raises(OSError, match=r"No space left on device, while writing.*solve\.lock"):
        solve(tmp_path / "new")
    assert os.listdir(tmp_path / "new") == []
