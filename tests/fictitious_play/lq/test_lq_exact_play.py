"""Exact fictitious play: its limit, its stages, its beliefs and its best responses."""

import dataclasses

import numpy as np
import pytest
from lq_games import asymmetric_game, random_coefficients, reference_game, vector_game
from scipy.optimize import minimize

from fictitious_play import lq

GAMES = {
    "reference": reference_game,
    "asymmetric": asymmetric_game,
    "vector": vector_game,
    "varying": lambda: vector_game(varying=True, seed=2),
    "others' controls": lambda: vector_game(coupled=True, discount=0.7, seed=5),
}


@pytest.mark.parametrize("belief", ["last", "damped", "sequential"])
@pytest.mark.parametrize("name", GAMES)
def test_the_limit_is_the_open_loop_equilibrium(name, belief):
    game = GAMES[name]()
    play = lq.exact_play(game, 90, belief, initial=0.5)
    exact = lq.nash(game)
    assert play.error[0] > 1e-3
    assert play.error[-1] < 1e-12
    np.testing.assert_allclose(play.cost[-1], exact.cost, rtol=1e-12)
    initial, noise = game.sample(20)
    expected = exact.controls(initial, noise)
    np.testing.assert_allclose(play.controls(initial, noise), expected, rtol=0, atol=2e-12)


def test_every_belief_moves_an_eigenvector_at_its_own_rate():
    game = reference_game(8)
    values, vectors = np.linalg.eig(lq.stage_map(game))
    slowest = np.argmax(np.abs(values))
    factor = values[slowest].real
    start = lq.feedback_coefficients(game, lq.nash(game).gains)
    start[:, :, 0] += vectors[:, slowest].real.reshape(8, 5)

    def error(belief, damping=0.5):
        play = lq.exact_play(game, 12, belief, damping, start)
        return play.error[1:] / play.error[:-1]

    stage = np.arange(2, 13)
    np.testing.assert_allclose(error("last"), factor, rtol=1e-7)
    np.testing.assert_allclose(error("damped", 0.3), 0.7 + 0.3 * factor, rtol=1e-7)
    np.testing.assert_allclose(error("average"), 1.0 + (factor - 1.0) / (stage + 1), rtol=1e-7)


@pytest.mark.parametrize("name", ["asymmetric", "vector"])
def test_a_best_response_is_the_minimum(name):
    game = GAMES[name]()
    profile = random_coefficients(game, 3)
    free = random_coefficients(game, 4) != 0.0
    for player in range(game.players):
        owned = free & (game.owner == player)[None, :, None]
        best = profile.copy()
        best[:, game.owner == player] = lq.best_response(game, profile, player)

        def cost(values, player=player, owned=owned):
            trial = profile.copy()
            trial[owned] = values
            return lq.coefficient_cost(game, trial)[player]

        base = cost(best[owned])
        generator = np.random.default_rng(player)
        for _ in range(5):
            direction = generator.normal(size=owned.sum())
            up, down = (cost(best[owned] + s * direction) for s in (1.0, -1.0))
            # A quadratic with its minimum here: no slope, and curvature upwards.
            assert up - down == pytest.approx(0.0, abs=1e-11 * up)
            assert min(up, down) > base


def test_a_best_response_found_by_search():
    game = vector_game(steps=2)
    profile = random_coefficients(game, 3)
    owned = (random_coefficients(game, 4) != 0.0) & (game.owner == 0)[None, :, None]

    def cost(values):
        trial = profile.copy()
        trial[owned] = values
        return lq.coefficient_cost(game, trial)[0]

    found = minimize(cost, profile[owned], method="BFGS", options={"gtol": 1e-8})
    best = profile.copy()
    best[:, game.owner == 0] = lq.best_response(game, profile, 0)
    np.testing.assert_allclose(found.x, best[owned], atol=1e-5)


@pytest.mark.parametrize("name", GAMES)
def test_the_equilibrium_responds_to_itself(name):
    game = GAMES[name]()
    coefficients = lq.feedback_coefficients(game, lq.nash(game).gains)
    response = lq.best_response(game, coefficients)
    np.testing.assert_allclose(response, coefficients, rtol=0, atol=1e-13)


def test_costs_of_a_linear_profile_by_simulation():
    game = vector_game()
    coefficients = random_coefficients(game, 5)
    initial, noise = game.sample(40_000, seed=1)
    controls = lq.evaluate(game, coefficients, initial, noise)
    cost = lq.simulate_controls(game, controls, initial, noise).cost
    error = cost.std(axis=0, ddof=1) / np.sqrt(len(cost))
    assert np.all(np.abs(cost.mean(axis=0) - lq.coefficient_cost(game, coefficients)) < 4 * error)


def test_gains_and_their_coefficients_cost_the_same():
    game = asymmetric_game()
    gains = 0.3 * np.random.default_rng(2).normal(size=(6, 4, 4))
    expected = lq.profile_cost(game, gains)
    result = lq.coefficient_cost(game, lq.feedback_coefficients(game, gains))
    np.testing.assert_allclose(result, expected, rtol=1e-13)


def test_beliefs_stage_by_stage():
    game = asymmetric_game()
    start = random_coefficients(game, 6)
    first = lq.best_response(game, start)
    options = {"stages": 3, "initial": start, "keep_stages": True}

    last = lq.exact_play(game, **options)
    second = lq.best_response(game, first)
    np.testing.assert_array_equal(last.belief_stages[0], first)
    np.testing.assert_array_equal(last.belief_stages[1], second)
    assert last.cost is not last.response_cost
    np.testing.assert_array_equal(last.cost, last.response_cost)

    average = lq.exact_play(game, belief="average", **options)
    belief = (start + first) / 2
    np.testing.assert_allclose(average.belief_stages[0], belief, atol=1e-15)
    second = lq.best_response(game, belief)
    np.testing.assert_allclose(average.response_stages[1], second, atol=1e-15)
    np.testing.assert_allclose(average.belief_stages[1], (start + first + second) / 3, atol=1e-15)

    damped = lq.exact_play(game, belief="damped", damping=0.3, **options)
    belief = 0.7 * start + 0.3 * first
    np.testing.assert_allclose(damped.belief_stages[0], belief, atol=1e-15)
    expected = 0.7 * belief + 0.3 * lq.best_response(game, belief)
    np.testing.assert_allclose(damped.belief_stages[1], expected, atol=1e-15)
    np.testing.assert_allclose(damped.cost[1], lq.coefficient_cost(game, expected), rtol=1e-13)

    turns = start.copy()
    for i in range(4):
        turns[:, i : i + 1] = lq.best_response(game, turns, i)
    sequential = lq.exact_play(game, belief="sequential", **options)
    np.testing.assert_allclose(sequential.belief_stages[0], turns, atol=1e-15)


def test_damping_of_one_is_plain_play():
    plain = lq.exact_play(reference_game(), 4)
    damped = lq.exact_play(reference_game(), 4, "damped", damping=1.0)
    np.testing.assert_allclose(damped.error, plain.error, rtol=1e-10)


def test_best_response_gains_tend_to_the_closed_form():
    # Hu 2019 (3.16): a player's own Riccati matrix is K(t) ζ_i'ζ_i, up to the time step.
    def gap(steps):
        game = reference_game(steps)
        zeta = 0.2 - np.eye(5)[0]
        own = lq.best_response(game, np.zeros((steps, 5, 6 + 6 * steps)), 0)
        p = game.symmetric_parameters
        b, C = lq.riccati_coefficients(p, "best_response")
        gain = p.q + p.kappa * lq.riccati(1.0, b, C, p.D, p.c)
        return np.abs(own[0, 0, 1:6] - gain * zeta).max()

    assert gap(40) < 0.02
    assert gap(40) / gap(80) == pytest.approx(2.0, abs=0.05)


def test_a_single_player_is_done_after_one_stage():
    play = lq.exact_play(vector_game(sizes=(2,), seed=3), 2)
    assert play.error[0] < 1e-13


def test_without_noise_or_spread_errors_are_undefined():
    game = reference_game(4, sigma=0.0, initial_mean=0.0)
    assert np.all(np.isnan(lq.exact_play(game, 2).error))


def test_constant_beliefs():
    game = reference_game(3)
    constant = np.arange(5.0)
    kept = lq.exact_play(game, 1, "damped", damping=1e-12, initial=constant)
    np.testing.assert_allclose(kept.coefficients[:, :, 0], np.tile(constant, (3, 1)), atol=1e-9)


@pytest.mark.parametrize(
    "change, error",
    [
        ({"stages": 0}, ValueError),
        ({"stages": 2.0}, TypeError),
        ({"belief": "first"}, ValueError),
        ({"damping": 0.0}, ValueError),
        ({"damping": 1.5}, ValueError),
        ({"damping": "half"}, TypeError),
        ({"initial": np.zeros(4)}, ValueError),
        ({"initial": np.ones((3, 5, 24))}, ValueError),
        ({"initial": np.zeros((3, 5, 23))}, ValueError),
        ({"initial": np.nan}, ValueError),
        ({"initial": "zero"}, TypeError),
    ],
)
def test_bad_input(change, error):
    with pytest.raises(error, match="Received: "):
        lq.exact_play(reference_game(3), **({"stages": 1} | change))


@pytest.mark.parametrize("player, error", [(5, ValueError), (-1, ValueError), (0.0, TypeError)])
def test_bad_player(player, error):
    with pytest.raises(error, match="Received: "):
        lq.best_response(reference_game(3), np.zeros((3, 5, 24)), player)


def test_forms_are_not_mixed_up_by_replace():
    game = reference_game(3)
    longer = dataclasses.replace(game, steps=4)
    assert lq.exact_play(longer, 1).coefficients.shape == (4, 5, 30)
