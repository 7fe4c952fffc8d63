"""Tabulated values of one reference case and the examples of divergence and non-existence.

The five-player numbers were computed independently of this package, to ten digits.
"""

import numpy as np
import pytest
from lq_games import general, reference_game, signed_game

from fictitious_play import lq

TABLE = {
    ("open_loop", "continuous"): [0.3833966494, 0.2390898518, 0.1909875860],
    ("open_loop", "discrete"): [0.4001006361, 0.2498105829, 0.1997138985],
    ("closed_loop", "discrete"): [0.4006029393, 0.2500833302, 0.1999101271],
}


@pytest.mark.parametrize("strip", [False, True])
@pytest.mark.parametrize("kind", TABLE)
def test_equilibrium_costs(kind, strip):
    game = reference_game()
    cost = lq.nash(general(game) if strip else game, *kind).cost
    np.testing.assert_allclose(cost, TABLE[kind] + TABLE[kind][1::-1], rtol=0, atol=6e-11)


def test_cost_of_doing_nothing():
    cost = lq.profile_cost(reference_game(), np.zeros((20, 5, 5)))
    expected = [0.7169847252, 0.4174019424, 0.3175410148]
    np.testing.assert_allclose(cost[:3], expected, rtol=0, atol=6e-11)


@pytest.mark.parametrize("kind, eta", [("open_loop", 0.4051285284), ("closed_loop", 0.3855109773)])
def test_eta_at_time_zero(kind, eta):
    p = reference_game().symmetric_parameters
    b, C = lq.riccati_coefficients(p, kind)
    assert lq.riccati(1.0, b, C, p.D, p.c) == pytest.approx(eta, abs=6e-11)


def test_first_gains():
    game = reference_game()
    for structure, phi in (("open_loop", 0.8080), ("closed_loop", 0.7940)):
        zeta = 0.2 - np.eye(5)
        gain = lq.nash(game, structure).gains[0]
        np.testing.assert_allclose(gain, phi * zeta, atol=5e-5)


def test_exact_play_from_zero_belief():
    play = lq.exact_play(reference_game(), 3)
    expected = [0.3995275531, 0.4002658196, 0.4000892100]
    np.testing.assert_allclose(play.cost[:, 0], expected, rtol=0, atol=6e-11)


def test_contraction_factor():
    assert lq.contraction(reference_game()) == pytest.approx(0.31826128, abs=5e-9)


def test_time_step_error_is_first_order_and_as_tabulated():
    exact = lq.nash(reference_game(), time="continuous").cost[0]
    steps = [10, 20, 40, 80, 160]
    errors = np.array([lq.nash(reference_game(k)).cost[0] / exact - 1.0 for k in steps])
    np.testing.assert_allclose(100 * errors, [9.1, 4.4, 2.1, 1.1, 0.5], atol=0.051)
    orders = np.log2(errors[:-1] / errors[1:])
    assert orders[-1] == pytest.approx(1.0, abs=0.02)
    assert np.all(np.diff(np.abs(orders - 1.0)) < 0.0)


def test_a_game_that_tells_open_from_closed_loop():
    game = lq.inter_bank_form(2, 1.0, 20, 0.1, 0.1, 4.0, 4.0, 1.0, 0.0, None, 0.0, 0.5)
    open_loop, closed_loop = lq.nash(game), lq.nash(game, "closed_loop")
    assert 1.0 - open_loop.cost[0] / closed_loop.cost[0] == pytest.approx(0.037, abs=0.001)
    apart = lq.gain_error(game, open_loop.gains, closed_loop.gains)
    assert apart == pytest.approx(0.14, abs=0.005)


def test_plain_play_diverges_where_other_beliefs_converge():
    game = signed_game(-3.0, 8.0)
    assert lq.contraction(game) == pytest.approx(1.224, abs=1e-3)
    assert np.linalg.eigvals(lq.stage_map(game)).real.max() == pytest.approx(0.49, abs=5e-3)
    expected = {"last": 7.60e4, "average": 0.0845, "damped": 0.00465}
    for belief, error in expected.items():
        assert lq.exact_play(game, 60, belief).error[-1] == pytest.approx(error, rel=2e-3)


def test_escape_before_the_initial_time():
    game = signed_game(1.5, 2.0)
    radius = lq.contraction(game)
    assert radius == pytest.approx(1.064, abs=1e-3)
    # There is a real eigenvalue beyond +1: averaging and damping cannot move it inside.
    spectrum = np.linalg.eigvals(lq.stage_map(game))
    assert spectrum.real.max() == pytest.approx(radius)
    with pytest.raises(lq.FiniteEscapeError, match=r"escape to infinity at t = 0\.3989"):
        lq.nash(game, time="continuous")
    # The Euler game has an equilibrium all the same, and says that continuous time ended at step 7.
    exact = lq.nash(game)
    assert exact.escape == pytest.approx(0.35)
    assert lq.profile_exploitability(game, exact.gains).gain.max() < 1e-15
    assert lq.nash(reference_game()).escape is None


def test_the_discrete_escape_tends_to_the_escape_time():
    with pytest.raises(lq.FiniteEscapeError) as escape:
        lq.nash(signed_game(1.5, 2.0), time="continuous")
    assert 2.0 - escape.value.time == pytest.approx(1.601, abs=1e-3)
    distances = []
    for steps in (200, 400, 800):
        found = lq.nash(signed_game(1.5, 2.0, steps)).escape
        distances.append(abs(found - escape.value.time))
    assert distances[-1] < 0.004
    assert distances[0] > distances[1] > distances[2]
