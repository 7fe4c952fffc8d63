"""The affine feedback inside a closed-loop profile is seen where its own paths do not spread."""

import numpy as np
import pytest

import fictitious_play as fp
from benchmarks import curved_duopoly
from benchmarks.unseen_states import duopoly
from fictitious_play.networks.units import Units
from fictitious_play.solver import exact_response
from fictitious_play.solver.deviations import Deviations
from fictitious_play.solver.regret import RegretMeter


def _certificate(game, gains):
    """The exact findings, and the regret, of a profile of gains (steps, players, state_size)."""
    policy = fp.FeedbackPolicy(
        game, hidden=(2,), batch_normalization=False, skip=True, dtype="float64"
    )
    policy.build()
    policy.set_units(Units(np.zeros((game.steps, 2)), np.ones((game.steps, 2))))
    policy.output_kernel.assign(np.zeros(policy.output_kernel.shape))
    policy.skip_kernel.assign(gains[:, :, None, :])
    deviations = Deviations(game, policy, 0)
    deviations.measure_units()
    found = exact_response.closed_loop(deviations, 256)
    return found["exact"].gain, found["exact response"], RegretMeter(game, policy, 0)(1).gain


@pytest.mark.parametrize("sigma", [0.0, pytest.param(0.2, marks=pytest.mark.release)])
def test_a_wrong_gain_is_worth_what_brute_force_says_with_noise_or_without(sigma):
    game = duopoly(5.0, 1.0, sigma, 2.0, 5)
    exact = fp.lq.nash(game, information_structure="closed_loop")
    gains = np.array(exact.gains)
    gains = gains.reshape(game.steps, 2, -1)
    formula, played, regret = _certificate(game, gains)
    scale = np.abs(exact.cost)
    assert np.all(np.abs(formula) < 1e-7 * scale)
    assert np.all(np.abs(regret) < 1e-7 * scale)
    assert np.all(np.abs(played.gain) < 1e-6 * scale)

    wrong = gains.copy()
    wrong[1, 0, 0] *= 1.1
    formula, played, regret = _certificate(game, wrong)
    expected = fp.lq.profile_exploitability(game, wrong, "closed_loop").gain
    assert expected[0] > 1e-5 * scale[0]
    for found in (formula, regret):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7 * scale[0])
    error = 4 * played.standard_error + 1e-6 * scale
    assert np.all(np.abs(played.gain - expected) < error + 1e-3 * expected)


def test_dynamic_programming_over_prices_is_the_exact_theory_where_costs_are_quadratic():
    """What `./run bench unseen-states` holds curved duopolies against."""
    settings = (5.0, 1.0, 0.2, 2.0, 5)
    exact = fp.lq.nash(duopoly(*settings), information_structure="closed_loop")
    game = curved_duopoly.CurvedDuopoly(*settings, curvature=0.0)
    cost, played = curved_duopoly.solve(game)
    assert cost == pytest.approx(exact.cost[0], rel=1e-10)
    curved = curved_duopoly.CurvedDuopoly(*settings)
    cost, played = curved_duopoly.solve(curved)
    assert curved_duopoly.solve(curved, played)[0] == pytest.approx(cost, rel=1e-12)
    worse, _ = curved_duopoly.solve(curved, played, 1.01 * played)
    assert 0.0 < worse - cost < 0.01 * abs(cost)
