"""Equilibria of general games: against brute force, other programs, other limits and simulation."""

import dataclasses

import numpy as np
import pytest
from lq_brute_force import brute_cost, brute_force
from lq_games import asymmetric_game, general, reference_game, vector_game
from scipy.linalg import solve_discrete_are
from scipy.optimize import minimize

from fictitious_play import lq

INFORMATION = ["open_loop", "closed_loop"]


GAMES = {
    "reference": lambda: reference_game(3),
    "asymmetric": lambda: asymmetric_game(4, 3),
    "vector": vector_game,
    "varying": lambda: vector_game(varying=True, seed=2),
    "one player": lambda: vector_game(sizes=(2,), seed=3),
    "one step": lambda: vector_game(steps=1, seed=4),
    "others' controls": lambda: vector_game(coupled=True, discount=0.7, seed=5),
    "all varying": lambda: vector_game(coupled=True, discount=-0.3, varying=True, seed=8),
}


@pytest.mark.parametrize("name", GAMES)
def test_open_loop_is_the_brute_force_equilibrium(name):
    form = GAMES[name]()
    exact = lq.nash(form)
    expected = brute_force(form)
    coefficients = lq.feedback_coefficients(form, exact.gains)
    np.testing.assert_allclose(coefficients, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(exact.cost, brute_cost(form, expected), rtol=1e-12)


@pytest.mark.parametrize("name", GAMES)
def test_closed_loop_gains_cannot_be_improved_by_search(name):
    form = GAMES[name]()
    exact = lq.nash(form, "closed_loop")
    # With a full-rank initial covariance the best feedback is unique.
    spread = dataclasses.replace(form, initial_covariance=np.eye(form.state_size))
    ends = np.cumsum(form.control_sizes)
    player = form.players - 1
    where = slice(ends[player] - form.control_sizes[player], ends[player])

    def cost(own):
        gains = exact.gains.copy()
        gains[:, where] = own.reshape(gains[:, where].shape)
        return brute_cost(spread, lq.feedback_coefficients(spread, gains))[player]

    best = exact.gains[:, where].ravel()
    # The cost is a polynomial in the gains: central differences see its gradient vanish.
    step = 1e-4
    for direction in np.eye(len(best)):
        slope = (cost(best + step * direction) - cost(best - step * direction)) / (2 * step)
        assert abs(slope) < 1e-7
    found = minimize(cost, 0.0 * best, method="BFGS", options={"gtol": 1e-7})
    assert found.fun >= cost(best) - 1e-12
    np.testing.assert_allclose(found.x, best, atol=2e-5)


def test_one_player_is_the_linear_quadratic_regulator():
    form = vector_game(steps=4000, sizes=(2,), seed=5, horizon=400.0)
    h, n = form.step_size, form.state_size
    P = solve_discrete_are(
        np.eye(n) + h * form.A, h * form.B[0], h * form.Q[0], h * form.R[0], s=h * form.S[0].T
    )
    A_hat, B = np.eye(n) + h * form.A, h * form.B[0]
    expected = -np.linalg.solve(h * form.R[0] + B.T @ P @ B, h * form.S[0] + B.T @ P @ A_hat)
    for structure in INFORMATION:
        np.testing.assert_allclose(lq.nash(form, structure).gains[0], expected, atol=1e-10)


def test_two_players_against_quantecon():
    nnash = pytest.importorskip("quantecon").nnash
    generator = np.random.default_rng(6)
    A = np.eye(3) + 0.1 * generator.normal(size=(3, 3))
    B = [0.3 * generator.normal(size=(3, k)) for k in (2, 1)]
    Q = [np.diag([1.0, 0.2, 0.5]), np.diag([0.1, 2.0, 0.3])]
    R = [np.diag([1.0, 2.0]), np.array([[0.7]])]
    S = [0.05 * generator.normal(size=(k, 3)) for k in (2, 1)]
    beta = 0.95
    zero = np.zeros
    F1, F2, _, _ = nnash(
        A,
        *B,
        *Q,
        *R,
        zero((1, 1)),
        zero((2, 2)),
        S[0].T,
        S[1].T,
        zero((1, 2)),
        zero((2, 1)),
        beta=beta,
        tol=1e-13,
        max_iter=5000,
    )
    form = lq.LinearQuadraticForm(
        A=np.sqrt(beta) * A - np.eye(3),
        B=[np.sqrt(beta) * b for b in B],
        Q=Q,
        S=S,
        R=R,
        G=[zero((3, 3))] * 2,
        L=None,
        horizon=600.0,
        steps=600,
        initial_mean=zero(3),
        initial_covariance=np.eye(3),
    )
    gains = lq.nash(form, "closed_loop").gains[0]
    np.testing.assert_allclose(gains, -np.vstack([F1, F2]), atol=1e-11)


@pytest.mark.parametrize("name", ["asymmetric", "vector", "varying", "others' controls"])
@pytest.mark.parametrize("structure", INFORMATION)
def test_discrete_tends_to_continuous_at_first_order(name, structure):
    form = GAMES[name]()
    exact = lq.nash(form, structure, "continuous")

    def refined(factor):
        repeat = {}
        if form.A.ndim == 3:
            split = lambda x: np.repeat(x, factor, axis=0)  # noqa: E731
            repeat = {k: [split(x) for x in getattr(form, k)] for k in "BQSR"}
            repeat |= {"A": split(form.A), "L": split(form.L)}
        return dataclasses.replace(form, steps=factor * form.steps, **repeat)

    factors = [16, 32, 64]
    costs = np.array([lq.nash(refined(k), structure).cost for k in factors])
    errors = np.abs(costs - exact.cost).max(axis=1)
    np.testing.assert_allclose(np.log2(errors[:-1] / errors[1:]), 1.0, atol=0.05)
    twice = 2.0 * costs[1:] - costs[:-1]
    extrapolated = (4.0 * twice[1] - twice[0]) / 3.0
    np.testing.assert_allclose(extrapolated, exact.cost, rtol=2e-6)


@pytest.mark.parametrize("structure", INFORMATION)
def test_continuous_ode_agrees_with_the_closed_form(structure):
    closed = lq.nash(reference_game(), structure, "continuous")
    ode = lq.nash(general(reference_game()), structure, "continuous")
    np.testing.assert_allclose(ode.cost, closed.cost, rtol=1e-11)
    np.testing.assert_allclose(ode.gains, closed.gains, rtol=0, atol=1e-11)


@pytest.mark.parametrize("structure", INFORMATION)
@pytest.mark.parametrize("name", ["asymmetric", "vector", "varying", "all varying"])
def test_monte_carlo(name, structure):
    form = GAMES[name]()
    exact = lq.nash(form, structure)
    states, controls, cost = exact.simulate(*form.sample(20_000, seed=7))
    assert states.shape == (20_000, form.steps + 1, form.state_size)
    assert controls.shape == (20_000, form.steps, form.control_size)
    error = cost.std(axis=0, ddof=1) / np.sqrt(len(cost))
    assert np.all(np.abs(cost.mean(axis=0) - exact.cost) < 4.0 * error)
    covariance = lq.state_covariances(form, exact.gains)[-1]
    np.testing.assert_allclose(np.cov(states[:, -1].T), covariance, atol=0.06 * covariance.max())


def test_equilibrium_controls_are_linear_in_the_noise():
    form = asymmetric_game()
    exact = lq.nash(form)
    initial, noise = form.sample(50)
    coefficients = lq.feedback_coefficients(form, exact.gains)
    expected = lq.evaluate(form, coefficients, initial, noise)
    np.testing.assert_allclose(exact.controls(initial, noise), expected, atol=1e-13)
    again = lq.simulate_controls(form, expected, initial, noise)
    np.testing.assert_allclose(again.cost, exact.simulate(initial, noise).cost, rtol=1e-12)


def test_common_noise_cancels_when_rows_sum_to_one_and_only_then():
    def cost(rho, weights):
        game = lq.inter_bank_form(2, 1.0, 5, 0.3, 0.2, 1.0, 0.5, [1.0, 1.0], rho, weights)
        return lq.nash(game).cost

    fair = [[0.3, 0.7], [0.6, 0.4]]
    np.testing.assert_allclose(cost(1.0, fair), 0.0, atol=1e-15)
    assert np.all(cost(1.0, [[0.3, 0.9], [0.6, 0.4]])[0] > 0.01)


@pytest.mark.parametrize("horizon", [1e-3, 16.0])
@pytest.mark.parametrize("steps", [1, 20])
@pytest.mark.parametrize("sigma, D, c", [(0, 1, 1), (1, 0, 1), (1, 1, 0), (1, 0, 0), (0, 0, 0)])
def test_extreme_games_have_finite_costs(horizon, steps, sigma, D, c):
    game = lq.inter_bank_form(2, horizon, steps, 0.5, 0.4, 0.16 + D, c, sigma, 0.5, None, 0.0, 0.3)
    for structure in INFORMATION:
        for time in ("discrete", "continuous"):
            closed = lq.nash(game, structure, time)
            other = lq.nash(general(game), structure, time)
            np.testing.assert_allclose(closed.cost, other.cost, rtol=1e-9, atol=1e-13)
            assert np.all(closed.cost >= 0.0)
    play = lq.exact_play(game, 40)
    assert lq.contraction(game) < 1.0
    assert not play.error[-1] > play.error[0]


def test_anything_that_gives_a_form_is_a_game():
    class Game:
        def linear_quadratic_form(self):
            return reference_game()

    np.testing.assert_array_equal(lq.nash(Game()).cost, lq.nash(reference_game()).cost)


@pytest.mark.parametrize("function", [lq.nash, lq.contraction, lambda g: lq.exact_play(g, 1)])
def test_other_objects_are_refused(function):
    class Wrong:
        def linear_quadratic_form(self):
            return 3

    for game in (3, None, Wrong(), lq.LinearQuadraticForm):
        with pytest.raises(TypeError, match=r"linear_quadratic_form.*Received: "):
            function(game)


@pytest.mark.parametrize(
    "option", [{"information_structure": "feedback"}, {"time": "now"}, {"time": None}]
)
def test_unknown_options(option):
    with pytest.raises(ValueError, match="must be one of"):
        lq.nash(reference_game(), **option)


def test_simulation_refuses_what_does_not_fit():
    exact = lq.nash(reference_game(3))
    initial, noise = exact.form.sample(4)
    for wrong in (noise[:, :2], noise[:3], noise[:, :, :5], np.full_like(noise, np.nan)):
        with pytest.raises(ValueError, match="Received"):
            exact.controls(initial, wrong)
    broken = initial.copy()
    broken[2, 1] = np.nan
    with pytest.raises(ValueError, match=r"nan at \(2, 1\)"):
        exact.simulate(broken, noise)
    with pytest.raises(ValueError, match="at least one path"):
        exact.simulate(initial[:0], noise[:0])
