"""What a certificate must not be blind to: the cheapest of the planted faults, and its parts.

All of `benchmarks/planted.py` at the certificate's own settings is `./run bench blindness`.
"""

import keras
import numpy as np
import pytest
from keras import ops

import fictitious_play as fp
from benchmarks import blindness, planted
from fictitious_play.solver.certificate import certify
from fictitious_play.solver.descent import adam, quasi_newton
from fictitious_play.solver.response_units import control_unit, cost_unit, state_units
from tests.thin import thinned


def trained(case, steps=6, paths=2048, **changes):
    settings = {
        "method": "trained", "steps": steps, "hidden": (8,), "paths": paths, "seed": 0,
        "batch_size": 128, **changes,
    }  # fmt: skip
    return certify(case.game, case.policy, **settings)


def test_a_state_that_rests_under_the_profile_is_seen():
    """Everybody rests: every unit measured on the profile alone is zero."""
    case = planted.resting_state()
    found = trained(case, steps=60)
    # Whoever does not see that state finds less than nine tenths.
    assert blindness.smallest_share(case.gain, found.gain) > 0.95
    assert np.all(found.gain < case.gain + 4 * found.standard_error)


def test_an_initial_law_of_its_own_is_seen():
    case = planted.initial_law()
    found = trained(case, steps=24)
    assert blindness.smallest_share(case.gain, found.gain) > 0.8


def test_a_rare_event_with_a_jump_is_seen():
    case = planted.rare_event()
    found = trained(case, steps=60)
    assert blindness.smallest_share(case.gain, found.gain) > 0.5
    assert np.all(found.gain < case.gain + 4 * found.standard_error)


def test_at_an_equilibrium_there_is_nothing_to_find():
    """The gain never falls below zero beyond its noise, and never rises above it."""
    case = planted._linear(planted._tracking(steps=4), lambda gains: gains)
    found = trained(case, steps=24)
    assert np.all(np.abs(found.gain) <= 4 * found.standard_error + 1e-3 * found.scale)


@pytest.mark.parametrize(("unit", "money"), thinned([1e-5, 1e5], [1e-4, 1e7], strength=1))
def test_units_of_states_and_costs_change_nothing(unit, money):
    """The same game in other units: found in float64, so up to rounding the same deviations."""
    games = planted._tracking(steps=3), planted._tracking(unit=unit, money=money, steps=3)
    plain, scaled = (planted._linear(game, planted._without(0), "float64") for game in games)
    np.testing.assert_allclose(scaled.gain, money * plain.gain, rtol=1e-9)
    if "gain" not in _PLAIN:
        _PLAIN["gain"] = trained(plain, method="exact", paths=256).gain
    found = trained(scaled, method="exact", paths=256)
    np.testing.assert_allclose(found.gain, money * _PLAIN["gain"], rtol=1e-3)


_PLAIN: dict = {}


def test_the_unit_of_control_is_that_of_its_effect(rng):
    shocks = rng.standard_normal((256, 2))
    cost = np.array([3.0, 5.0])
    #: A disturbance of size s moves the costs by 100 s and 1e-3 s + s².
    found = control_unit(
        lambda size: np.stack(
            [100.0 * size[0] * shocks[:, 0], 1e-3 * size[1] * shocks[:, 1] + size[1] ** 2], axis=1
        ),
        cost,
        np.ones((4, 2, 2, 1)),
    )
    moved = np.array([100.0 * found[0], np.hypot(1e-3 * found[1], found[1] ** 2)]) / cost
    assert np.all((moved > 0.1) & (moved < 0.9))
    idle = control_unit(lambda size: np.zeros((8, 1)), np.ones(1), 7.0 * np.ones((4, 2, 1, 1)))
    np.testing.assert_array_equal(idle, [7.0])


def test_states_are_seen_in_uncorrelated_units(rng):
    """A state that rests is seen in the unit of its disturbance; one that nothing moves, never."""
    first = rng.standard_normal((4000, 1, 1))
    states = np.concatenate(
        [1e3 + first, 5e3 * first + rng.standard_normal(first.shape), 0 * first, 7 + 0 * first], 2
    )
    disturbed = states[:, :, None].copy()
    disturbed[..., 2] += 1e-4 * rng.standard_normal((4000, 1, 1))
    mean, size, rotation = state_units(states, disturbed)
    assert np.isinf(size[0, 3])
    assert 1e-5 < size[0, 2] < 1e-3
    seen = ((disturbed[:, 0, 0] - mean[0]) / size[0]) @ rotation[0]
    covariance = np.cov(seen.T)
    moves = np.diag(covariance) > 0.0
    assert moves.sum() == 3
    apart = covariance[np.ix_(moves, moves)] - np.diag(np.diag(covariance[np.ix_(moves, moves)]))
    assert np.abs(apart).max() < 0.1


def test_cost_units_follow_the_spread():
    np.testing.assert_allclose(cost_unit(np.array([[1.0, 1e6], [3.0, 1e6]])), [1.0, 1e3])
    np.testing.assert_array_equal(cost_unit(np.zeros((4, 1))), [1.0])


def test_nobody_waits_for_a_player_who_has_nothing_to_gain():
    """Her value is flat to rounding, with a gradient that is not: no step of hers is accepted."""

    def function(points):
        values = np.array([0.5 * np.sum((points[0] - 3.0) ** 2), 0.0])
        return values, np.stack([points[0] - 3.0, np.full(2, 1e-9)])

    *_, last = quasi_newton(function, np.zeros((2, 2)), np.ones(2, bool), 8)
    np.testing.assert_allclose(last[0], 3.0, rtol=1e-6)


def test_the_quasi_newton_search_finds_minima_of_any_conditioning(rng):
    """Row by row, against the solution of the linear system; a player at her minimum rests."""
    players, size = 3, 12
    roots = rng.standard_normal((players, size, size))
    matrices = roots @ np.swapaxes(roots, 1, 2) + 1e-2 * np.eye(size)
    matrices *= np.array([1.0, 1e4, 1e-2])[:, None, None]
    right = rng.standard_normal((players, size))
    right[2] = 0.0

    def function(point):
        product = np.einsum("pij,pj->pi", matrices, point)
        return np.sum(point * (0.5 * product - right), axis=1), product - right

    free = np.arange(size) < 9
    points = list(quasi_newton(function, np.zeros((players, size)), free, 200))
    expected = np.linalg.solve(matrices[:, :9, :9], right[:, :9, None])[..., 0]
    np.testing.assert_allclose(points[-1][:, :9], expected, atol=1e-3 * np.abs(expected).max())
    assert np.all(points[-1][:, 9:] == 0.0)
    assert np.all(points[-1][2] == 0.0)


def test_searches_survive_values_that_are_not_finite():
    def function(point):
        with np.errstate(invalid="ignore", divide="ignore"):
            return -np.log(1.0 - point).sum(1) - 3.0 * point.sum(1), 1.0 / (1.0 - point) - 3.0

    *_, last = quasi_newton(function, np.zeros((1, 2)), np.ones(2, bool), 60)
    np.testing.assert_allclose(last, 2.0 / 3.0, atol=1e-4)

    def broken(point):
        return np.full(1, np.nan), np.full_like(point, np.nan)

    assert list(quasi_newton(broken, np.zeros((1, 2)), np.ones(2, bool), 20)) == []
    rested = adam(iter([broken] * 3), np.ones((1, 2)), np.ones(1), 3)
    np.testing.assert_array_equal(rested, 1.0)


class Plain(planted.InitialLaw):
    """Steering to zero, with a class that Keras does not know; costs are NaN far out."""

    far = np.inf

    def terminal_cost(self, states):
        cost = super().terminal_cost(states)
        return ops.where(states > self.far, float("nan"), cost)


class Rare(Plain):
    far = 1.9


def _idle(game):
    policy = fp.FeedbackPolicy(game, hidden=(2,), batch_normalization=False, skip=True)
    policy.build()
    return planted.Case(game, policy, np.zeros(2))


def test_a_game_whose_class_is_not_registered_is_certified():
    found = trained(_idle(Plain()), steps=2, paths=256)
    assert np.all(found.gain > 0.0)


def test_rare_paths_without_a_cost_make_the_certificate_fail():
    found = trained(_idle(Rare()), steps=2, paths=2048)
    assert np.all(found.non_finite < 40)
    assert found.non_finite.sum() > 0
    assert np.isnan(found.gain[found.non_finite > 0]).all()
    assert np.isnan(found.worst)
    assert not found.worst < 0.05
    assert not found.worst >= 0.05


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_of_the_profile_does_not_matter(dtype):
    game = fp.convoy_game(players=2, steps=3)
    case = planted._linear(game, lambda gains: 0.5 * gains, dtype)
    found = trained(case, method="exact", paths=512)
    formula, _ = found.searches["exact"]
    np.testing.assert_allclose(formula, case.gain, rtol=2e-3)
    assert keras.backend.standardize_dtype(case.policy.variable_dtype) == dtype
