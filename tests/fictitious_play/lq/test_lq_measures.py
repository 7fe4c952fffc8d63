"""Errors in controls and in gains."""

import numpy as np
import pytest
from lq_games import asymmetric_game, reference_game, vector_game

from fictitious_play import lq
from fictitious_play.lq.general.coefficients import moments, state_coefficients


def test_control_error_is_a_relative_norm():
    reference = np.random.default_rng(0).normal(size=(10, 3, 2))
    assert lq.control_error(reference, reference) == 0.0
    assert lq.control_error(1.1 * reference, reference) == pytest.approx(0.1)
    assert np.isnan(lq.control_error(reference, 0.0 * reference))
    with pytest.raises(ValueError, match=r"same shape.*Received"):
        lq.control_error(reference[:5], reference)


@pytest.mark.parametrize("game", [asymmetric_game(), vector_game(varying=True, seed=2)])
def test_regression_finds_the_gains_of_feedback_controls(game):
    exact = lq.nash(game)
    states, controls, _ = exact.simulate(*game.sample(300))
    np.testing.assert_allclose(lq.regressed_gains(controls, states), exact.gains, atol=1e-9)
    shorter = lq.regressed_gains(controls + 5.0, states[:, :-1])
    np.testing.assert_allclose(shorter, exact.gains, atol=1e-9)


def test_states_that_do_not_vary_carry_no_gain():
    game = reference_game(4)
    exact = lq.nash(game)
    states, controls, _ = exact.simulate(*game.sample(300))
    gains = lq.regressed_gains(controls, states)
    np.testing.assert_array_equal(gains[0], 0.0)
    # The measure does not look there.
    assert lq.gain_error(game, gains, exact.gains) < 1e-9


def test_gain_error_is_the_control_error_of_centred_states():
    game = asymmetric_game()
    exact = lq.nash(game)
    other = exact.gains + 0.1 * np.random.default_rng(1).normal(size=exact.gains.shape)
    states, controls, _ = exact.simulate(*game.sample(100_000, seed=2))
    centred = states[:, :-1] - states[:, :-1].mean(axis=0)
    mine = np.einsum("tkn,btn->btk", other, centred)
    expected = lq.control_error(mine, controls - controls.mean(axis=0))
    assert lq.gain_error(game, other, exact.gains) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("game", [asymmetric_game(), vector_game(varying=True, seed=2)])
def test_state_covariances_are_those_of_the_linear_functionals(game):
    gains = lq.nash(game).gains
    covariances, means = lq.state_covariances(game, gains, with_mean=True)
    C = state_coefficients(game, lq.feedback_coefficients(game, gains))
    second = moments(game, C) @ np.swapaxes(C, 1, 2)
    expected = means[:, :, None] * means[:, None, :] + covariances
    np.testing.assert_allclose(second, expected, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(covariances[0], game.initial_covariance)


def test_gain_error_without_a_reference_is_undefined():
    game = reference_game(3)
    gains = lq.nash(game).gains
    assert np.isnan(lq.gain_error(game, gains, 0.0 * gains))


@pytest.mark.parametrize(
    "controls, states",
    [
        (np.zeros((9, 3)), np.zeros((9, 3, 2))),
        (np.zeros((9, 3, 1)), np.zeros((8, 3, 2))),
        (np.zeros((9, 3, 1)), np.zeros((9, 5, 2))),
        (np.zeros((3, 3, 1)), np.zeros((3, 3, 2))),
    ],
)
def test_bad_samples(controls, states):
    with pytest.raises(ValueError, match="Received"):
        lq.regressed_gains(controls, states)
