"""Equilibria of general games: against brute force, other programs, other limits and simulation."""

import dataclasses

import numpy as np
import pytest
from lq_games import asymmetric_game, general, reference_game, signed_game, vector_game
from scipy.linalg import solve_discrete_are
from scipy.optimize import minimize

from fictitious_play import lq

INFORMATION = ["open_loop", "closed_loop"]


def lifted(form):
    """The whole horizon as one system, written independently: `X_t = a_t x_0 + b_t u + c_t w`.

    `u` stacks the controls of all steps, `w` the noises of all steps.
    """
    h, n, K, m = form.step_size, form.state_size, form.control_size, form.noise_size
    a, b = [np.eye(n)], [np.zeros((n, form.steps * K))]
    c = [np.zeros((n, form.steps * m))]
    for t in range(form.steps):
        varying = [x[t] if np.ndim(x) == 3 else x for x in (form.A, form.L, *form.B)]
        A, L, B = varying[0], varying[1], np.hstack(varying[2:])
        step = np.eye(n) + h * A
        a.append(step @ a[-1])
        b.append(step @ b[-1])
        c.append(step @ c[-1])
        b[-1][:, t * K : (t + 1) * K] += h * B
        c[-1][:, t * m : (t + 1) * m] += L
    return a, b, c


def weights(form, i, t):
    """`Q`, `S` and `R` of player `i` on everybody's controls, discounted, written independently."""
    Q, S, R = (x[i][t] if np.ndim(x[i]) == 3 else x[i] for x in (form.Q, form.S, form.R))
    ends = np.cumsum(form.control_sizes)
    pick = np.eye(form.control_size)[ends[i] - form.control_sizes[i] : ends[i]]
    S = S if len(S) == form.control_size else pick.T @ S
    R = R if len(R) == form.control_size else pick.T @ R @ pick
    worth = np.exp(-form.discount * form.horizon * t / form.steps)
    return worth * Q, worth * S, worth * R


def stationarity(form):
    """Hessians of every player's cost in all stacked controls, and their slopes in the basis."""
    h, n, m = form.step_size, form.state_size, form.noise_size
    K, size = form.control_size, form.steps * form.control_size
    a, b, c = lifted(form)
    hessians = np.zeros((form.players, size, size))
    slopes = np.zeros((form.players, size, 1 + n + form.steps * m))
    for i in range(form.players):
        for t in range(form.steps + 1):
            state = np.hstack([np.zeros((n, 1)), a[t], c[t]])
            if t == form.steps:
                G = np.exp(-form.discount * form.horizon) * form.G[i]
                hessians[i] += b[t].T @ G @ b[t]
                slopes[i] += b[t].T @ G @ state
                continue
            Q, S, R = weights(form, i, t)
            pick = np.eye(size)[t * K : (t + 1) * K]
            cross = pick.T @ S @ b[t]
            hessians[i] += h * (b[t].T @ Q @ b[t] + cross + cross.T + pick.T @ R @ pick)
            slopes[i] += h * (b[t].T @ Q + pick.T @ S) @ state
    return hessians, slopes


def brute_force(form):
    """Open-loop equilibrium by one linear system over all linear functionals of (1, x_0, noise).

    Each player's cost is a quadratic in the stacked controls; column by column of the basis the
    stationarity of every player's cost in her own controls, those that are allowed to see the
    column, is one linear equation.
    """
    n, K, m = form.state_size, form.control_size, form.noise_size
    size, whose = form.steps * K, np.tile(form.owner, form.steps)
    hessians, slopes = stationarity(form)
    curvature, slope = hessians[whose, np.arange(size)], slopes[whose, np.arange(size)]
    result = np.zeros((size, slope.shape[1]))
    for column in range(slope.shape[1]):
        first = 0 if column <= n else (column - 1 - n) // m + 1
        free = slice(first * K, size)
        result[free, column] = -np.linalg.solve(curvature[free, free], slope[free, column])
    return result.reshape(form.steps, K, -1)


def brute_cost(form, coefficients):
    """Expected costs of a linear profile, from the lifted system."""
    h, n, K = form.step_size, form.state_size, form.control_size
    a, b, c = lifted(form)
    mean = np.concatenate([[1.0], form.initial_mean])
    moment = h * np.eye(coefficients.shape[-1])
    moment[: 1 + n, : 1 + n] = np.outer(mean, mean)
    moment[1 : 1 + n, 1 : 1 + n] += form.initial_covariance
    u = coefficients.reshape(-1, coefficients.shape[-1])
    costs = []
    for i in range(form.players):
        total = 0.0
        for t in range(form.steps + 1):
            x = np.hstack([np.zeros((n, 1)), a[t], c[t]]) + b[t] @ u
            if t == form.steps:
                worth = np.exp(-form.discount * form.horizon)
                total += 0.5 * worth * np.trace(form.G[i] @ x @ moment @ x.T)
                continue
            Q, S, R = weights(form, i, t)
            v = u[t * K : (t + 1) * K]
            total += 0.5 * h * np.trace(Q @ x @ moment @ x.T)
            total += h * np.trace((S @ x + 0.5 * R @ v) @ moment @ v.T)
        costs.append(total)
    return np.array(costs)


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


def stacked(games):
    """Arrays of a batch of games whose players have equally many controls."""
    fields = {"A": [], "B": [], "Q": [], "S": [], "R": [], "G": [], "L": []}
    for game in games:
        for name, values in fields.items():
            values.append(np.stack(getattr(game, name)))
    arrays = {name: np.stack(values) for name, values in fields.items()}
    arrays["initial_mean"] = np.stack([game.initial_mean for game in games])
    arrays["initial_covariance"] = np.stack([game.initial_covariance for game in games])
    return arrays


@pytest.mark.parametrize("coupled", [False, True])
@pytest.mark.parametrize("structure", INFORMATION)
def test_batch_of_general_games_is_the_loop(structure, coupled):
    kind = {"sizes": (2, 2, 2), "coupled": coupled, "discount": 0.5 * coupled}
    games = [vector_game(**kind, seed=seed) for seed in range(10, 16)]
    arrays = stacked(games)
    options = {
        "horizon": 0.9,
        "steps": 4,
        "information_structure": structure,
        "discount": 0.5 * coupled,
    }
    batch = lq.discrete_nash_batch(**arrays, **options)
    assert batch.gains.shape == (6, 4, 6, 3)
    assert np.all(batch.exists)
    for i, game in enumerate(games):
        one = lq.nash(game, structure)
        np.testing.assert_allclose(batch.cost[i], one.cost, rtol=1e-12)
        np.testing.assert_allclose(batch.gains[i], one.gains, rtol=0, atol=1e-12)
    shaped = {k: v.reshape(2, 3, *v.shape[1:]) for k, v in arrays.items()}
    np.testing.assert_allclose(
        lq.discrete_nash_batch(**shaped, **options).cost.reshape(6, 3), batch.cost, rtol=1e-13
    )
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        on_jax = {k: jax.numpy.asarray(v) for k, v in arrays.items()}
        result = jax.jit(lambda a: lq.discrete_nash_batch(**a, **options).cost)(on_jax)
        np.testing.assert_allclose(result, batch.cost, rtol=1e-12)
        gains = lq.discrete_nash_batch(**on_jax, **options).gains
        np.testing.assert_allclose(gains, batch.gains, rtol=0, atol=1e-12)


def test_batch_says_which_games_have_an_equilibrium():
    games = [signed_game(1.5, 2.0), signed_game(-3.0, 2.0)]
    batch = lq.discrete_nash_batch(**stacked(games), horizon=2.0, steps=40)
    np.testing.assert_array_equal(batch.exists, [True, True])
    # Where the continuous-time solution escapes.
    assert np.nonzero(batch.determinant[0] <= 0.0)[0].max() == 7
    np.testing.assert_allclose(batch.cost, [lq.nash(game).cost for game in games], rtol=1e-9)
    arrays = stacked([games[1]] * 3)
    arrays["G"] = arrays["G"] * np.array([1.0, 1.0, -30.0])[:, None, None, None]
    arrays["Q"] = arrays["Q"] * np.array([1.0, -2.0, 1.0])[:, None, None, None]
    for structure in INFORMATION:
        batch = lq.discrete_nash_batch(
            **arrays, horizon=2.0, steps=40, information_structure=structure
        )
        np.testing.assert_array_equal(batch.exists, [True, False, False])
        for q, g in ((-2.0, 1.0), (1.0, -30.0)):
            changed = dataclasses.replace(
                general(games[1]), Q=[q * x for x in games[1].Q], G=[g * x for x in games[1].G]
            )
            with pytest.raises(lq.NoEquilibriumError, match="curvature"):
                lq.nash(changed, structure)


def test_finite_escape_of_a_single_concave_player():
    def game(steps):
        one = np.eye(1)
        return lq.LinearQuadraticForm(
            A=0 * one,
            B=[one],
            Q=[0 * one],
            S=None,
            R=None,
            G=[-one],
            L=one,
            horizon=2.5,
            steps=steps,
            initial_mean=[0.0],
            initial_covariance=one,
        )

    # P' = P², P(T) = -1: P = -1/(1 - (T - t)) escapes at t = T - 1.
    for structure in INFORMATION:
        with pytest.raises(lq.NoEquilibriumError) as caught:
            lq.nash(game(5), structure, "continuous")
        assert caught.value.time == pytest.approx(1.5, abs=1e-7)
        with pytest.raises(lq.NoEquilibriumError) as caught:
            lq.nash(game(1000), structure)
        assert caught.value.time == pytest.approx(1.5, abs=0.02)
    with pytest.raises(lq.NoEquilibriumError, match="no best response"):
        lq.exact_play(game(10), 1)


def test_an_open_loop_candidate_without_convexity_is_no_equilibrium():
    # The two players' controls cancel in the state, so the coupled equations stay bounded although
    # the first player alone could push her cost to minus infinity.
    one = np.eye(1)
    form = lq.LinearQuadraticForm(
        A=0 * one,
        B=[one, one],
        Q=[0 * one] * 2,
        S=None,
        R=None,
        G=[-one, one],
        L=one,
        horizon=2.0,
        steps=20,
        initial_mean=[0.0],
        initial_covariance=one,
    )
    with pytest.raises(lq.NoEquilibriumError, match="player 0 is not convex"):
        lq.nash(form)
    with pytest.raises(lq.NoEquilibriumError, match="player 0 is not convex") as caught:
        lq.nash(form, time="continuous")
    assert caught.value.time == pytest.approx(1.0, abs=1e-6)
    assert np.all(np.isfinite(lq.nash(dataclasses.replace(form, horizon=0.5)).cost))


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
