"""A solve in a process of its own, really killed, and continued to the same bits."""

import pytest

import fictitious_play as fp
from benchmarks import kill_resume

SETTINGS = {
    "players": 3, "steps": 3, "stages": 6, "steps_per_stage": 20, "belief": "average", "seed": 1,
}  # fmt: skip


@pytest.mark.parametrize("kills", [1, pytest.param(3, marks=pytest.mark.release)])
def test_kills_leave_no_trace_in_the_bits(kills, tmp_path):
    found = kill_resume.trials(SETTINGS, kills, tmp_path, seed=3)
    assert len(found["kills"]) == kills
    assert found["compared"] >= 1
    assert found["different"] == 0
    assert len(found["digest"]) == 64


def test_a_folder_that_cannot_be_made_is_refused():
    solver = fp.DeepFictitiousPlay(fp.InterBankGame(players=2, steps=2), hidden=(4,))
    with pytest.raises(ValueError, match=r"`folder` must be a folder that can be made.*Received"):
        solver.solve(1, 1, folder="/proc/nowhere", validation_paths=16, progress=False)
    with pytest.raises(ValueError, match="Received"):
        solver.solve(1, 1, folder="/proc", validation_paths=16, progress=False)
