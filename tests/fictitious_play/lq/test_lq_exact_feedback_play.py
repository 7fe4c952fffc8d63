"""Exact closed-loop play: its limit, its best responses, its beliefs and its rate."""

import numpy as np
import pytest
from lq_games import asymmetric_game, reference_game, singular_game, vector_game
from scipy.optimize import minimize

from fictitious_play import lq

GAMES = {
    "reference": reference_game,
    "asymmetric": asymmetric_game,
    "vector": vector_game,
    "varying": lambda: vector_game(varying=True, seed=2),
    "others' controls": lambda: vector_game(coupled=True, discount=0.7, seed=5),
}


@pytest.mark.parametrize("belief", ["last", "damped", "sequential"])
@pytest.mark.parametrize("name", GAMES)
def test_the_limit_is_the_closed_loop_equilibrium(name, belief):
    game = GAMES[name]()
    play = lq.exact_feedback_play(game, 60, belief)
    exact = lq.nash(game, "closed_loop")
    assert play.error[0] > 1e-2
    assert play.error[-1] < 1e-12
    np.testing.assert_allclose(play.gains[-1], exact.gains, rtol=0, atol=1e-12)
    np.testing.assert_allclose(play.cost[-1], exact.cost, rtol=1e-12)
    assert lq.gain_error(game, lq.nash(game).gains, exact.gains) > 1e-3


def test_a_best_response_found_by_search():
    """Against the other players' feedbacks, over all gains of her own."""
    game = vector_game(steps=2)
    profile = 0.3 * np.random.default_rng(3).normal(size=(2, game.control_size, game.state_size))
    play = lq.exact_feedback_play(game, 1, initial=profile)
    for player, where in enumerate(game.control_slices):
        trial = profile.copy()

        def cost(values, player=player, where=where, trial=trial):
            trial[:, where] = values.reshape(trial[:, where].shape)
            return lq.profile_cost(game, trial)[player]

        best = play.gains[0][:, where]
        found = minimize(cost, np.zeros(best.size), method="BFGS", options={"gtol": 1e-9})
        np.testing.assert_allclose(found.x.reshape(best.shape), best, atol=2e-6)


def test_beliefs_average_gains():
    game = asymmetric_game()
    first = 0.2 * np.random.default_rng(1).normal(size=(6, 4, 4))
    average = lq.exact_feedback_play(game, 3, "average", initial=first)
    damped = lq.exact_feedback_play(game, 3, "damped", 0.3, first)
    np.testing.assert_allclose(
        average.gains[-1], (first + average.response_gains.sum(axis=0)) / 4, atol=1e-15
    )
    expected = first
    for response in damped.response_gains:
        expected = 0.7 * expected + 0.3 * response
    np.testing.assert_allclose(damped.gains[-1], expected, atol=1e-15)
    plain = lq.exact_feedback_play(game, 3, "last", initial=first)
    whole = lq.exact_feedback_play(game, 3, "damped", 1.0, first)
    np.testing.assert_allclose(whole.gains, plain.gains, atol=1e-14)


def test_sequential_players_know_those_before_them():
    game = vector_game(sizes=(1, 2))
    played = lq.exact_feedback_play(game, 1, "sequential")
    first = lq.exact_feedback_play(game, 1, "last")
    np.testing.assert_array_equal(played.gains[0][:, :1], first.gains[0][:, :1])
    known = np.concatenate([first.gains[0][:, :1], np.zeros((4, 2, 3))], axis=1)
    second = lq.exact_feedback_play(game, 1, "last", initial=known)
    np.testing.assert_array_equal(played.gains[0][:, 1:], second.gains[0][:, 1:])


@pytest.mark.parametrize("steps", [1, 12])
def test_a_settled_step_contracts_like_its_static_game(steps):
    """At the last step the stage map is that of the static game in which the others' controls of
    that step alone are unknown, R_i u_i + h B_i'G_i Σ_j B_j u_j = given."""
    game = reference_game(steps)
    h, step = game.step_size, game.time_steps[-1]
    coupling = np.stack([step.B[:, i] @ game.G[i] @ step.B for i in range(5)]) * h
    own = np.diag(np.diag(coupling)) + np.eye(5)
    factor = np.abs(np.linalg.eigvals(np.eye(5) - np.linalg.solve(own, np.eye(5) + coupling))).max()
    first = np.random.default_rng(0).normal(size=(steps, 5, 5))
    play = lq.exact_feedback_play(game, 8, initial=first)
    distance = np.abs(play.gains[:, -1] - play.equilibrium.gains[-1]).max(axis=(1, 2))
    assert distance[6] / distance[5] == pytest.approx(factor, rel=1e-2)
    assert factor < h


def test_without_interaction_one_stage_suffices():
    game = lq.LinearQuadraticForm(
        A=np.diag([0.3, -0.2]), B=[np.eye(2)[:, :1], np.eye(2)[:, 1:]],
        Q=[np.diag([1.0, 0.0]), np.diag([0.0, 2.0])], S=None, R=None,
        G=[np.diag([0.5, 0.0]), np.diag([0.0, 1.0])], L=np.eye(2), horizon=1.0, steps=6,
        initial_mean=[1.0, 1.0], initial_covariance=np.eye(2),
    )  # fmt: skip
    assert lq.exact_feedback_play(game, 1).error[0] < 1e-14


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"stages": 0}, "`stages` must be"),
        ({"belief": "first"}, "`belief` must be one of"),
        ({"damping": 0.0}, r"`damping` must lie in \(0, 1\]"),
        ({"initial": np.zeros((2, 5, 5))}, "`gains` must have the shape"),
    ],
)
def test_settings_that_make_no_play_are_refused(settings, rule):
    with pytest.raises(ValueError, match=rule) as caught:
        lq.exact_feedback_play(reference_game(), **{"stages": 1, **settings})
    assert "Received" in str(caught.value)


def test_a_game_without_an_equilibrium_is_played_all_the_same():
    game = singular_game()
    with pytest.raises(lq.SingularGameError):
        lq.nash(game, "closed_loop")
    play = lq.exact_feedback_play(game, 3)
    assert play.equilibrium is None
    assert np.all(np.isnan(play.error))
    assert np.all(np.isfinite(play.cost))
