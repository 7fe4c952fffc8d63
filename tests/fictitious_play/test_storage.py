"""A result in one file, and as a figure."""

import dataclasses
import json
import os

import keras
import numpy as np
import pytest
from keras import ops

import fictitious_play as fp
from fictitious_play.solver import archive
from tests.fictitious_play.cases import Sound, sample, symmetric_game

QUICK = {"stages": 2, "steps_per_stage": 3, "validation_paths": 64, "progress": False}


class Unregistered(Sound):
    """A game whose class Keras does not know."""

    def __init__(self, weight=1.0):
        super().__init__()
        self.weight = weight

    def terminal_cost(self, states):
        return self.weight * ops.square(states)


def solved(game, **form):
    return fp.DeepFictitiousPlay(game, hidden=(4,), batch_normalization=False, **form).solve(
        **QUICK
    )


@pytest.fixture(scope="module")
def results():
    return {
        "registered": solved(symmetric_game(players=3), belief="damped"),
        "unregistered": solved(Unregistered(), information_structure="closed_loop"),
    }


def equal(one, two):
    """Whether two values have the same bits, field by field."""
    if isinstance(one, np.ndarray):
        return one.dtype == two.dtype and np.array_equal(one, two, equal_nan=True)
    if isinstance(one, (tuple, list)):
        return type(one) is type(two) and len(one) == len(two) and all(map(equal, one, two))
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(equal(one[name], two[name]) for name in one)
    if type(one).__module__.startswith("fictitious_play") and not isinstance(one, str):
        return type(one) is type(two) and equal(vars(one), vars(two))
    return one == two or (one != one and two != two)


def test_a_game_that_its_configuration_does_not_make_is_not_saved_with_a_result(results, tmp_path):
    """It would be loaded as another game; what was trained is saved."""

    class Forgetful(Unregistered):
        def get_config(self):
            return {}

    result = dataclasses.replace(results["unregistered"], game=Forgetful(2.0))
    with pytest.warns(RuntimeWarning, match=r"`Forgetful.get_config`.*`terminal_cost`.*to `load`"):
        result.save(tmp_path / "result.npz")
    with pytest.raises(ValueError, match=r"game must be given again"):
        fp.load(tmp_path / "result.npz")
    again = fp.load(tmp_path / "result.npz", game=Forgetful(2.0))
    np.testing.assert_array_equal(again.cost, result.cost)


@pytest.mark.parametrize("name", ["registered", "unregistered"])
def test_a_result_comes_back_with_the_same_bits(results, name, tmp_path):
    result = results[name]
    result.save(tmp_path / "result.npz")
    assert os.listdir(tmp_path) == ["result.npz"]
    game = None if name == "registered" else Unregistered()
    again = fp.load(tmp_path / "result.npz", game=game)
    for field, value in vars(result).items():
        if field not in ("game", "policy"):
            assert equal(value, getattr(again, field)), field
    initial, noise, _ = sample(result.game)
    np.testing.assert_array_equal(again.control(initial, noise), result.control(initial, noise))
    assert again.game.get_config() == result.game.get_config()


def test_a_game_that_is_needed_or_another_one_is_said(results, tmp_path):
    path = tmp_path / "result.npz"
    results["unregistered"].save(path)
    with pytest.raises(ValueError, match=r"must be given again, fp\.load\(.*Unregistered"):
        fp.load(path)
    with pytest.raises(ValueError, match=r"its own game.*other values of `terminal_cost`"):
        fp.load(path, game=Unregistered(2.0))
    with pytest.raises(TypeError, match="`game` must be a Game"):
        fp.load(path, game="market")


def test_an_older_file_has_older_names(results, tmp_path, monkeypatch):
    result, path = results["registered"], tmp_path / "result.npz"
    settings = dict(result.settings)
    settings["information"] = settings.pop("information_structure")
    regret = vars(result.regret)
    with monkeypatch.context() as older:
        older.setitem(vars(result), "settings", settings)
        older.setitem(regret, "found", regret["searches"])
        older.delitem(regret, "searches")
        result.save(path)
    again = fp.load(path)
    assert again.settings == result.settings
    assert equal(again.regret.searches, result.regret.searches)
    with pytest.warns(DeprecationWarning, match="`found` is now `searches`"):
        assert again.regret.found is again.regret.searches


def edited(path, change, sealed):
    """The same file after somebody has had a hand in it: in place of its checksum there is none,
    as in files of before, unless it is `sealed`."""
    arrays = archive.unpacked(path.read_bytes())
    document = json.loads(arrays["document"].tobytes())
    change(document, arrays)
    arrays["document"] = np.frombuffer(json.dumps(document).encode(), np.uint8)
    if not sealed:
        del arrays["sha256"]
    path.write_bytes(archive.packed(arrays))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda d, a: d["result"].pop("cost"), "cost"),
        (lambda d, a: d["result"]["cost"]["array"].pop(), "cost"),
        (lambda d, a: d["result"]["cost"].pop("dtype"), "no 'dtype'"),
        (lambda d, a: d["result"].update(verdict=1), "verdict"),
        (lambda d, a: d["result"].update(reason={"reason": "good"}), "good"),
        (lambda d, a: d["result"].update(history={"class": "Stage", "fields": {}}), "no 'Stage'"),
        (lambda d, a: d.pop("policy"), "no 'policy'"),
        (lambda d, a: d["policy"].update({"class": "Oracle"}), "no 'Oracle'"),
        (lambda d, a: d["policy"]["config"].update(hidden=[-1]), "hidden"),
        (lambda d, a: d["policy"]["config"].update(depth=3), "depth"),
        (lambda d, a: d.pop("problem"), "no 'problem'"),
        (lambda d, a: d.update(result=[]), "list"),
        (lambda d, a: a.pop("policy_0001"), "saved policy"),
        (lambda d, a: a.update(policy_0000=np.zeros(3)), "saved policy"),
    ],
)
@pytest.mark.parametrize("sealed", [True, False])
def test_an_edited_file_is_said_to_be_one(results, tmp_path, change, named, sealed):
    path = tmp_path / "result.npz"
    results["registered"].save(path)
    edited(path, change, sealed)
    with pytest.raises(ValueError, match=r"^`path` must .*Received") as caught:
        fp.load(path)
    assert str(path) in str(caught.value)
    assert ("checksum" if sealed else named) in str(caught.value)


def test_edited_numbers_are_seen_and_files_of_before_have_no_checksum(results, tmp_path):
    path, result = tmp_path / "result.npz", results["registered"]
    result.save(path)
    edited(path, lambda d, a: None, sealed=False)
    np.testing.assert_array_equal(fp.load(path).cost, result.cost)
    for change in (
        lambda d, a: d["result"].update(converged=True, message="All is well."),
        lambda d, a: a.update(policy_0000=1.01 * a["policy_0000"]),
    ):
        result.save(path)
        edited(path, change, sealed=True)
        with pytest.raises(ValueError, match="was edited"):
            fp.load(path)


@pytest.mark.parametrize("damage", ["text", "empty", "cut", "foreign", "newer"])
def test_files_of_something_else_are_refused(results, tmp_path, damage):
    path = tmp_path / "result.npz"
    results["registered"].save(path)
    if damage == "text":
        path.write_text("years of work")
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-300])
    elif damage == "foreign":
        with path.open("wb") as file:
            np.savez(file, values=np.ones(3))
    else:
        content = np.frombuffer(b'{"format": "fictitious_play.result/9"}', np.uint8)
        with path.open("wb") as file:
            np.savez(file, document=content)
    with pytest.raises(ValueError, match=r"`path` must .*Received"):
        fp.load(path)
    with pytest.raises(FileNotFoundError):
        fp.load(tmp_path / "nothing")


def test_the_figure_holds_what_the_result_holds(results):
    result = results["registered"]
    figure = result.plot(result.regret, paths=2)
    costs, states, controls, gains = figure.axes
    np.testing.assert_array_equal(
        costs.lines[0].get_ydata(), [record.cost[0] for record in result.history]
    )
    exact = fp.lq.nash(result.game).cost[0]
    assert exact in [line.get_ydata()[0] for line in costs.lines[:2]]
    assert len(states.lines) == 3 * 2
    assert len(controls.lines) == 3 * 2
    heights = [patch.get_height() for patch in gains.patches]
    np.testing.assert_allclose(heights, 100.0 * result.regret.relative)
    assert len(results["unregistered"].plot().axes) == 3
    with pytest.raises(ValueError, match="`paths` must be at least 1"):
        result.plot(paths=0)


def test_double_precision_on_jax_has_to_be_switched_on(monkeypatch):
    jax = pytest.importorskip("jax")
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    game, on = symmetric_game(players=2), jax.config.jax_enable_x64
    try:
        jax.config.update("jax_enable_x64", False)
        with pytest.raises(ValueError, match=r'jax\.config\.update\("jax_enable_x64", True\)'):
            fp.DeepFictitiousPlay(game, hidden=(4,), dtype="float64")
        jax.config.update("jax_enable_x64", True)
        fp.DeepFictitiousPlay(game, hidden=(4,), dtype="float64")
    finally:
        jax.config.update("jax_enable_x64", on)


@pytest.mark.parametrize("number", [1, 2])
def test_a_file_of_before_is_read_and_checked(tmp_path, results, number):
    """Its fingerprint knows the first, the middle and the last step."""
    path = tmp_path / "result.npz"
    results["registered"].save(path)
    arrays = archive.unpacked(path.read_bytes())
    del arrays["sha256"]
    document = json.loads(arrays["document"].tobytes())
    problem, earlier = document["problem"], {"initial_belief": [[0.0] * 12]}
    for name, values in problem.items():
        if name in ("initial_states", "terminal_cost"):
            earlier[name] = values
        else:
            earlier |= {f"{name} at step {step}": values[step] for step in (0, 2, 4)}
    document |= {"format": f"fictitious_play.result/{number}", "problem": earlier}

    def written():
        arrays["document"] = np.frombuffer(json.dumps(document).encode(), np.uint8)
        path.write_bytes(archive.packed(arrays))
        return path

    np.testing.assert_array_equal(fp.load(written()).cost, results["registered"].cost)
    earlier["running_cost at step 2"][0][0] += 1.0
    with pytest.raises(ValueError, match="other values of `running_cost at step 2`"):
        fp.load(written())
