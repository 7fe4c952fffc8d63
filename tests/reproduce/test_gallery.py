"""The games of the gallery: their truths against each other and against other programs."""

import ast

import numpy as np
import pytest
from scipy.integrate import quad

import fictitious_play as fp
from reproduce.games import gallery, games

GAMES = gallery.games()
#: All linear-quadratic games of the gallery, as they are published.
_LQ = [
    (case.make, case.information)
    for case in games.CASES
    if case.make not in ("FishWar", "portfolio")
]


def test_every_game_is_on_a_page_and_no_longer_than_forty_lines():
    lines = {}
    for _, tree in gallery.definitions():
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                lines[node.name] = node.end_lineno - first + 1
    assert lines.keys() >= {case.make for case in games.CASES}
    assert max(lines.values()) <= 40


@pytest.mark.parametrize(("make", "information"), _LQ)
def test_two_programs_give_the_same_equilibrium(make, information):
    """Riccati equations of the truths against those of the package, in both kinds of time."""
    game = GAMES[make]()
    truth = gallery.truth(make, game, information)
    exact = fp.lq.nash(game, information)
    size = np.abs(exact.cost).max()
    np.testing.assert_allclose(truth.cost, exact.cost, atol=1e-10 * size)
    rng = np.random.default_rng(0)
    initial = game.initial_states(rng.standard_normal((4, game.state_size)))
    noise = rng.standard_normal((4, game.steps, game.noise_size)) * game.step_size**0.5
    played = exact.simulate(initial, noise)
    np.testing.assert_allclose(truth.play(initial, noise)[1], played.controls, atol=1e-9)
    if truth.continuous is not None:
        flow = fp.lq.nash(game, information, time="continuous")
        np.testing.assert_allclose(truth.continuous, flow.cost, atol=1e-7 * size)


def test_the_duopoly_is_that_of_quantecon():
    """`nnash` on the infinite horizon, against the first of many periods."""
    quantecon = pytest.importorskip("quantecon")
    a0, a1, gamma, beta = 10.0, 2.0, 12.0, 0.96
    one, two = np.eye(3)[:, [1]], np.eye(3)[:, [2]]
    profits = []
    for own in (1, 2):
        R = np.zeros((3, 3))
        R[own, own] = a1
        R[0, own] = R[own, 0] = -0.5 * a0
        R[1, 2] = R[2, 1] = 0.5 * a1
        profits.append(R)
    first, second, *_ = quantecon.nnash(
        np.eye(3), one, two, *profits, gamma, gamma, 0, 0, 0, 0, 0, 0, beta=beta
    )
    _, gains = gallery.euler(GAMES["duopoly"](60), "closed_loop")
    np.testing.assert_allclose(gains[0], -np.vstack([first, second]), rtol=1e-6)
    _, short = gallery.euler(GAMES["duopoly"](), "closed_loop")
    np.testing.assert_allclose(short[0], gains[0], rtol=1e-4)


def mean_field_value(sigma, q, a, c, epsilon, rho, variance) -> float:
    """Carmona, Fouque and Sun (2015, Section 5), T = 1: ½ η_0 Var X_0 + ½ σ² (1-ρ²) ∫ η dt with
    η' = 2 (a + q) η + η² - (ε - q²) and η_T = c, whose solution has a hyperbolic tangent."""
    b, D = a + q, epsilon - q**2
    R = (b**2 + D) ** 0.5

    def eta(left):
        tau = np.tanh(R * left) / R
        return (c + (D - b * c) * tau) / (1.0 + (b + c) * tau)

    return 0.5 * (eta(1.0) * variance + sigma**2 * (1.0 - rho**2) * quad(eta, 0.0, 1.0)[0])


def saddle_value(evader, miss, sigma, distance_squared, dimensions) -> float:
    """Ho, Bryson and Baron (1965), T = 1: ½ K(1) |x_0|² and the noise's ½ σ² d ∫ K dτ, where
    1/K(τ) = 1/G + (1 - 1/R) τ, τ the time left."""
    rate = 1.0 - 1.0 / evader
    last = 1.0 / miss + rate
    return 0.5 * distance_squared / last + 0.5 * sigma**2 * dimensions * np.log(last * miss) / rate


def test_closed_forms_of_the_literature():
    """The mean-field value, the saddle and the stationary prices, as they are published and as
    Riccati equations have them."""
    value = mean_field_value(0.2, 1.0, 1.0, 1.0, 1.5, 0.2, 1.0 / 12.0)
    assert value == pytest.approx(0.0113878, abs=1e-7)
    limit = gallery.truth("SystemicRisk", GAMES["SystemicRisk"](), "closed_loop")
    assert limit.continuous[0] == pytest.approx(value, rel=1e-8)
    saddle = saddle_value(2.0, 1.0, 0.3, 1.25 + 2 * 0.3**2, 2)
    chase = gallery.truth("pursuit", GAMES["pursuit"](), "closed_loop")
    np.testing.assert_allclose(chase.continuous, [saddle, -saddle], rtol=1e-8)
    for information, price in (("open_loop", 5.3954), ("closed_loop", 4.8875)):
        stationary = GAMES["stationary_price"](information, a=10, c=1, s=1, r=0.1)
        assert stationary == pytest.approx(price, abs=1e-4)
        fine = GAMES["sticky_prices"](steps=1600, horizon=16.0)
        halfway = gallery.truth("sticky_prices", fine, information).price
        assert halfway == pytest.approx(stationary, rel=1e-3)


def test_the_crowd_of_the_mean_field_limit_is_that_of_many_banks():
    """The bank's cost is the limit of those of N banks, which approach it as 1/N."""
    players = np.array([1000.0, 2000.0])
    banks = fp.lq.SymmetricParameters(
        players, horizon=1.0, a=1.0, q=1.0, epsilon=1.5, c=1.0, sigma=0.2, rho=0.2,
        initial_spread=(1.0 - 1.0 / players) / 12.0,
    )  # fmt: skip
    cost = fp.lq.symmetric_nash(banks, steps=100, information_structure="closed_loop").cost
    limit = gallery.truth("SystemicRisk", GAMES["SystemicRisk"](), "closed_loop").cost[0]
    first, second = cost / limit - 1.0
    assert first / second == pytest.approx(2.0, rel=1e-3)
    assert abs(second) < 1e-3


def test_nobody_gains_by_another_share_of_the_fish():
    """Costs of the closed form, simulated; and a deviation in one season costs."""
    game = GAMES["FishWar"]()
    shares = GAMES["fish_shares"](game)
    assert shares[0] == pytest.approx((1 - 0.57) / (2 - 0.57), rel=2e-3)

    def cost(mine):
        level, total = 0.0, 0.0
        for t, (own, other) in enumerate(zip(mine, shares, strict=True)):
            total -= game.beta**t * (level + np.log(own))
            level = game.alpha * (level + np.log(1.0 - own - other))
        return total - game.beta**game.steps * (level - np.log(2.0))

    best = cost(shares)
    assert best == pytest.approx(GAMES["fish_cost"](game, shares), rel=1e-12)
    truth = gallery.truth("FishWar", game, "closed_loop")
    _, caught = truth.play(np.zeros((4, 1)), None)
    np.testing.assert_allclose(caught, np.broadcast_to(10 * shares[:, None], (4, 10, 2)))
    for season in (0, 5, 9):
        for change in (-1e-3, 1e-3):
            assert cost(shares + change * (np.arange(10) == season)) > best


def test_portfolios_settle_where_the_closed_form_is():
    game = GAMES["portfolio"]()
    truth = gallery.truth("portfolio", game, "open_loop")
    exact = game.equilibrium()
    np.testing.assert_allclose(truth.cost, exact.cost, rtol=1e-9)
    np.testing.assert_allclose(
        truth.play(np.zeros((1, 5)), None)[1][0, 0], exact.investment, atol=1e-7
    )


def test_a_biased_profile_is_measured(monkeypatch):
    """The item's errors of a profile that is off by a known amount."""

    class Biased:
        game = GAMES["liquidation"]()
        truth = gallery.truth("liquidation", game, "open_loop")
        cost, cost_standard_error = 1.02 * truth.cost, 0.001 * truth.cost

        def control(self, initial, noise):
            return 1.1 * self.truth.play(initial, noise)[1]

        def states(self, initial, noise):
            return self.truth.play(initial, noise)[0]

    case = next(case for case in games.CASES if case.make == "liquidation")
    found = games._measure(case, Biased(), Biased.truth, 0, 256)
    assert found["error"] == pytest.approx(0.02)
    assert found["control_error"] == pytest.approx(0.1)
    assert found["value"] == pytest.approx(1.02 * Biased.truth.cost.mean())
