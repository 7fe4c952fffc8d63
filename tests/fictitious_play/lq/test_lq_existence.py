"""When there is an equilibrium: against the dense first-order conditions of random small games."""

import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from lq_brute_force import stationarity
from lq_games import singular_game

from fictitious_play import lq


def random_game(seed, steps, n, sizes, strength):
    """Costs of either sign: some games have an equilibrium, some players no best response."""
    generator = np.random.default_rng(seed)
    players, K = len(sizes), sum(sizes)

    def symmetric(*shape):
        root = strength * generator.normal(size=shape)
        return root + np.swapaxes(root, -1, -2)

    R = symmetric(players, K, K)
    for i in range(players):
        where = slice(sum(sizes[:i]), sum(sizes[: i + 1]))
        R[i, where, where] = np.eye(sizes[i])
    return lq.LinearQuadraticForm(
        A=generator.normal(size=(n, n)),
        B=[generator.normal(size=(n, k)) for k in sizes],
        Q=symmetric(players, n, n),
        S=0.3 * generator.normal(size=(players, K, n)),
        R=R,
        G=symmetric(players, n, n),
        L=np.eye(n),
        horizon=1.0,
        steps=steps,
        initial_mean=np.ones(n),
        initial_covariance=np.eye(n),
        discount=0.4,
    )


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 4),
    st.integers(1, 2),
    st.sampled_from([(1,), (1, 1), (2, 1), (1, 1, 1)]),
    st.sampled_from([0.1, 0.4, 1.0]),
)
def test_open_loop_exists_just_where_every_problem_is_convex(seed, steps, n, sizes, strength):
    game = random_game(seed, steps, n, sizes, strength)
    hessians, slopes = stationarity(game)
    whose = np.tile(game.owner, steps)
    least = [
        np.linalg.eigvalsh(hessian[np.ix_(whose == i, whose == i)])[0]
        for i, hessian in enumerate(hessians)
    ]
    assume(min(np.abs(least)) > 1e-6)
    rows = np.arange(len(whose))
    curvature, slope = hessians[whose, rows], slopes[whose, rows]
    first = [curvature[t * sum(sizes) :, t * sum(sizes) :] for t in range(steps)]
    assume(max(np.linalg.cond(tail) for tail in first) < 1e8)
    if min(least) < 0.0:
        with pytest.raises(lq.NoEquilibriumError, match="curvature") as caught:
            lq.nash(game)
        assert least[caught.value.player] < 0.0
        assert caught.value.curvature <= 0.0
        return
    # One set of controls satisfies everybody's first-order conditions, whatever determinants say.
    expected = -np.linalg.solve(curvature, slope[:, : 1 + n]).reshape(steps, sum(sizes), 1 + n)
    exact = lq.nash(game)
    found = lq.feedback_coefficients(game, exact.gains)[:, :, : 1 + n]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8 * np.abs(expected).max())


def own_curvature(game, player, t):
    """Of a player's cost in her controls of step `t`, by differences; equilibrium play then on."""
    h, step, own = game.step_size, game.time_steps[t], game.owner == player
    left, worth = game.steps - t - 1, np.exp(-game.discount * game.step_size * (t + 1))
    still = np.zeros((2, 2))

    def cost(v):
        u = np.zeros(game.control_size)
        u[own] = v
        x = h * step.B @ u
        now = 0.5 * h * u @ step.R_all[player] @ u
        if not left:
            return now + 0.5 * worth * x @ game.G[player] @ x
        rest = dataclasses.replace(
            game, horizon=h * left, steps=left, L=None, initial_mean=x, initial_covariance=still
        )
        return now + worth * lq.nash(rest, "closed_loop").cost[player]

    eye = np.eye(own.sum())
    hessian = [[cost(e + f) - cost(e) - cost(f) for f in eye] for e in eye]
    return np.linalg.eigvalsh(hessian)[0] / h


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.sampled_from([0.1, 0.4, 1.0]))
def test_closed_loop_is_an_equilibrium_or_some_player_has_no_best_response(seed, steps, strength):
    game = random_game(seed, steps, 2, (1, 2), strength)
    exact = failure = None
    try:
        exact = lq.nash(game, "closed_loop")
    except lq.SingularGameError:
        assume(False)
    except lq.NoEquilibriumError as error:
        failure = error
    if exact is None:
        found = own_curvature(game, failure.player, failure.step)
        assert found == pytest.approx(failure.curvature, rel=1e-6, abs=1e-6 * max(1.0, strength))
        assert found < 1e-6
        return
    left = lq.profile_exploitability(game, exact.gains, "closed_loop")
    np.testing.assert_allclose(left.gain, 0.0, atol=1e-12 * (1.0 + np.abs(exact.cost).max()))


@pytest.mark.parametrize("G", [-0.6, -0.9])
@pytest.mark.parametrize("structure", ["open_loop", "closed_loop"])
def test_one_step_beyond_a_determinant_of_zero(G, structure):
    one = np.eye(1)
    game = lq.LinearQuadraticForm(
        0 * one, [one, one], [0 * one] * 2, None, None, [G * one] * 2, None, 1.0, 1, [1.0], 0 * one
    )
    # u + G (x + 2 u) = 0 for both, each cost strictly convex: 1 + G > 0.
    exact = lq.nash(game, structure)
    np.testing.assert_allclose(exact.gains, -G / (1.0 + 2.0 * G), rtol=1e-14)
    assert exact.escape == 0.0


def test_singular_equations_are_none_or_many():
    for structure in ("open_loop", "closed_loop"):
        with pytest.raises(lq.SingularGameError, match=r"step 0 of 1.*or many") as caught:
            lq.nash(singular_game(), structure)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), again.step, str(again)) == (lq.SingularGameError, 0, str(caught.value))


def test_a_flat_problem_is_not_strictly_convex():
    one = np.eye(1)
    game = lq.LinearQuadraticForm(
        0 * one, [one], [0 * one], None, None, [-one], None, 1.0, 1, [1.0], 0 * one
    )
    with pytest.raises(lq.SingularGameError, match="player 0 is flat") as caught:
        lq.nash(game)
    assert (caught.value.player, caught.value.step, caught.value.curvature) == (0, 0, 0.0)


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
    for structure in ("open_loop", "closed_loop"):
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
