"""The major bank, the ring and the two groups: weights, degenerate cases, equilibria."""

import numpy as np
import pytest

import fictitious_play as fp

UNEQUAL = {"sigma": 0.6, "epsilon": 2.0, "a": 0.5, "initial_std": 0.2}


def test_weights_are_those_of_the_formulas():
    major = fp.major_player_game(4, share=0.6, major_sigma=0.5)
    np.testing.assert_allclose(major.weights, [[0.7, 0.1, 0.1, 0.1]] * 4)
    np.testing.assert_allclose(major.sigma, [0.5, 1, 1, 1])
    np.testing.assert_allclose(
        fp.ring_game(4, own=0.2).weights,
        [[0.2, 0.4, 0, 0.4], [0.4, 0.2, 0.4, 0], [0, 0.4, 0.2, 0.4], [0.4, 0, 0.4, 0.2]],
    )
    np.testing.assert_allclose(fp.ring_game(2).weights, [[0, 1], [1, 0]])
    groups = fp.two_group_game(2, 1, within=0.8, second_group=UNEQUAL, q=0.2)
    np.testing.assert_allclose(groups.weights, [[0.4, 0.4, 0.2]] * 2 + [[0.1, 0.1, 0.8]])
    np.testing.assert_allclose(groups.epsilon, [0.5, 0.5, 2.0])
    np.testing.assert_allclose(groups.q, 0.2)
    assert fp.ring_game(4, steps=7).steps == 7  # what the games have in common passes through
    with pytest.raises(TypeError, match=r"among .*horizon, steps, a, q.* Received: speed=1"):
        fp.ring_game(4, speed=1)
    for game in (major, fp.ring_game(5, 0.3), groups):
        np.testing.assert_allclose(game.weights.sum(axis=1), 1.0)


def test_without_what_makes_them_special_they_are_the_symmetric_game():
    expected = fp.lq.nash(fp.InterBankGame(players=4)).cost
    for game in (
        fp.major_player_game(4, share=0.0),
        fp.two_group_game(2, 2, within=0.5),
    ):
        np.testing.assert_allclose(fp.lq.nash(game).cost, expected, rtol=1e-12)
    # Three banks in a ring with a third of weight on themselves look at everybody alike.
    ring = fp.ring_game(3, own=1 / 3)
    np.testing.assert_allclose(
        fp.lq.nash(ring).cost, fp.lq.nash(fp.InterBankGame(players=3)).cost, rtol=1e-12
    )


def test_groups_that_do_not_touch_are_two_games():
    apart = fp.two_group_game(2, 3, within=1.0, second_group=UNEQUAL)
    first = fp.lq.nash(fp.InterBankGame(players=2)).cost
    second = fp.lq.nash(fp.InterBankGame(players=3, **UNEQUAL)).cost
    np.testing.assert_allclose(fp.lq.nash(apart).cost, [*first, *second], rtol=1e-12)


@pytest.mark.parametrize(
    "game",
    [
        fp.major_player_game(5, share=0.5),
        fp.ring_game(6),
        fp.two_group_game(3, 2, second_group=UNEQUAL),
    ],
)
@pytest.mark.parametrize("structure", ["open_loop", "closed_loop"])
def test_there_is_an_exact_equilibrium_that_nobody_leaves(game, structure):
    for time in ("discrete", "continuous"):
        equilibrium = fp.lq.nash(game, information_structure=structure, time=time)
        assert equilibrium.exists
    exact = fp.lq.nash(game, information_structure=structure)
    certificate = fp.lq.profile_exploitability(game, exact.gains, information_structure=structure)
    assert np.all(certificate.gain < 1e-14)
    bent = fp.lq.profile_exploitability(game, 1.1 * exact.gains, information_structure=structure)
    assert np.all(bent.relative > 1e-4)


def test_who_is_looked_at_pays_less_for_distance():
    cost = fp.lq.nash(fp.major_player_game(5, share=0.5)).cost
    assert np.ptp(cost[1:]) < 1e-14
    assert cost[0] < 0.5 * cost[1]
    ring = fp.lq.nash(fp.ring_game(7)).cost
    assert np.ptp(ring) < 1e-14 * ring[0] * 10
    groups = fp.lq.nash(fp.two_group_game(2, 3, second_group=UNEQUAL)).cost
    assert np.ptp(groups[:2]) < 1e-14
    assert np.ptp(groups[2:]) < 1e-14
    assert abs(groups[0] - groups[2]) > 0.01


@pytest.mark.parametrize(
    ("make", "error", "rule"),
    [
        (lambda: fp.major_player_game(1), ValueError, "`players` must be at least 2"),
        (lambda: fp.major_player_game(3, share=1.0), ValueError, "`share` must be below 1"),
        (lambda: fp.major_player_game(3, share="all"), TypeError, "`share` must be a number"),
        (lambda: fp.major_player_game(3, major_sigma=-1), ValueError, "`major_sigma` must be at"),
        (
            lambda: fp.major_player_game(3, colour=1),
            TypeError,
            "`parameters` must be among horizon",
        ),
        (lambda: fp.ring_game(3, own=-0.1), ValueError, "`own` must be at least 0"),
        (lambda: fp.ring_game(3, weights=np.eye(3)), TypeError, "`parameters` must be among"),
        (lambda: fp.two_group_game(0, 2), ValueError, "`first` must be at least 1"),
        (lambda: fp.two_group_game(2, 2, within=1.5), ValueError, "`within` must be at most 1"),
        (
            lambda: fp.two_group_game(2, 2, first_group={"rho": 1}),
            ValueError,
            "A group's parameters must be among",
        ),
        (
            lambda: fp.two_group_game(2, 2, first_group={"a": 1}, a=1),
            ValueError,
            "`a` must be given for the groups or for all",
        ),
    ],
)
def test_bad_arguments_are_refused(make, error, rule):
    with pytest.raises(error, match=rule) as caught:
        make()
    assert "Received" in str(caught.value)
