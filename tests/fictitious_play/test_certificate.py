"""Exploitability of results, exact and trained."""

import numpy as np
import pytest

import fictitious_play as fp


@pytest.fixture(scope="module")
def solved():
    game = fp.InterBankGame(players=3, steps=4, epsilon=4.0, c=2.0)
    solver = fp.DeepFictitiousPlay(game, hidden=(16,), skip=True)
    return solver.solve(stages=8, steps_per_stage=40, validation_paths=1024, progress=False)


@pytest.fixture(scope="module")
def zero():
    """A result that has learnt nothing: controls are exactly zero."""
    game = fp.InterBankGame(players=3, steps=4, epsilon=4.0, c=2.0)
    solver = fp.DeepFictitiousPlay(game, hidden=(4,), skip=True, learning_rate=1e-12)
    return solver.solve(stages=1, steps_per_stage=1, validation_paths=1024, progress=False)


def test_the_zero_profile_is_as_exploitable_as_the_exact_theory_says(zero):
    game = zero.game
    expected = fp.lq.profile_exploitability(game, np.zeros((4, 3, 3)))
    found = zero.exploitability()
    assert found.method == "exact"
    np.testing.assert_allclose(found.gain, expected.gain, atol=4 * found.standard_error.max())
    assert found.worst > 0.2


def test_a_trained_response_finds_most_of_what_there_is_and_no_more(zero):
    exact = zero.exploitability()
    trained = zero.exploitability(method="trained", steps=200, paths=4096, seed=1)
    assert trained.method == "trained"
    slack = 4 * (trained.standard_error + exact.standard_error)
    assert np.all(trained.gain < exact.gain + slack)
    assert np.all(trained.gain > 0.95 * exact.gain - slack)


def test_a_solved_profile_is_hardly_exploitable(solved):
    found = solved.exploitability()
    assert 0.0 < found.worst < 0.005
    np.testing.assert_allclose(found.relative, found.gain / solved.cost)


def test_a_perturbed_profile_is_exploitable_by_the_known_amount(solved):
    """Player 2's output shifted by a constant: for her, the gain is ½ h Σ_t d_t δ²-like and the
    exact theory of the shifted linear profile gives it."""
    bias = np.array(solved.policy.output_bias)
    shifted = bias.copy()
    shifted[:, 1] += 1.0
    before = solved.exploitability(paths=8192)
    solved.policy.output_bias.assign(shifted)
    try:
        after = solved.exploitability(paths=8192)
    finally:
        solved.policy.output_bias.assign(bias)
    game = solved.game
    coefficients = fp.lq.feedback_coefficients(game, fp.lq.nash(game).gains)
    coefficients[:, 1, 0] += 1.0
    expected = fp.lq.profile_exploitability(game, coefficients).gain
    slack = 4 * after.standard_error + 2 * before.gain + 0.05 * expected
    assert np.all(np.abs(after.gain - expected) < slack)
    assert after.gain[1] > 20 * before.gain[1]


def test_a_closed_loop_profile_is_certified_by_training():
    game = fp.InterBankGame(players=2, steps=3, epsilon=4.0, c=2.0)
    solver = fp.DeepFictitiousPlay(
        game, hidden=(8,), skip=True, batch_normalization=False, information="closed_loop"
    )
    start = solver.solve(stages=1, steps_per_stage=1, validation_paths=64, progress=False)
    found = start.exploitability(steps=100, paths=1024)
    assert found.method == "trained"
    assert np.all(found.relative > 0.05)
    with pytest.raises(ValueError, match='"exact" needs an open-loop profile'):
        start.exploitability(method="exact")


def test_players_with_controls_of_unequal_size_are_certified():
    one, two = np.ones((1, 1)), np.ones((1, 2))
    game = fp.LinearQuadraticGame(
        A=0.1 * one, B=[one, two], Q=[one, 2 * one], S=None, R=None, G=[one, one], L=0.5 * one,
        steps=3, initial_std=1.0,
    )  # fmt: skip
    result = fp.DeepFictitiousPlay(game, hidden=(4,), skip=True, learning_rate=1e-12).solve(
        stages=1, steps_per_stage=1, validation_paths=256, progress=False
    )
    expected = fp.lq.profile_exploitability(game, np.zeros((3, 3, 1)))
    found = result.exploitability()
    np.testing.assert_allclose(found.gain, expected.gain, atol=4 * found.standard_error.max())


def test_something_without_a_cost_is_no_equilibrium(solved):
    with pytest.raises(TypeError, match="`exact` must be an equilibrium"):
        solved.relative_error(3.0)


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"method": "guess"}, "`method` must be one of"),
        ({"paths": 7}, "`paths` must be even"),
        ({"steps": 0}, "`steps` must be at least 1"),
        ({"seed": -1}, "`seed` must be at least 0"),
    ],
)
def test_bad_settings_are_refused(solved, settings, rule):
    with pytest.raises(ValueError, match=rule):
        solved.exploitability(**settings)


def test_costs_of_zero_give_no_relative_gain():
    game = fp.InterBankGame(players=2, steps=2, sigma=0.0, initial_std=0.0)
    result = fp.DeepFictitiousPlay(game, hidden=(4,)).solve(
        stages=1, steps_per_stage=1, validation_paths=16, progress=False
    )
    assert np.all(result.cost >= 0.0)
    if np.all(result.cost <= 1e-12):
        assert np.all(np.isnan(result.exploitability(paths=64).relative))
