"""Saved progress: bit-equal continuation, and folders that are refused."""

import json
import shutil

import numpy as np
import pytest

import fictitious_play as fp
from fictitious_play.solver.checkpoint import SolveFolder
from fictitious_play.solver.play import Play
from tests.fictitious_play.cases import asymmetric_game, symmetric_game

SETTINGS = {"stages": 3, "steps_per_stage": 3, "validation_paths": 64, "progress": False,
            "regret_every": None}  # fmt: skip


def solver(seed=0, game=None):
    return fp.DeepFictitiousPlay(
        game or asymmetric_game(players=2, steps=2), hidden=(4,), seed=seed
    )


@pytest.fixture(scope="module")
def uninterrupted():
    return solver().solve(**SETTINGS)


def same(first, second):
    np.testing.assert_array_equal(first.cost, second.cost)
    assert len(first.history) == len(second.history)
    for one, two in zip(first.history, second.history, strict=True):
        np.testing.assert_array_equal(one.cost, two.cost)
        np.testing.assert_array_equal(one.loss, two.loss)
        assert one.learning_rate == two.learning_rate
    for one, two in zip(first.policy.weights, second.policy.weights, strict=True):
        np.testing.assert_array_equal(one, two)


class Killed(BaseException):
    """As if the process had ended."""


@pytest.mark.parametrize("moment", ["in stage 1", "in stage 2", "while stage 2 is saved"])
def test_a_killed_solve_goes_on_to_the_same_bits(tmp_path, uninterrupted, moment, monkeypatch):
    save = SolveFolder.save

    def killed_training(self, trainer, stage, first, count, steps):
        if moment == f"in stage {stage}" and first == 1:
            raise Killed
        return train(self, trainer, stage, first, count, steps)

    train = Play._train

    def killed_saving(self, stage, play, progress):
        if moment == f"while stage {stage} is saved":
            partial = self.path / f"stage-{stage:04d}.partial"
            partial.mkdir()
            (partial / "model.npz").write_bytes(b"half")
            raise Killed
        save(self, stage, play, progress)

    with monkeypatch.context() as patch:
        patch.setattr("fictitious_play.solver.play.CHUNK_SECONDS", 0.0)  # step by step
        patch.setattr(Play, "_train", killed_training)
        patch.setattr(SolveFolder, "save", killed_saving)
        with pytest.raises(Killed):
            solver().solve(folder=tmp_path, **SETTINGS)
    same(solver().solve(folder=tmp_path, **SETTINGS), uninterrupted)
    same(solver().solve(folder=tmp_path, **SETTINGS), uninterrupted)  # nothing left to do
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["solve.json", "stage-0003"]


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match=r"`folder` must be empty or hold an earlier part"):
        solver().solve(folder=tmp_path, **SETTINGS)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_with_a_foreign_solve_file_is_refused(tmp_path):
    (tmp_path / "solve.json").write_text('{"format": "other"}')
    with pytest.raises(ValueError, match=r"whose solve\.json is not one"):
        solver().solve(folder=tmp_path, **SETTINGS)


def test_a_folder_that_is_no_path_is_refused():
    with pytest.raises(TypeError, match="`folder` must be a path"):
        solver().solve(folder=1.5, **SETTINGS)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    place = tmp_path / "file"
    place.write_text("")
    with pytest.raises(ValueError, match="`folder` must be a folder that can be made"):
        solver().solve(folder=place, **SETTINGS)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    folder = tmp_path_factory.mktemp("begun")
    solver().solve(folder=folder, **SETTINGS)
    return folder


@pytest.mark.parametrize(
    ("other", "settings", "named"),
    [
        (lambda: solver(seed=1), SETTINGS, "seed"),
        (lambda: solver(game=symmetric_game(players=2, steps=2)), SETTINGS, "rho"),
        (solver, {**SETTINGS, "steps_per_stage": 4}, "steps_per_stage=3, now 4"),
    ],
)
def test_another_game_or_setting_under_the_same_folder_is_refused(begun, other, settings, named):
    with pytest.raises(ValueError, match="can go on only with the game and the settings") as caught:
        other().solve(folder=begun, **settings)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    "damage", ["weights cut short", "no record", "record cut short", "record edited"]
)
def test_a_damaged_stage_is_refused(begun, tmp_path, damage):
    folder = tmp_path / "copy"
    shutil.copytree(begun, folder)
    weights = folder / "stage-0003" / "model.npz"
    record = folder / "stage-0003" / "progress.json"
    if damage == "weights cut short":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage == "no record":
        record.unlink()
    elif damage == "record edited":
        values = json.loads(record.read_text())
        record.write_text(json.dumps({**values, "history": values["history"][:1]}))
    else:
        record.write_text(record.read_text()[:50])
    with pytest.raises(ValueError, match="A saved stage must be whole"):
        solver().solve(folder=folder, **SETTINGS)
