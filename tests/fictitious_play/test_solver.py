"""Deep fictitious play: what it reaches, what it reports, and what it refuses."""

import keras
import numpy as np
import pytest
from keras import ops

import fictitious_play as fp
from fictitious_play.solver.evaluation import CostMeter
from fictitious_play.solver.play import Play
from fictitious_play.solver.samples import training_sample, validation_sample
from tests.fictitious_play.cases import asymmetric_game, symmetric_game

QUICK = {
    "stages": 2,
    "steps_per_stage": 3,
    "validation_paths": 64,
    "progress": False,
    "regret_every": None,
}


@pytest.fixture(scope="module")
def solved():
    """A small game solved well enough to be told from everything but its equilibrium."""
    game = symmetric_game(players=3, steps=5, epsilon=4.0, c=2.0, a=0.5)
    solver = fp.DeepFictitiousPlay(game, hidden=(16,), skip=True, seed=3)
    return solver.solve(
        stages=8, steps_per_stage=40, validation_paths=2048, progress=False, regret_every=None
    )


def test_the_solve_ends_at_the_exact_equilibrium(solved):
    exact = fp.lq.nash(solved.game)
    error = solved.relative_error(exact)
    assert error.shape == (3,)
    assert np.all(np.abs(error) < 0.004 + 4 * solved.relative_standard_error(exact))
    np.testing.assert_allclose(error, solved.cost / exact.cost - 1)
    zero = fp.lq.profile_cost(solved.game, np.zeros((5, 3, 3)))
    assert np.all(zero > 1.15 * exact.cost)  # so the test has room to fail


def test_a_compiled_step_plays_the_same_game():
    game = symmetric_game(players=2, steps=2)
    plain, compiled = (
        fp.DeepFictitiousPlay(game, hidden=(4,), jit_compile=jit).solve(**QUICK)
        for jit in (False, True)
    )
    np.testing.assert_allclose(compiled.history[-1].loss, plain.history[-1].loss, rtol=1e-4)
    assert (plain.settings["jit_compile"], compiled.settings["jit_compile"]) == (False, True)
    with pytest.raises(ValueError, match="`jit_compile` must be True, False or 'auto'"):
        fp.DeepFictitiousPlay(game, jit_compile="always")


def test_controls_are_the_equilibrium_controls(solved, rng):
    exact = fp.lq.nash(solved.game)
    initial = solved.game.initial_states(rng.standard_normal((512, 3)))
    noise = rng.standard_normal((512, 5, 4)) * solved.game.step_size**0.5
    controls = solved.control(initial, noise)
    assert controls.shape == (512, 5, 3)
    assert fp.lq.control_error(controls, exact.controls(initial, noise)) < 0.1
    states = solved.states(initial, noise)
    assert states.shape == (512, 6, 3)
    np.testing.assert_allclose(states[:, 0], initial, rtol=1e-6)


def test_the_exported_player_model_plays_the_same_controls(solved, rng):
    initial = solved.game.initial_states(rng.standard_normal((8, 3))).astype("float32")
    noise = (rng.standard_normal((8, 5, 4)) * 0.4).astype("float32")
    model = solved.player_model(1)
    outputs = [model.get_layer(f"control_{step}").output for step in range(5)]
    controls = keras.Model(model.inputs, outputs)([initial, noise, np.zeros((8, 5, 3))])
    expected = solved.control(initial, noise)[:, :, 1]
    np.testing.assert_allclose(np.concatenate(controls, axis=1), expected, atol=1e-5)


def test_history_and_reason(solved):
    assert [record.stage for record in solved.history] == list(range(1, 9))
    assert solved.reason == "max_stages"
    assert np.isnan(solved.history[0].change)
    last, before = solved.history[-1], solved.history[-2]
    assert last.change == pytest.approx(np.max(np.abs(last.cost / before.cost - 1)))
    assert solved.settled == (last.change < 1e-3)
    assert last.loss.shape == (40,)
    assert last.learning_rate < before.learning_rate


def test_a_tolerance_stops_early():
    game = symmetric_game(players=2, steps=2)
    result = fp.DeepFictitiousPlay(game, hidden=(4,), batch_normalization=False).solve(
        stages=9,
        steps_per_stage=2,
        tolerance=0.5,
        validation_paths=64,
        progress=False,
        regret_every=None,
    )
    assert result.reason == "tolerance"
    assert result.settled
    assert len(result.history) < 9


def test_the_same_seed_gives_the_same_bits_and_another_one_others():
    game = asymmetric_game(players=2, steps=2)
    first, second, other = (
        fp.DeepFictitiousPlay(game, hidden=(4,), seed=seed).solve(**QUICK) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.cost, second.cost)
    for one, two in zip(first.policy.weights, second.policy.weights, strict=True):
        np.testing.assert_array_equal(one, two)
    assert np.all(first.cost != other.cost)


def test_an_initial_belief_is_what_players_answer_first():
    game = symmetric_game(players=2, steps=2, initial_std=0.0, sigma=0.0)
    ramp = np.array([[1.0, 2.0], [3.0, 4.0]])
    form = {"hidden": (4,), "batch_normalization": False}
    by_array, by_function, without = (
        fp.DeepFictitiousPlay(game, initial_belief=belief, **form).solve(**QUICK)
        for belief in (ramp, lambda x, w: np.broadcast_to(ramp, (len(x), 2, 2)), 0.0)
    )
    np.testing.assert_array_equal(by_array.cost, by_function.cost)
    assert by_array.history[0].loss[0] != without.history[0].loss[0]
    # Networks start at zero: the first loss is the cost of zero controls against the belief.
    controls = np.zeros((2, 2))
    expected = 0.0
    for player in range(2):
        controls[:] = ramp
        controls[:, player] = 0.0
        state, cost = np.zeros(2), 0.0
        for step in range(2):
            z = state.mean() - state[player]
            cost += game.step_size * 0.5 * game.epsilon[player] * z**2
            state = state + game.step_size * (0.1 * (state.mean() - state) + controls[step])
        expected += cost + 0.5 * game.c[player] * (state.mean() - state[player]) ** 2
    np.testing.assert_allclose(by_array.history[0].loss[0], expected, rtol=1e-5)


def test_a_non_finite_loss_names_player_stage_and_step_and_keeps_the_last_good_stage(monkeypatch):
    game = symmetric_game(players=2, steps=2)
    good = fp.DeepFictitiousPlay(game, hidden=(4,), batch_normalization=False).solve(
        **{**QUICK, "stages": 1}
    )
    train = Play._train

    def poisoned(self, trainer, stage, first, count, steps):
        if stage == 2:
            policy = trainer.model.policy
            kernel = ops.convert_to_numpy(policy.output_kernel).copy()
            kernel[:, 1] = np.nan
            policy.output_kernel.assign(kernel)
        return train(self, trainer, stage, first, count, steps)

    monkeypatch.setattr(Play, "_train", poisoned)
    with pytest.warns(RuntimeWarning, match="loss of player 1 became nan in stage 2, step 1"):
        result = fp.DeepFictitiousPlay(game, hidden=(4,), batch_normalization=False).solve(**QUICK)
    assert result.reason == "non_finite"
    assert not result.converged
    assert "stage 1 are kept" in result.message
    assert len(result.history) == 1
    assert np.all(np.isfinite(result.cost))
    assert good.history[0].loss[0] == result.history[0].loss[0]


def test_the_control_variate_changes_the_error_and_not_the_mean():
    game = asymmetric_game(players=3, steps=5)
    sample = validation_sample(game, 0, 4096, "float64")
    exact = fp.lq.nash(game)
    # A profile with a known cost: half the equilibrium's gains.
    gains = 0.5 * exact.gains
    controls = fp.lq.simulate_gains(game, gains, sample.initial_state, sample.noise).controls
    expected = fp.lq.profile_cost(game, gains)
    tensors = [ops.convert_to_tensor(each) for each in (sample[0], controls[..., None], sample[1])]
    costs = ops.convert_to_numpy(fp.rollout.joint_costs(game, *tensors))
    plain = CostMeter(game, sample).cost(costs)
    reduced = CostMeter(game, sample, exact).cost(costs)
    assert np.all(np.abs(plain.mean - expected) < 4 * plain.standard_error)
    assert np.all(np.abs(reduced.mean - expected) < 4 * reduced.standard_error)
    assert np.all(reduced.standard_error < 0.5 * plain.standard_error)


def test_samples_are_antithetic_and_adapted_to_their_place():
    game = asymmetric_game()
    sample = training_sample(game, 7, 2, 5, 10, "float32")
    np.testing.assert_allclose(sample.noise[0::2], -sample.noise[1::2])
    middle = (sample.initial_state[0::2] + sample.initial_state[1::2]) / 2
    np.testing.assert_allclose(middle, np.tile(game.initial_mean, (5, 1)), atol=1e-6)
    again = training_sample(game, 7, 2, 5, 10, "float32")
    np.testing.assert_array_equal(sample.noise, again.noise)
    for place in ((8, 2, 5), (7, 3, 5), (7, 2, 6)):
        assert np.all(training_sample(game, *place, 10, "float32").noise != sample.noise)
    large = validation_sample(game, 0, 20_000, "float64")
    np.testing.assert_allclose(large.noise.var(), game.step_size, rtol=0.01)
    np.testing.assert_allclose(
        large.initial_state.std(axis=0), game.initial_std, rtol=0.03, atol=1e-9
    )


@pytest.mark.parametrize(
    ("changes", "error", "rule"),
    [
        ({"game": "inter-bank"}, TypeError, "`game` must be a Game"),
        ({"batch_size": 5}, ValueError, "`batch_size` must be even"),
        ({"batch_size": 0}, ValueError, "`batch_size` must be at least 2"),
        ({"learning_rate": 0.0}, ValueError, "`learning_rate` must be greater than 0"),
        ({"final_rate_ratio": 2.0}, ValueError, "`final_rate_ratio` must be at most 1"),
        ({"initial_belief": np.ones(3)}, ValueError, "`initial_belief` must broadcast"),
        ({"initial_belief": float("nan")}, ValueError, "`initial_belief` must be finite"),
        ({"initial_belief": "zero"}, TypeError, "`initial_belief` must be a number"),
        ({"seed": -1}, ValueError, "`seed` must be at least 0"),
        ({"dtype": "float16"}, ValueError, "`dtype` must be one of"),
        ({"activation": "softmax"}, ValueError, "a function of every number by itself"),
        ({"activation": "glu"}, ValueError, "a function of every number by itself"),
        ({"hidden": "wide"}, TypeError, "`hidden` must be a sequence"),
    ],
)
def test_bad_solvers_are_refused(changes, error, rule):
    arguments = {"game": symmetric_game(players=2, steps=2), **changes}
    with pytest.raises(error, match=rule) as caught:
        fp.DeepFictitiousPlay(**arguments)
    assert "Received" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "error", "rule"),
    [
        ({"stages": 0}, ValueError, "`stages` must be at least 1"),
        ({"stages": 1.5}, TypeError, "`stages` must be an integer"),
        ({"steps_per_stage": 0}, ValueError, "`steps_per_stage` must be at least 1"),
        ({"tolerance": 0.0}, ValueError, "`tolerance` must be greater than 0"),
        ({"validation_paths": 7}, ValueError, "`validation_paths` must be even"),
    ],
)
def test_bad_solves_are_refused(changes, error, rule):
    solver = fp.DeepFictitiousPlay(symmetric_game(players=2, steps=2))
    with pytest.raises(error, match=rule):
        solver.solve(**{**QUICK, **changes})


@pytest.mark.parametrize(
    ("initial", "noise", "rule"),
    [
        (np.zeros((4, 3)), np.zeros((4, 5, 3)), "`noise` must have the shape"),
        (np.zeros((4, 3)), np.zeros((4, 4, 4)), "`noise` must have the shape"),
        (np.zeros((4, 2)), np.zeros((4, 5, 4)), "`initial_state` must have the shape"),
        (np.zeros((0, 3)), np.zeros((0, 5, 4)), "must hold at least one path"),
        (np.zeros((3, 3)), np.zeros((4, 5, 4)), "must hold the same number of paths"),
        (np.full((4, 3), np.nan), np.zeros((4, 5, 4)), "`initial_state` must be finite"),
        (np.zeros((4, 3)), np.full((4, 5, 4), np.inf), "`noise` must be finite"),
    ],
)
def test_noise_that_does_not_fit_the_game_is_refused(solved, initial, noise, rule):
    with pytest.raises(ValueError, match=rule):
        solved.control(initial, noise)
