"""Where a game does not say how large its controls are, the solver measures it."""

import keras
import numpy as np
import pytest
from keras import ops

import fictitious_play as fp
from fictitious_play.solver import control_scale
from fictitious_play.solver.control_scale import measured_units
from tests.fictitious_play.cases import Sound, asymmetric_game, symmetric_game

PLAN = {"stages": 2, "steps_per_stage": 6, "validation_paths": 64, "progress": False,
        "regret_every": None}  # fmt: skip


def duopoly(unit, other=None, **changes):
    """Two players who steer their own state by controls that count in units of their own."""
    units = np.array([unit, unit if other is None else other])
    costs = np.array([[[1.0, -0.5], [-0.5, 0.5]], [[0.5, -0.5], [-0.5, 1.0]]])
    return fp.LinearQuadraticGame(
        -0.3 * np.eye(2), (np.eye(2) / units)[:, :, None].transpose(1, 0, 2), costs, None,
        [[[units[0] ** -2]], [[0.5 * units[1] ** -2]]], costs,
        0.2 * np.eye(2), steps=3, initial_mean=1.0, initial_std=0.5, **changes,
    )  # fmt: skip


def solved(game, structure="open_loop", **changes):
    form = {"hidden": (8,), "batch_normalization": False, "information_structure": structure}
    return fp.DeepFictitiousPlay(game, **form).solve(**{**PLAN, **changes})


@pytest.fixture(scope="module", params=["open_loop", "closed_loop"])
def plain(request):
    return request.param, solved(duopoly(1.0), request.param)


@pytest.mark.parametrize("units", [(2.0**10, 2.0**10), (2.0**-10, 2.0**20)])
def test_a_solve_is_the_same_whatever_controls_are_counted_in(plain, units):
    """To rounding, of which powers of two make none."""
    structure, one = plain
    other = solved(duopoly(*units), structure)
    np.testing.assert_allclose(other.cost, one.cost, rtol=1e-5)
    for before, now in zip(one.history, other.history, strict=True):
        np.testing.assert_allclose(now.loss, before.loss, rtol=1e-4)
    normals = np.random.default_rng(0).standard_normal((4, 4, 2))
    paths = normals[:, 0], normals[:, 1:]
    np.testing.assert_allclose(
        other.control(*paths) / units, one.control(*paths), rtol=1e-3, atol=1e-5
    )
    assert one.policy.control_unit is None
    np.testing.assert_array_equal(other.policy.control_unit[:, 0], units)
    assert "units of control, measured" not in one.summary()
    told = ", ".join(f"{unit:g}" for unit in units)
    assert f"units of control, measured, player by player: {told}" in other.summary()


def test_a_measured_unit_goes_wherever_the_networks_go(tmp_path):
    """A folder goes on, a file is loaded and a player's own model plays the same controls."""
    game, file = duopoly(2.0**10), tmp_path / "result"
    whole = solved(game)
    solved(game, stages=1, folder=tmp_path / "folder")
    resumed = solved(game, folder=tmp_path / "folder")
    assert resumed.settings["network"]["control_unit"] == [[1024.0], [1024.0]]
    assert len(resumed.history) == 2
    with pytest.raises(ValueError, match="control_unit"):
        solved(duopoly(2.0**10, control_unit=64.0), folder=tmp_path / "folder")
    whole.save(file)
    loaded = fp.load(file)
    paths = np.ones((2, 2), "float32"), np.zeros((2, 3, 2), "float32")
    np.testing.assert_array_equal(loaded.control(*paths), whole.control(*paths))
    unit = whole.policy.control_unit
    model = fp.player_model(game, 1, (8,), batch_normalization=False, control_unit=unit)
    fp.transfer_weights(whole.policy, model, 1)
    played = keras.Model(model.inputs, model.get_layer("bounded_1").output)
    controls = whole.control(*paths)
    found = ops.convert_to_numpy(played([*paths, controls.astype("float32")]))
    np.testing.assert_allclose(found[:, 0], controls[:, 1, 1], rtol=1e-4)
    plain = fp.player_model(game, 1, (8,), batch_normalization=False)
    with pytest.raises(ValueError, match=r"control_unit=policy\.control_unit"):
        fp.transfer_weights(whole.policy, plain, 1)


class Steered(Sound):
    """Costs of controls in units of their own, (players, control_size)."""

    def __init__(self, units, **changes):
        self.units = np.array(units, "float32")
        super().__init__(control_size=self.units.shape[-1], **changes)

    def drift(self, time, states, controls):
        return ops.sum(self.plain(controls), axis=-1)

    def running_cost(self, time, states, controls):
        return self.price(self.plain(controls))

    def plain(self, controls):
        return controls / ops.convert_to_tensor(self.units, dtype=controls.dtype)

    def price(self, controls):
        return ops.sum(ops.square(controls), axis=-1)


def units_of(game, belief=0.0):
    return np.log2(measured_units(game, belief, "float32")).tolist()


def test_every_control_has_a_unit_of_its_own():
    powers = np.array([[0.0, 10.0], [-20.0, 10.0]])
    assert units_of(Steered(2.0**powers)) == powers.tolist()


def test_costs_need_not_be_quadratic():
    class Quartic(Steered):
        def price(self, controls):
            return ops.sum(ops.cosh(ops.clip(controls, -80.0, 80.0)) - 1.0, axis=-1)

    class Root(Steered):
        def price(self, controls):
            return ops.sum(ops.sqrt(1.0 + ops.square(controls)), axis=-1)

    powers = [[0.0], [-10.0]]
    assert units_of(Quartic(2.0 ** np.array(powers))) == powers
    assert units_of(Root(2.0 ** np.array(powers))) == powers


def test_what_does_not_tell_leaves_units_of_one():
    """Costs without end, without a slope, without a finite value; and noise that tells nothing."""

    class Linear(Steered):
        def terminal_cost(self, states):
            return 1e6 * states

        def price(self, controls):
            return 0.0 * controls[..., 0]

    class Broken(Steered):
        def terminal_cost(self, states):
            return ops.sqrt(states - 1e6)

    class Deaf(Steered):
        def terminal_cost(self, states):
            return 0.0 * states

    units = [[1024.0], [1024.0]]
    for kind in (Linear, Broken, Deaf):
        assert units_of(kind(units)) == [[0.0], [0.0]]
    symmetric = {"initial_mean": 0.0, "initial_std": 0.0}
    assert units_of(Steered(units, steps=1, **symmetric)) == [[0.0], [0.0]]


def test_noise_to_come_is_no_reason_to_move():
    """A state that noise moves a thousand times as much as the start: of a last step's noise, which
    a control cannot answer, the slope is full."""

    class Blown(Steered):
        def diffusion(self, time, states, controls):
            return 2e3 * ops.eye(2, 3, k=1, dtype=states.dtype)

    assert units_of(Blown([[1.0], [1.0]], steps=1)) == [[0.0], [0.0]]
    # After the first of two steps there is something to answer.
    assert units_of(Blown([[1.0], [1.0]], steps=2)) == [[10.0], [10.0]]


def test_players_who_have_nothing_to_gain_take_the_unit_of_the_others():
    class Idle(Steered):
        def terminal_cost(self, states):
            return super().terminal_cost(states) * np.array([1.0, 0.0], "float32")

    assert units_of(Idle([[1024.0], [1024.0]])) == [[10.0], [10.0]]


def test_bounds_and_a_far_first_belief():
    units = [[1024.0], [1024.0]]
    assert units_of(Steered(units, control_bounds=(-2.0, 2.0))) == [[0.0], [0.0]]
    assert units_of(Steered(units, control_bounds=(0.0, np.inf))) == [[0.0], [0.0]]
    assert units_of(Steered(units, control_bounds=(-np.inf, 0.0))) == [[10.0], [10.0]]
    assert units_of(symmetric_game(players=2, steps=3), 900.0) == [[0.0], [0.0]]


@pytest.mark.parametrize("game", [asymmetric_game(), fp.convoy_game(3, steps=4), Sound()])
def test_games_of_ordinary_size_keep_units_of_one(game):
    assert not np.any(units_of(game))


def test_a_game_is_measured_once_per_first_belief(monkeypatch):
    game, seen = Sound(), []
    monkeypatch.setattr(control_scale, "_measured", lambda *given: seen.append(given) or 1.0)
    for belief in (0.0, 0.0, 2.0, np.zeros((3, 2))):
        measured_units(game, belief, "float32")
    measured_units(Sound(), 0.0, "float32")
    assert [given[1] for given in seen[:2]] == [0.0, 2.0]
    assert len(seen) == 4


def test_a_unit_that_was_given_is_not_measured():
    """And one that is the same as the measured one gives the same stakes."""
    (plain, one), (given, none), (stakes, unit) = (
        fp.DeepFictitiousPlay(duopoly(1024.0, control_unit=each))._looked_at()
        for each in (1.0, 1024.0, None)
    )
    assert one is None
    assert none is None
    np.testing.assert_array_equal(unit, [[1024.0], [1024.0]])
    np.testing.assert_array_equal(stakes, given)
    assert np.all(plain < 0.1 * stakes)
