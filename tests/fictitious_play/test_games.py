"""The inter-bank game and the base class."""

import sys

import keras
import numpy as np
import pytest
from keras import ops

import fictitious_play as fp
from fictitious_play import rollout
from tests.fictitious_play.cases import asymmetric_game, sample, symmetric_game


@pytest.mark.parametrize("game", [symmetric_game(), asymmetric_game()])
def test_costs_along_a_path_are_those_of_the_linear_quadratic_form(game):
    initial, noise, _ = sample(game)
    exact = fp.lq.nash(game).simulate(initial, noise)
    tensors = [
        ops.convert_to_tensor(array) for array in (initial, exact.controls[..., None], noise)
    ]
    np.testing.assert_allclose(rollout.joint_costs(game, *tensors), exact.cost, rtol=1e-12)
    np.testing.assert_allclose(rollout.joint_states(game, *tensors), exact.states, atol=1e-12)


@pytest.mark.parametrize("game", [symmetric_game(), asymmetric_game()])
def test_superposition_gives_the_costs_of_simulated_deviations(game, rng):
    initial, noise, others = sample(game)
    own = rng.standard_normal(others.shape)
    tensors = [ops.convert_to_tensor(array) for array in (initial, own, others, noise)]
    simulated = rollout.deviation_costs(game, *tensors)
    np.testing.assert_allclose(game.deviation_costs(*tensors), simulated, rtol=1e-12)


def test_simulated_deviations_are_joint_paths_with_one_control_replaced(rng):
    game = asymmetric_game()
    initial, noise, others = sample(game)
    own = rng.standard_normal(others.shape)
    tensors = [ops.convert_to_tensor(array) for array in (initial, own, others, noise)]
    together = np.asarray(rollout.deviation_costs(game, *tensors))
    for player in range(game.players):
        controls = others.copy()
        controls[:, :, player] = own[:, :, player]
        alone = rollout.joint_costs(game, tensors[0], ops.convert_to_tensor(controls), tensors[3])
        np.testing.assert_allclose(together[:, player], np.asarray(alone)[:, player], rtol=1e-12)


class CapitalCharge(fp.InterBankGame):
    """A subclass with another running cost: no shortcut of its parent may apply."""

    def running_cost(self, time, states, controls):
        return super().running_cost(time, states, controls) + ops.abs(states)


def test_a_subclass_with_another_cost_gets_no_shortcut(rng):
    game = CapitalCharge(players=3, steps=4)
    assert game.linear_quadratic_form() is None
    initial, noise, others = sample(game)
    own = rng.standard_normal(others.shape)
    tensors = [ops.convert_to_tensor(array) for array in (initial, own, others, noise)]
    np.testing.assert_array_equal(
        game.deviation_costs(*tensors), rollout.deviation_costs(game, *tensors)
    )


@pytest.mark.parametrize("game", [symmetric_game(), asymmetric_game()])
def test_configuration_makes_the_same_game(game):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(game))
    for name in ("a", "q", "epsilon", "c", "sigma", "weights", "initial_mean", "initial_std"):
        np.testing.assert_array_equal(getattr(copy, name), getattr(game, name))
    assert (copy.players, copy.steps, copy.horizon, copy.rho) == (
        game.players, game.steps, game.horizon, game.rho
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "error", "rule"),
    [
        ({"players": 1}, ValueError, "`players` must be at least 2"),
        ({"players": 2.5}, TypeError, "`players` must be an integer"),
        ({"players": True}, TypeError, "`players` must be an integer"),
        ({"steps": 0}, ValueError, "`steps` must be at least 1"),
        ({"horizon": 0.0}, ValueError, "`horizon` must be greater than 0"),
        ({"horizon": -1}, ValueError, "`horizon` must be greater than 0"),
        ({"horizon": float("inf")}, ValueError, "`horizon` must be finite"),
        ({"horizon": float("nan")}, ValueError, "`horizon` must be finite"),
        ({"horizon": "1"}, TypeError, "`horizon` must be a number"),
        ({"q": 0.8, "epsilon": 0.5}, ValueError, "`epsilon` must be at least q²"),
        ({"a": -0.1}, ValueError, "`a` must be at least 0"),
        ({"a": float("nan")}, ValueError, "`a` must be finite"),
        ({"q": -0.1}, ValueError, "`q` must be at least 0"),
        ({"q": [0.1, float("inf"), 0, 0]}, ValueError, "`q` must be finite"),
        ({"sigma": -1}, ValueError, "`sigma` must be at least 0"),
        ({"epsilon": -1}, ValueError, "`epsilon` must be at least 0"),
        ({"c": -1}, ValueError, "`c` must be at least 0"),
        ({"rho": 1.1}, ValueError, "`rho` must be at most 1"),
        ({"rho": -1.1}, ValueError, "`rho` must be at least -1"),
        ({"a": [0.1, 0.2]}, ValueError, "`a` must be a scalar or hold one value per player"),
        ({"a": "much"}, TypeError, "`a` must be a number or an array"),
        ({"initial_std": -1.0}, ValueError, "`initial_std` must be at least 0"),
        ({"initial_mean": [0.0] * 3}, ValueError, "`initial_mean` must be a scalar or hold"),
        ({"weights": np.ones((4, 3))}, ValueError, "`weights` must have the shape"),
        ({"weights": np.full((4, 4), np.nan)}, ValueError, "`weights` must be finite"),
        ({"weights": np.ones(4)}, ValueError, "`weights` must have the shape"),
    ],
)
def test_bad_games_are_refused_at_the_door(changes, error, rule):
    with pytest.raises(error, match=rule) as caught:
        symmetric_game(**changes)
    assert "Received" in str(caught.value)


def test_a_game_without_a_method_says_which_one():
    game = fp.Game(players=2, horizon=1.0, steps=2)
    with pytest.raises(NotImplementedError, match="Game must define `drift`"):
        game.drift(0.0, None, None)


@pytest.mark.parametrize("structure", ["open_loop", "closed_loop"])
@pytest.mark.parametrize("time", ["discrete", "continuous"])
def test_a_large_symmetric_game_is_solved_without_its_matrices(structure, time, monkeypatch):
    game = symmetric_game(players=5, steps=6, initial_mean=[1.0, 0, 0, 0, -2.0], initial_std=0.3)
    expected = fp.lq.nash(game, structure, time)
    profile = sys.modules["fictitious_play.lq.inter_bank.profile"]
    monkeypatch.setattr(profile, "LARGEST_FORM", 4)
    found = fp.lq.nash(game, structure, time)
    assert isinstance(found, fp.lq.SymmetricProfile)
    np.testing.assert_allclose(found.cost, expected.cost, rtol=1e-12)
    np.testing.assert_allclose(found.gains, expected.gains, atol=1e-12)
    initial, noise, _ = sample(game)
    for one, two in zip(
        found.simulate(initial, noise), expected.simulate(initial, noise), strict=True
    ):
        np.testing.assert_allclose(one, two, atol=1e-12)
    form = game.linear_quadratic_form()
    np.testing.assert_allclose(fp.lq.mean_field_cost(game), fp.lq.mean_field_cost(form), rtol=1e-13)
