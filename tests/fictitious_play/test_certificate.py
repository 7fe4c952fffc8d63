"""Exploitability of results, exact and trained."""

import numpy as np
import pytest
from keras import ops

import fictitious_play as fp
from fictitious_play.solver.certificate import assemble
from fictitious_play.solver.deviation_gain import DeviationGain


@pytest.fixture(scope="module")
def solved():
    game = fp.InterBankGame(players=3, steps=4, epsilon=4.0, c=2.0)
    solver = fp.DeepFictitiousPlay(game, hidden=(16,), skip=True)
    return solver.solve(stages=8, steps_per_stage=40, validation_paths=1024, progress=False)


@pytest.fixture(scope="module")
def zero():
    """A result that has learnt nothing: controls are exactly zero."""
    game = fp.InterBankGame(players=3, steps=4, epsilon=4.0, c=2.0)
    solver = fp.DeepFictitiousPlay(
        game, hidden=(4,), batch_normalization=False, skip=True, learning_rate=1e-12
    )
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
    trained = zero.exploitability(method="trained", steps=60, paths=4096, seed=1)
    assert trained.method == "trained"
    slack = 4 * (trained.standard_error + exact.standard_error)
    assert np.all(trained.gain < exact.gain + slack)
    assert np.all(trained.gain > 0.95 * exact.gain - slack)


def test_a_solved_profile_is_hardly_exploitable(solved):
    found = solved.exploitability()
    assert 0.0 < found.worst < 0.005
    np.testing.assert_allclose(found.relative, found.gain / found.scale)
    np.testing.assert_allclose(found.scale, solved.cost, rtol=0.1)
    assert found.scale_kind == ("cost",) * 3
    # The cheap estimate is of the same kind, and what `converged` means.
    assert solved.regret.worst == pytest.approx(found.worst, abs=0.002)
    assert solved.converged


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


@pytest.fixture(scope="module")
def closed_start():
    """A closed-loop profile of controls that are exactly zero."""
    game = fp.InterBankGame(players=2, steps=3, epsilon=4.0, c=2.0)
    solver = fp.DeepFictitiousPlay(
        game,
        hidden=(8,),
        batch_normalization=False,
        information_structure="closed_loop",
        learning_rate=1e-12,
    )
    return solver.solve(stages=1, steps_per_stage=1, validation_paths=64, progress=False)


def test_a_closed_loop_profile_is_certified_by_theory_and_by_training(closed_start):
    found = closed_start.exploitability(steps=20, paths=4096)
    assert found.method == "exact and trained"
    game = closed_start.game
    expected = fp.lq.profile_exploitability(game, np.zeros((3, 2, 2)), "closed_loop").gain
    formula, played, trained = (
        found.searches[name] for name in ("exact", "exact response", "trained")
    )
    np.testing.assert_allclose(formula[0], expected, rtol=1e-4)
    for gain, error in (played, trained):
        assert np.all(error < 0.05 * expected)
        np.testing.assert_allclose(gain, expected, atol=4 * error.max())
    np.testing.assert_array_equal(found.gain, np.max([formula[0], played[0], trained[0]], axis=0))
    alone = closed_start.exploitability(method="exact", paths=64)
    assert alone.method == "exact"
    assert set(alone.searches) == {"exact", "exact response"}
    assert alone.by == ()


def test_players_with_controls_of_unequal_size_are_certified():
    one, two = np.ones((1, 1)), np.ones((1, 2))
    game = fp.LinearQuadraticGame(
        A=0.1 * one, B=[one, two], Q=[one, 2 * one], S=None, R=None, G=[one, one], L=0.5 * one,
        steps=3, initial_std=1.0,
    )  # fmt: skip
    result = fp.DeepFictitiousPlay(
        game, hidden=(4,), batch_normalization=False, skip=True, learning_rate=1e-12
    ).solve(stages=1, steps_per_stage=1, validation_paths=256, progress=False)
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
        ({"scale": 0.0}, "`scale` must be greater than 0"),
        ({"scale": [1.0, 2.0]}, "`scale` must be a scalar or hold one value per player"),
    ],
)
def test_bad_settings_are_refused(solved, settings, rule):
    with pytest.raises(ValueError, match=rule):
        solved.exploitability(**settings)


def test_costs_of_zero_give_no_relative_gain():
    game = fp.InterBankGame(players=2, steps=2, sigma=0.0, initial_std=0.0)
    result = fp.DeepFictitiousPlay(game, hidden=(4,), batch_normalization=False).solve(
        stages=1, steps_per_stage=1, validation_paths=16, progress=False
    )
    assert np.all(result.cost >= 0.0)
    found = result.exploitability(paths=64)
    if np.all(result.cost <= 1e-12):
        np.testing.assert_array_equal(found.relative, np.where(found.gain == 0.0, 0.0, np.nan))
        assert found.scale_kind == ("none", "none")
    given = result.exploitability(paths=64, scale=[1.0, 2.0])
    np.testing.assert_allclose(given.relative, given.gain / [1.0, 2.0])
    assert given.scale_kind == ("given", "given")


def test_most_of_a_small_cost_is_much_and_nothing_is_nothing_on_any_scale():
    """A player who could save all of her cost is far from her best response, however small the
    cost; one without costs has nothing to gain."""
    nothing = np.zeros(2)
    still = DeviationGain(
        np.array([1e-6, 0.0]), nothing, (), np.array([1e-6, 0.0]), nothing, nothing.astype(int), 4,
        nothing,
    )  # fmt: skip
    made = assemble({"trained": still}, "trained", ())
    assert made.scale_kind == ("cost", "none")
    np.testing.assert_array_equal(made.relative, [1.0, 0.0])
    np.testing.assert_array_equal(made.relative_standard_error, 0.0)
    given = assemble({"trained": still}, "trained", (), 2.0)
    np.testing.assert_allclose(given.relative, still.gain / 2.0)


class NaNForOne(fp.Game):
    """Where player 0 is below her mean, player 1 has no cost."""

    def __init__(self):
        super().__init__(2, 1.0, 2, initial_std=[0.2, 0.2])

    def drift(self, time, states, controls):
        return controls[..., 0]

    def diffusion(self, time, states, controls):
        return ops.zeros((2, 3), dtype=states.dtype)

    def running_cost(self, time, states, controls):
        return 0.0 * controls[..., 0]

    def terminal_cost(self, states):
        cost = ops.square(states - 1.0)
        return ops.concatenate([cost[..., :1], ops.sqrt(states[..., :1]) + cost[..., 1:]], axis=-1)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_one_player_without_a_cost_does_not_take_the_others():
    game = NaNForOne()
    result = fp.DeepFictitiousPlay(game, hidden=(2,), batch_normalization=False).solve(
        stages=1, steps_per_stage=1, validation_paths=64, progress=False
    )
    assert result.reason == "non_finite"
    assert "player 1 became nan" in result.message
    assert np.isfinite(result.cost[0])
    assert np.isnan(result.cost[1])
    assert not result.converged
    assert result.regret.gain[0] > 0.5
    assert np.isnan(result.regret.gain[1])
    assert np.isnan(result.regret.worst)
