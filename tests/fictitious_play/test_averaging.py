"""What players announce after a stage: averages of their weights, by hand."""

import numpy as np
import pytest

import fictitious_play as fp
from tests.fictitious_play.cases import symmetric_game


def make_play(**settings):
    game = symmetric_game(players=2, steps=2)
    solver = fp.DeepFictitiousPlay(game, hidden=(4,), batch_size=8, seed=3, **settings)
    return solver._play(total_steps=12)


def recorded(play, monkeypatch):
    """Lets a play take its steps one at a time; the weights after every one of them."""
    taken = []
    monkeypatch.setattr("fictitious_play.solver.play.CHUNK_SECONDS", 0.0)
    return taken, lambda count: taken.append(play.policy.get_weights())


def by_hand(play, taken):
    """Σ_k k (k + 1) w_k / Σ_k k (k + 1) of what is trained, and the last of the rest."""
    counts = np.arange(1, len(taken) + 1)
    shares = counts * (counts + 1.0) / np.sum(counts * (counts + 1.0))
    last = taken[-1]
    return [
        sum(share * each[number] for share, each in zip(shares, taken, strict=True))
        if weight.trainable
        else last[number]
        for number, weight in enumerate(play.policy.weights)
    ]


def close(weights, expected):
    for one, other in zip(weights, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_others_are_told_the_average_of_the_stage_alone(dtype, monkeypatch):
    play = make_play(dtype=dtype)
    for stage, steps in ((1, 5), (2, 1), (3, 4)):
        taken, note = recorded(play, monkeypatch)
        play.stage(stage, steps, note)
        assert len(taken) == steps
        close(play.belief.evaluator.get_weights(), by_hand(play, taken))
        # Everybody goes on from her own last weights.
        close(play.policy.get_weights(), taken[-1])


def test_a_feedback_is_announced_in_the_units_of_its_stage(monkeypatch):
    play = make_play(information_structure="closed_loop", belief="average", average_weights=True)
    for stage in (1, 2):
        taken, note = recorded(play, monkeypatch)
        play.stage(stage, 4, note)
        paths = [each.path for each in play.policy.weights]
        values = dict(zip(paths, by_hand(play, taken), strict=True))
        expected = [values[each.path] for each in play.policy.profile]
        close(play.belief.profiles[-1], expected)


def test_the_last_weights_are_announced_where_they_are_asked_for():
    play = make_play(average_weights=False)
    play.stage(1, 4, lambda count: None)
    for one, other in zip(play.belief.evaluator.weights, play.policy.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not play.averages


@pytest.mark.parametrize("belief", ["last", "sequential"])
def test_a_stage_that_is_taken_back_leaves_what_was_announced(belief):
    play = make_play(belief=belief)
    play.stage(1, 3, lambda count: None)
    told, before = play.belief.evaluator.get_weights(), play.snapshot()
    play.stage(2, 3, lambda count: None)
    assert np.any(told[0] != play.belief.evaluator.get_weights()[0])
    play.take_back(2, before)
    for one, other in zip(told, play.belief.evaluator.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_it_is_yes_or_no_and_by_default_for_open_loop():
    assert make_play().averages
    assert not make_play(information_structure="closed_loop").averages
    with pytest.raises(ValueError, match=r"True, False or None. Received"):
        make_play(average_weights=0.95)
