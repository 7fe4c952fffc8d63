"""Linear-quadratic games given as matrices: against the exact theory and the inter-bank game."""

import keras
import numpy as np
import pytest
from keras import ops

import fictitious_play as fp
from fictitious_play import rollout
from fictitious_play.games import superposition
from tests.fictitious_play.cases import asymmetric_game, sample, symmetric_game
from tests.fictitious_play.lq.lq_games import vector_game

ALONE = {"sizes": (2,), "n": 2}


def tensors(*arrays):
    return [ops.convert_to_tensor(array) for array in arrays]


def games():
    unequal = fp.LinearQuadraticGame.from_form(vector_game(steps=5))
    varying = fp.LinearQuadraticGame.from_form(vector_game(steps=4, varying=True, seed=3))
    alone = fp.LinearQuadraticGame.from_form(vector_game(steps=3, **ALONE))
    bank = fp.LinearQuadraticGame.from_form(
        asymmetric_game(players=4, steps=5).linear_quadratic_form()
    )
    coupled = fp.LinearQuadraticGame.from_form(
        vector_game(steps=4, varying=True, coupled=True, discount=0.6, seed=4)
    )
    return {
        "others' controls": coupled,
        "unequal": unequal,
        "varying": varying,
        "one player": alone,
        "inter-bank": bank,
    }


@pytest.fixture(params=list(games()))
def game(request):
    return games()[request.param]


def test_costs_and_states_are_those_of_the_exact_theory(game):
    form = game.linear_quadratic_form()
    initial, noise, controls = sample(game)
    exact = fp.lq.simulate_controls(
        form, game.stacked_controls(controls.reshape(-1, *game.controls_shape)), initial, noise
    )
    arguments = tensors(initial, controls, noise)
    np.testing.assert_allclose(rollout.joint_costs(game, *arguments), exact.cost, rtol=1e-12)
    np.testing.assert_allclose(rollout.joint_states(game, *arguments), exact.states, atol=1e-12)


def test_superposition_gives_the_costs_of_simulated_deviations(game, rng, monkeypatch):
    initial, noise, others = sample(game)
    own = rng.standard_normal(others.shape)
    arguments = tensors(initial, own, others, noise)
    simulated = rollout.deviation_costs(game, *arguments)
    for pays in (True, False):
        monkeypatch.setattr(fp.LinearQuadraticGame, "_superposition_pays", pays)
        np.testing.assert_allclose(game.deviation_costs(*arguments), simulated, rtol=1e-12)


def test_superposition_is_used_where_it_takes_fewer_products(monkeypatch):
    calls = []
    responses = superposition.impulse_responses
    monkeypatch.setattr(
        superposition, "impulse_responses", lambda *a: calls.append(1) or responses(*a)
    )
    cheap = fp.LinearQuadraticGame.from_form(symmetric_game(players=6).linear_quadratic_form())
    long = fp.LinearQuadraticGame.from_form(vector_game(steps=300, sizes=(1, 1), n=1))
    alone = fp.LinearQuadraticGame.from_form(vector_game(steps=3, **ALONE))
    for game, used in ((cheap, 1), (long, 0), (alone, 0)):
        calls.clear()
        initial, noise, controls = sample(game, paths=2)
        game.deviation_costs(*tensors(initial, 0 * controls, controls, noise))
        assert len(calls) == used


@pytest.mark.parametrize("make", [symmetric_game, asymmetric_game])
def test_the_inter_bank_game_is_a_case_with_the_same_numbers(make, rng):
    bank = make()
    game = fp.LinearQuadraticGame.from_form(bank.linear_quadratic_form())
    assert game.controls_shape == bank.controls_shape
    initial, noise, others = sample(bank)
    normals = rng.standard_normal((8, bank.players))
    np.testing.assert_allclose(game.initial_states(normals), bank.initial_states(normals))
    own = rng.standard_normal(others.shape)
    for function, arguments in (
        (rollout.joint_costs, (initial, own, noise)),
        (rollout.joint_states, (initial, own, noise)),
    ):
        expected = function(bank, *tensors(*arguments))
        np.testing.assert_allclose(function(game, *tensors(*arguments)), expected, rtol=1e-11)
    arguments = tensors(initial, own, others, noise)
    np.testing.assert_allclose(
        game.deviation_costs(*arguments), bank.deviation_costs(*arguments), rtol=1e-12
    )
    for time in ("discrete", "continuous"):
        for structure in ("open_loop", "closed_loop"):
            kind = {"information_structure": structure, "time": time}
            np.testing.assert_allclose(
                fp.lq.nash(game, **kind).cost, fp.lq.nash(bank, **kind).cost, rtol=1e-9
            )


def test_the_inter_bank_game_is_solved_alike_as_a_case():
    bank = asymmetric_game(players=2, steps=2)
    game = fp.LinearQuadraticGame.from_form(bank.linear_quadratic_form())
    settings = {
        "stages": 2,
        "steps_per_stage": 5,
        "validation_paths": 128,
        "progress": False,
        "regret_every": None,
    }
    one, two = (
        fp.DeepFictitiousPlay(each, hidden=(6,), seed=2, dtype="float64").solve(**settings)
        for each in (bank, game)
    )
    np.testing.assert_allclose(one.cost, two.cost, rtol=1e-10)


def test_padded_controls_have_no_effect_and_no_gradient(rng):
    import tensorflow as tf

    game = games()["unequal"]
    assert game.control_size == 2
    initial, noise, others = sample(game)
    own = tf.Variable(rng.standard_normal(others.shape))
    with tf.GradientTape() as tape:
        arguments = tensors(initial, others, noise)
        costs = game.deviation_costs(arguments[0], own, *arguments[1:])
    gradient = np.asarray(tape.gradient(costs, own))
    assert np.all(gradient[:, :, 1, 1] == 0.0)
    real = np.delete(gradient.reshape(*gradient.shape[:2], -1), 3, axis=-1)
    assert np.all(np.abs(real).max(axis=(0, 1)) > 0.0)
    changed = np.asarray(own).copy()
    changed[:, :, 1, 1] += 100.0
    again = game.deviation_costs(*tensors(initial, changed, others, noise))
    np.testing.assert_array_equal(again, costs)

    policy = (
        fp.DeepFictitiousPlay(game, hidden=(5,), skip=True)
        .solve(stages=2, steps_per_stage=4, validation_paths=32, progress=False, regret_every=None)
        .control(initial, noise)
    )
    assert policy.shape == (len(initial), game.steps, 3, 2)
    assert np.all(policy[:, :, 1, 1] == 0.0)
    assert np.all(np.abs(policy.reshape(-1, 6)[:, [0, 1, 2, 4, 5]]).max(axis=0) > 0.0)
    stacked = game.stacked_controls(policy)
    assert stacked.shape == (len(initial), game.steps, 5)
    np.testing.assert_array_equal(game.padded_controls(stacked), policy)
    with pytest.raises(ValueError, match=r"`controls` must have the shape.*Received"):
        game.stacked_controls(policy[:, :, :2])


def test_initial_states_have_the_given_covariance():
    covariance = np.array([[1.0, 0.6, 0.0], [0.6, 0.5, 0.0], [0.0, 0.0, 0.0]])
    form = vector_game(steps=2)
    game = fp.LinearQuadraticGame(
        form.A, form.B, form.Q, form.S, form.R, form.G, form.L, 1.0, 2, [1.0, 0.0, -1.0],
        initial_covariance=covariance,
    )  # fmt: skip
    # Mapping the identity shows the root: its square is the covariance.
    root = game.initial_states(np.eye(3)) - game.initial_mean
    np.testing.assert_allclose(root.T @ root, covariance, atol=1e-14)
    np.testing.assert_allclose(game.initial_std, np.sqrt(np.diagonal(covariance)))
    np.testing.assert_array_equal(game.linear_quadratic_form().initial_covariance, covariance)


def test_configuration_makes_the_same_game(game):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(game))
    assert copy.get_config() == game.get_config()
    for name in ("A", "G", "L", "initial_mean", "initial_covariance"):
        np.testing.assert_array_equal(
            getattr(copy.linear_quadratic_form(), name), getattr(game.linear_quadratic_form(), name)
        )


def test_a_game_of_vector_states_is_solved_to_its_exact_equilibrium():
    game = fp.convoy_game(players=2, steps=5)
    exact = fp.lq.nash(game)
    solver = fp.DeepFictitiousPlay(game, hidden=(8,), skip=True, seed=1)
    result = solver.solve(
        stages=6, steps_per_stage=40, validation_paths=1024, progress=False, regret_every=None
    )
    assert np.all(np.abs(result.relative_error(exact)) < 0.008)
    idle = fp.lq.profile_cost(game, np.zeros_like(exact.gains))
    assert np.all(idle > 1.5 * exact.cost)  # so the test has room to fail


def test_a_convoy_costs_what_its_formulas_say(rng):
    game = fp.convoy_game(3, 0.6, 4, position_weight=2.0, speed_weight=0.5, sigma=[0.1, 0.2, 0.3])
    initial, noise, controls = sample(game, paths=3)
    position, speed = initial[:, 0::2].copy(), initial[:, 1::2].copy()
    cost, h = 0.0, 0.15

    def strain():
        off = position.mean(axis=1, keepdims=True) - position
        drift = speed.mean(axis=1, keepdims=True) - speed
        return 0.5 * (2.0 * off**2 + 0.5 * drift**2)

    for step in range(4):
        push = controls[:, step, :, 0]
        cost = cost + h * (0.5 * push**2 + strain())
        shock = noise[:, step, 1:] * [0.1, 0.2, 0.3]
        position, speed = position + h * speed, speed + h * push + shock
    arguments = tensors(initial, controls, noise)
    np.testing.assert_allclose(rollout.joint_costs(game, *arguments), cost + strain(), rtol=1e-12)


class Taxed(fp.LinearQuadraticGame):
    def running_cost(self, time, states, controls):
        return super().running_cost(time, states, controls) + ops.abs(states[..., :1])


class CertainStart(fp.LinearQuadraticGame):
    def initial_states(self, normals):
        return self.initial_mean + 0.0 * normals


class CertainBanks(fp.InterBankGame):
    def initial_states(self, normals):
        return self.initial_mean + 0.0 * normals


def test_a_subclass_with_another_cost_or_initial_law_gets_no_shortcut(rng):
    form = vector_game(steps=4)
    taxed = Taxed.from_form(form)
    assert taxed.linear_quadratic_form() is None
    initial, noise, others = sample(taxed)
    arguments = tensors(initial, rng.standard_normal(others.shape), others, noise)
    np.testing.assert_array_equal(
        taxed.deviation_costs(*arguments), rollout.deviation_costs(taxed, *arguments)
    )
    assert CertainStart.from_form(form).linear_quadratic_form() is None
    assert CertainBanks(players=3).linear_quadratic_form() is None


def good():
    form = vector_game(steps=3, sizes=(1, 1), n=2)
    names = ("A", "B", "Q", "S", "R", "G", "L")
    return {"steps": 3, **{name: getattr(form, name) for name in names}}


@pytest.mark.parametrize(
    ("changes", "error", "rule"),
    [
        ({"A": np.ones((2, 3))}, ValueError, "`A` must have the shape"),
        ({"A": "matrix"}, TypeError, "`A` must be a number or an array"),
        ({"A": np.full((2, 2), np.nan)}, ValueError, "`A` must be finite"),
        ({"B": []}, ValueError, "`B` must have one matrix per player"),
        ({"B": 3.0}, TypeError, "`B` must be a sequence of matrices"),
        ({"R": [np.eye(1), -np.eye(1)]}, ValueError, "must be positive definite"),
        ({"G": [np.eye(2)]}, ValueError, "`G` must have one matrix for each of the 2 players"),
        ({"L": np.ones((4, 2, 2))}, ValueError, "`L` must have the shape"),
        ({"steps": 0}, ValueError, "`steps` must be at least 1"),
        ({"horizon": 0.0}, ValueError, "`horizon` must be greater than 0"),
        ({"discount": -201.0}, ValueError, "`discount` times `horizon` must be at most 200"),
        ({"initial_mean": [1.0]}, ValueError, "`initial_mean` must be a scalar or hold"),
        ({"initial_std": -1.0}, ValueError, "`initial_std` must be at least 0"),
        ({"initial_covariance": -np.eye(2)}, ValueError, "must be positive semidefinite"),
        ({"initial_covariance": np.eye(3)}, ValueError, "`initial_covariance` must have the shape"),
        ({"initial_covariance": np.eye(2), "initial_std": 1.0}, ValueError, "must be left out"),
    ],
)
def test_bad_matrices_are_refused(changes, error, rule):
    with pytest.raises(error, match=rule) as caught:
        fp.LinearQuadraticGame(**{**good(), **changes})
    assert "Received" in str(caught.value)


@pytest.mark.parametrize("structure", ["open_loop", "closed_loop"])
def test_the_players_of_a_zero_sum_game_share_one_path_cost(structure):
    matrices = {
        "A": [[0.0, 1.0], [0.0, 0.0]], "B": [[[0.0], [1.0]], [[0.0], [-1.0]]], "Q": np.eye(2),
        "S": None, "R": [[[1.0]], [[4.0]]], "G": np.diag([2.0, 0.0]), "L": 0.3 * np.eye(2),
        "steps": 5, "initial_mean": [1.0, 0.0], "discount": 0.5,
    }  # fmt: skip
    game = fp.zero_sum(**matrices, initial_std=0.2)
    initial, noise, controls = sample(game)
    costs = np.asarray(rollout.joint_costs(game, *tensors(initial, controls, noise)))
    np.testing.assert_allclose(costs[:, 0], -costs[:, 1], rtol=1e-12)
    form = fp.lq.zero_sum_form(**matrices, horizon=1.0, initial_covariance=0.04 * np.eye(2))
    exact = fp.lq.nash(game, structure)
    np.testing.assert_allclose(exact.cost, fp.lq.nash(form, structure).cost, rtol=1e-13)
    again = fp.LinearQuadraticGame.from_config(game.get_config())
    np.testing.assert_array_equal(fp.lq.nash(again, structure).cost, exact.cost)
