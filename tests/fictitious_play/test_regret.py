"""`converged` means that nobody could gain much, and what a game cannot have is told beforehand."""

import numpy as np
import pytest

import fictitious_play as fp
from benchmarks.planted import InitialLaw
from fictitious_play.solver import regret
from fictitious_play.solver.deviations import path_numbers
from fictitious_play.solver.regret import RegretMeter
from tests.fictitious_play.cases import Sound, asymmetric_game, symmetric_game

QUICK = {"stages": 3, "steps_per_stage": 3, "validation_paths": 256, "progress": False}


@pytest.mark.parametrize("structure", ["open_loop", "closed_loop"])
def test_a_solve_that_learns_nothing_settles_and_has_not_converged(structure):
    game = symmetric_game(players=2, steps=3, epsilon=4.0, c=2.0)
    solver = fp.DeepFictitiousPlay(
        game, hidden=(4,), batch_normalization=False, learning_rate=1e-9,
        information_structure=structure,
    )  # fmt: skip
    result = solver.solve(**QUICK, tolerance=1e-3)
    assert result.reason == fp.StopReason.COSTS_SETTLED
    assert result.settled
    assert not result.converged
    zero = np.zeros((3, 2, 2))
    expected = fp.lq.profile_exploitability(game, zero, structure).gain
    error = 4 * result.regret.standard_error + 0.01 * expected
    assert np.all(np.abs(result.regret.gain - expected) < error)
    assert "converged (nobody could gain much): no" in result.summary()


def test_a_game_without_its_theory_has_a_searched_regret():
    solver = fp.DeepFictitiousPlay(
        InitialLaw(), hidden=(4,), batch_normalization=False, learning_rate=1e-9
    )
    result = solver.solve(**QUICK)
    assert not result.converged
    assert result.regret.method == "trained"
    # Half the distance can be made up at no cost: most of the terminal cost is to be saved.
    assert result.regret.worst > 0.3
    assert result.history[-1].regret_seconds > 0.0
    np.testing.assert_array_equal(result.history[-1].regret, result.regret.relative)
    again = RegretMeter(result.game, result.policy, 0)(3)
    np.testing.assert_array_equal(again.gain, result.regret.gain)


def test_a_small_regret_is_held_against_a_longer_search(monkeypatch):
    """A few noisy paths teach what saves nothing on others, and the regret of their search says
    nothing: a large one is believed, a small one is not."""
    profile = fp.JointPolicy(InitialLaw(), hidden=(2,))
    profile.build()
    found, search = [], regret.search

    def kept(deviations, paths, evaluations, searched):
        found.append((searched, search(deviations, paths, evaluations, searched)))
        return found[-1][1]

    monkeypatch.setattr(regret, "search", kept)
    meter = RegretMeter(profile.game, profile, 0)
    assert meter(1).worst > 0.3
    assert [paths for paths, _ in found] == [256]
    meter.tolerance = 10.0
    last = meter(2)
    assert [paths for paths, _ in found] == [256, 256, 1024]
    np.testing.assert_array_equal(last.gain, found[-1][1].gain)


def test_many_players_have_a_regret_whether_they_are_alike_or_not(monkeypatch):
    """That of resting networks is what the exact theory says, or nearly all of it."""
    monkeypatch.setattr(regret, "_POOLED", 20)
    alike = symmetric_game(players=4, steps=6, epsilon=4.0, c=2.0, initial_std=0.5)
    for game, method in ((alike, "exact"), (asymmetric_game(players=3, steps=6), "trained")):
        if method == "trained":
            monkeypatch.setattr(regret, "_FEATURES", 20)
        profile = fp.JointPolicy(game, hidden=(2,), batch_normalization=False, skip=True)
        profile.build()
        for weight in profile.weights:
            weight.assign(np.zeros(weight.shape))
        coefficients = np.zeros((6, game.players, 1 + game.state_size + game.noise_size * 6))
        expected = fp.lq.profile_exploitability(game, coefficients).gain
        found = RegretMeter(game, profile, 0)(1)
        assert found.method == method
        error = 4 * found.standard_error + 0.02 * expected
        assert np.all(found.gain < expected + error)
        assert np.all(found.gain > 0.9 * expected - error)


def test_regret_is_estimated_every_so_often_and_stops_a_solve():
    game = symmetric_game(players=2, steps=2, epsilon=4.0, c=2.0)
    solver = fp.DeepFictitiousPlay(game, hidden=(8,), batch_normalization=False, skip=True)
    longer = {**QUICK, "stages": 5, "steps_per_stage": 20}
    plain = solver.solve(**longer, regret_every=2)
    estimated = [record.stage for record in plain.history if record.regret is not None]
    assert estimated == [2, 4, 5]
    assert np.isnan(plain.history[0].largest_regret)
    stopped = solver.solve(**longer, regret_every=1, regret_tolerance=0.1)
    assert stopped.reason == fp.StopReason.REGRET_SMALL
    assert stopped.converged
    assert len(stopped.history) < 5
    assert stopped.history[-1].largest_regret <= 0.1
    without = solver.solve(**longer, regret_every=None)
    assert without.regret is None
    assert not without.converged
    np.testing.assert_array_equal(without.cost, plain.cost)
    with pytest.raises(ValueError, match="`regret_tolerance` needs the regret"):
        solver.solve(**QUICK, regret_every=None, regret_tolerance=0.1)
    with pytest.raises(ValueError, match="`regret_every` must be at least 1"):
        solver.solve(**QUICK, regret_every=0)


def test_plain_play_that_diverges_is_told_beforehand_and_damped_play_is_not():
    strong = fp.InterBankGame(
        2, 2.0, 4, a=0.1, q=0.1, epsilon=4.0, c=1.0, weights=[[0, 1], [1.5, 0]],
        initial_mean=[-1, 1],
    )  # fmt: skip
    factor = fp.lq.contraction(strong, columns="all")
    assert factor > 1.0
    solver = fp.DeepFictitiousPlay(strong, hidden=(4,), batch_normalization=False, skip=True)
    with pytest.warns(RuntimeWarning, match=f"diverges.*{factor:.4g}.*The way out"):
        result = solver.solve(**QUICK)
    assert result.contraction == pytest.approx(factor)
    assert not result.converged
    assert any("The way out" in notice for notice in result.notices)
    assert "contraction factor" in result.summary()


def test_a_game_without_equilibrium_is_told_beforehand_and_named_as_the_end():
    """Pursuit and evasion in which the evader's problem is not concave: no saddle."""
    game = fp.LinearQuadraticGame(
        [[0.0]], [[[1.0]], [[-1.0]]], [[[0.0]]] * 2, None, [[[1.0]], [[1.1]]],
        [[[2.0]], [[-2.0]]], [[0.3]], steps=5, initial_mean=[1.0], initial_std=[0.3],
    )  # fmt: skip
    with pytest.raises(fp.lq.NoEquilibriumError):
        fp.lq.nash(game)
    solver = fp.DeepFictitiousPlay(game, hidden=(4,), batch_normalization=False, skip=True)
    with pytest.warns(RuntimeWarning, match="no open-loop equilibrium"):
        result = solver.solve(**QUICK)
    assert result.reason == fp.StopReason.NO_EQUILIBRIUM
    assert not result.converged
    assert result.notices
    found = result.exploitability(paths=256)
    assert found.worst == np.inf
    assert not found.worst < 1.0


def test_of_too_many_different_players_a_few_are_looked_at(monkeypatch):
    """Those have the gain that the exact theory gives them; of the others nothing is said."""
    monkeypatch.setattr(regret, "_FEATURES", 20)
    monkeypatch.setattr(regret, "_NUMBERS", 1)
    game = asymmetric_game(players=4, steps=6)
    monkeypatch.setattr(regret, "_SAMPLED_NUMBERS", 2 * path_numbers(game, fp.JointPolicy(game)))
    profile = fp.JointPolicy(game, hidden=(2,), batch_normalization=False, skip=True)
    profile.build()
    for weight in profile.weights:
        weight.assign(np.zeros(weight.shape))
    coefficients = np.zeros((6, 4, 1 + game.state_size + game.noise_size * 6))
    expected = fp.lq.profile_exploitability(game, coefficients).gain
    found = RegretMeter(game, profile, 0)(1)
    np.testing.assert_array_equal(found.looked_at, [True, False, True, False])
    seen = found.looked_at
    error = 4 * found.standard_error + 0.02 * expected
    assert np.all(found.gain[seen] < (expected + error)[seen])
    assert np.all(found.gain[seen] > (0.9 * expected - error)[seen])
    assert np.all(np.isnan(found.gain[~seen]))
    assert not found.upper <= 1e9
    assert not found.worst < 1e9


@pytest.mark.parametrize(
    ("policy", "players", "seen"),
    [
        (fp.JointPolicy, 50, 50), (fp.JointPolicy, 80, 4), (fp.JointPolicy, 200, 1),
        (fp.FeedbackPolicy, 10, 10), (fp.FeedbackPolicy, 25, 1), (fp.FeedbackPolicy, 200, 1),
    ],
)  # fmt: skip
def test_a_search_is_for_as_many_players_as_its_paths_have_room_for(policy, players, seen):
    """For everybody, a path of 200 players over 20 steps would hold millions of numbers."""

    class Many(Sound):
        def __init__(self):
            fp.Game.__init__(self, players, 1.0, 20)

    game = Many()
    profile = policy(game)
    who = regret.looked_at(game, profile)
    who = np.arange(players) if who is None else who
    assert len(who) == seen
    numbers = len(who) * path_numbers(game, profile)
    assert seen == 1 or numbers <= 2**18


def test_a_solve_says_at_whom_its_regret_looked(monkeypatch):
    """And has not converged, however little they could gain."""
    everybody = RegretMeter(*resting())(1)
    monkeypatch.setattr(regret, "_NUMBERS", 1)
    monkeypatch.setattr(regret, "_SAMPLED_NUMBERS", 1)
    sampled = RegretMeter(*resting())(1)
    assert sampled.by == (everybody.by[0], "not looked at")
    np.testing.assert_allclose(sampled.gain[0], everybody.gain[0], rtol=0.1)
    solver = fp.DeepFictitiousPlay(InitialLaw(), hidden=(8,), batch_normalization=False)
    result = solver.solve(**{**QUICK, "steps_per_stage": 60}, regret_tolerance=0.5)
    assert result.regret.relative[0] < 0.1
    assert not result.converged
    assert result.reason == fp.StopReason.ALL_STAGES
    assert "largest regret of 1 players looked at" in result.summary()
    assert "of the other 1 nothing is known" in result.summary()


def resting():
    """A closed-loop game, networks that do nothing in it, and a seed."""
    profile = fp.FeedbackPolicy(Sound(), hidden=(2,), batch_normalization=False)
    profile.build()
    return profile.game, profile, 0
