"""Exploitability of symmetric games without their matrices, against the general form."""

import dataclasses
import sys
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from lq_games import reference_game

from fictitious_play import lq


@pytest.fixture
def many(monkeypatch):
    """Makes games of five players count as ones of many."""

    def switch(on):
        limit = 4 if on else 150
        profile = sys.modules["fictitious_play.lq.inter_bank.profile"]
        monkeypatch.setattr(profile, "LARGEST_FORM", limit)

    return switch


def both(many, function):
    results = []
    for on in (False, True):
        many(on)
        results.append(function())
    return results


GAME = reference_game(6, initial_std=0.4)


def nonlinear(initial, noise):
    """Own and mean quantities, the last two of them in ways that no regression explains."""
    mean = initial.mean(axis=1)[:, None, None]
    before = np.cumsum(noise[:, :, 1:], axis=1) - noise[:, :, 1:]
    crowd = before.mean(axis=2, keepdims=True)
    return 0.4 * (mean - initial[:, None]) - 0.3 * before + np.tanh(crowd) + 0.2 * before**2


@pytest.mark.parametrize("antithetic", [False, True])
def test_path_by_path_it_is_the_same_sum_of_squares(many, antithetic):
    initial, noise = GAME.sample(300)
    if antithetic:
        initial = np.concatenate([initial, 2 * GAME.initial_mean - initial])
        noise = np.concatenate([noise, -noise])
    controls = nonlinear(initial, noise)
    one, two = both(
        many, lambda: lq.exploitability(GAME, controls, initial, noise, antithetic, False)
    )
    for name in ("gain", "standard_error", "relative", "reference_cost"):
        np.testing.assert_allclose(getattr(two, name), getattr(one, name), rtol=1e-10)


def test_controls_linear_in_own_and_mean_noise_are_measured_exactly(many):
    coefficients = lq.feedback_coefficients(GAME, 0.7 * lq.nash(GAME).gains)
    coefficients[:, :, 0] += 0.1
    expected = lq.profile_exploitability(GAME, coefficients).gain
    initial, noise = GAME.sample(4000, seed=1)
    controls = lq.evaluate(GAME, coefficients, initial, noise)
    one, two = both(many, lambda: lq.exploitability(GAME, controls, initial, noise))
    np.testing.assert_allclose(two.gain, one.gain, rtol=1e-6)
    assert np.all(np.abs(two.gain - expected) < 4.0 * two.standard_error)
    exact = lq.nash(GAME).controls(initial, noise)
    assert lq.exploitability(GAME, exact, initial, noise).gain.max() < 1e-12
    loose = lq.exploitability(GAME, exact, initial, noise, regression=False)
    assert loose.gain.max() > 1e-5
    few = (array[:60] for array in (exact, initial, noise))
    assert lq.exploitability(GAME, *few, regression=None).gain.max() < 1e-12


def test_the_pooled_regression_is_a_bound_near_the_general_one(many):
    initial, noise = GAME.sample(4000, seed=2)
    controls = nonlinear(initial, noise)
    one, two = both(many, lambda: lq.exploitability(GAME, controls, initial, noise))
    np.testing.assert_allclose(two.gain, one.gain, rtol=0.02)


@pytest.mark.parametrize("structure", ["open_loop", "closed_loop"])
def test_profiles_are_measured_without_sampling(many, structure):
    exact = lq.nash(GAME, structure)
    phi = exact.gains[:, 0, 1] * 5.0
    bent = phi * np.linspace(0.5, 1.4, 6)
    dense = bent[:, None, None] * (0.2 - np.eye(5))
    expected = lq.profile_exploitability(GAME, dense, structure)
    many(True)
    found = lq.profile_exploitability(GAME, bent, structure)
    np.testing.assert_allclose(found.gain, expected.gain, rtol=1e-11)
    np.testing.assert_allclose(found.relative, expected.relative, rtol=1e-11)
    profile = lq.nash(GAME, structure)
    assert isinstance(profile, lq.SymmetricProfile)
    np.testing.assert_allclose(
        lq.profile_exploitability(GAME, profile, structure).gain, 0.0, atol=1e-25
    )
    with pytest.raises(ValueError, match="must be a `SymmetricProfile`"):
        lq.profile_exploitability(GAME, dense, structure)


def test_a_thousand_players_need_no_more_than_their_samples():
    players, steps, paths = 1000, 4, 64
    parameters = lq.SymmetricParameters(
        players=players, horizon=1.0, a=1.0, q=0.5, epsilon=1.5, c=1.0, rho=0.3, initial_spread=0.2
    )
    game = SimpleNamespace(symmetric_parameters=parameters, steps=steps)
    generator = np.random.default_rng(0)
    initial = 0.2**0.5 * generator.standard_normal((paths, players))
    noise = 0.5 * generator.standard_normal((paths, steps, players + 1))
    exact = lq.nash(game)
    controls = exact.controls(initial, noise)
    tracemalloc.start()
    found = lq.exploitability(game, controls, initial, noise, regression=None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.gain.max() < 1e-9 * found.reference_cost.min()
    assert peak < 20 * controls.nbytes
    bent = dataclasses.replace(exact, phi=0.9 * exact.phi)
    worse = lq.exploitability(game, bent.controls(initial, noise), initial, noise)
    truth = lq.profile_exploitability(game, bent).gain
    assert worse.gain.mean() == pytest.approx(truth.mean(), rel=0.02)
    for name, wrong in (("controls", controls[:, :3]), ("noise", noise[:, :, :-1])):
        arguments = {"controls": controls, "initial_state": initial, "noise": noise, name: wrong}
        with pytest.raises(ValueError, match=f"`{name}` must have the shape"):
            lq.exploitability(game, **arguments)
