"""Feedback policies and closed-loop play."""

import keras
import numpy as np
import pytest
from keras import ops

import fictitious_play as fp
from fictitious_play.solver.training import FeedbackResponseModel
from tests.fictitious_play.cases import asymmetric_game, randomize, sample


def linear_feedback(game, gains, dtype="float64"):
    """A policy that plays u_t = gains[t] X_t, through its linear path."""
    policy = fp.FeedbackPolicy(game, hidden=(2,), batch_normalization=False, skip=True, dtype=dtype)
    policy.build()
    policy.skip_kernel.assign(gains[:, :, None, :])
    return policy


def test_a_linear_feedback_costs_what_the_exact_theory_says(rng):
    game = asymmetric_game(players=3, steps=4)
    gains = rng.standard_normal((4, 3, 3))
    initial, noise, _ = sample(game, paths=8)
    policy = linear_feedback(game, gains)
    expected = fp.lq.simulate_gains(game, gains, initial, noise)
    controls = policy([initial, noise])
    np.testing.assert_allclose(np.asarray(controls)[..., 0], expected.controls, rtol=1e-12)


def test_the_linear_path_shared_in_time_is_cubic_in_time():
    """Its four coefficients span the cubics, and have size one on average over the steps."""
    steps = 24
    game = asymmetric_game(players=2, steps=steps)
    policy = fp.FeedbackPolicy(
        game, hidden=(2,), batch_normalization=False, skip=True, time_shared=True, dtype="float64"
    )
    policy.build()
    state = ops.convert_to_tensor([[1.0, 0.0]], dtype="float64")
    gains = []
    for degree in range(4):
        kernel = np.zeros(policy.skip_kernel.shape)
        kernel[degree, :, :, 0] = 1.0
        policy.skip_kernel.assign(kernel)
        played = [np.asarray(policy.controls(step, state))[0, 0, 0] for step in range(steps)]
        gains.append(played)
    gains = np.array(gains)
    times = np.arange(steps)
    fitted = np.polynomial.polynomial.polyfit(times, gains.T, 3)
    np.testing.assert_allclose(np.polynomial.polynomial.polyval(times, fitted), gains, atol=1e-12)
    np.testing.assert_allclose(gains @ gains.T / steps, np.eye(4), atol=0.03)


def test_others_answer_a_deviation(rng):
    """Costs of deviations from linear feedbacks, against paths played one player at a time."""
    game = asymmetric_game(players=3, steps=4)
    initial, noise, _ = sample(game, paths=8)
    gains, others = rng.standard_normal((2, 4, 3, 3))
    model = FeedbackResponseModel(linear_feedback(game, gains), linear_feedback(game, others))
    costs = np.asarray(model([initial, noise]))
    for player in range(3):
        mixed = others.copy()
        mixed[:, player] = gains[:, player]
        expected = fp.lq.simulate_gains(game, mixed, initial, noise).cost[:, player]
        np.testing.assert_allclose(costs[:, player], expected, rtol=1e-10)


@pytest.mark.parametrize(
    "form", [{}, {"batch_normalization": False, "time_shared": True}, {"skip": True}]
)
def test_a_feedback_policy_survives_a_keras_file(tmp_path, form):
    game = asymmetric_game(players=3, steps=3)
    initial, noise, _ = sample(game, dtype=np.float32)
    policy = fp.FeedbackPolicy(game, hidden=(5, 4), **form)
    policy.build()
    randomize(policy)
    before = policy.predict([initial, noise], verbose=0)
    policy.save(tmp_path / "policy.keras")
    again = keras.saving.load_model(tmp_path / "policy.keras")
    np.testing.assert_array_equal(again.predict([initial, noise], verbose=0), before)


def test_batch_normalisation_uses_the_batch_in_training_and_moves_its_averages():
    game = asymmetric_game(players=2, steps=2)
    initial, noise, _ = sample(game, paths=64)
    own, others = (fp.FeedbackPolicy(game, hidden=(3,), dtype="float64") for _ in range(2))
    model = FeedbackResponseModel(own, others)
    model.build()
    randomize(own)
    before = np.asarray(own.moving_means[0])
    # At step 0 nobody's deviation matters yet: the statistics are those of the initial states.
    rows = ops.transpose(own.features(0, ops.convert_to_tensor(initial)))
    values = np.asarray(ops.matmul(own.kernels[0][0], rows))
    model([initial, noise], training=True)
    moved = 0.9 * before[0] + 0.1 * values.mean(axis=-1)
    np.testing.assert_allclose(np.asarray(own.moving_means[0])[0], moved, rtol=1e-12)
    after = np.asarray(own.moving_means[0])
    model([initial, noise], training=False)
    np.testing.assert_array_equal(own.moving_means[0], after)


@pytest.mark.parametrize(
    "switches",
    [
        pytest.param({}, marks=pytest.mark.release),
        {"time_shared": True, "hidden": (24,)},
        pytest.param({"batch_normalization": True, "skip": True}, marks=pytest.mark.release),
    ],
)
def test_closed_loop_play_ends_at_the_closed_loop_equilibrium(switches, rng):
    """On a game where the open-loop equilibrium is far away."""
    game = fp.InterBankGame(players=2, steps=4, epsilon=8.0, c=8.0, initial_std=1.0)
    form = {"hidden": (8,), "batch_normalization": False, "skip": True, **switches}
    solver = fp.DeepFictitiousPlay(game, information_structure="closed_loop", **form)
    steps = 150 if form.get("time_shared") else 50
    result = solver.solve(
        stages=8, steps_per_stage=steps, validation_paths=2048, progress=False, regret_every=None
    )
    initial = game.initial_states(rng.standard_normal((4096, 2)))
    noise = rng.standard_normal((4096, 4, 3)) * game.step_size**0.5
    gains = fp.lq.regressed_gains(
        result.control(initial, noise), result.states(initial, noise)[:, :-1]
    )
    closed = fp.lq.nash(game, information_structure="closed_loop")
    opened = fp.lq.nash(game, information_structure="open_loop")
    assert fp.lq.gain_error(game, opened.gains, closed.gains) > 0.08
    assert fp.lq.gain_error(game, gains, closed.gains) < 0.03
    assert np.max(np.abs(result.relative_error(closed))) < 0.02


def test_a_constant_first_belief_is_what_others_play():
    game = fp.InterBankGame(players=2, steps=2, initial_std=0.0)  # steady hands
    ramp = np.array([[1.0, 2.0], [3.0, 4.0]])
    losses = [
        fp.DeepFictitiousPlay(game, hidden=(4,), initial_belief=ramp, **form)
        .solve(stages=1, steps_per_stage=1, validation_paths=16, progress=False, regret_every=None)
        .history[0]
        .loss
        for form in ({}, {"information_structure": "closed_loop", "batch_normalization": False})
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"information_structure": "half_open"}, "`information_structure` must be one of"),
        ({"time_shared": True}, "cannot be shared in time"),
        (
            {"information_structure": "closed_loop", "time_shared": True},
            "`batch_normalization=False`",
        ),
        (
            {"information_structure": "closed_loop", "features": "own_and_mean"},
            "`features` is for those",
        ),
        (
            {"information_structure": "closed_loop", "initial_belief": len},
            "must be a number or an array",
        ),
        ({"belief": "first"}, "`belief` must be one of"),
        ({"belief": "damped", "damping": 0.0}, "`damping` must be greater than 0"),
        ({"features": "nothing"}, "`features` must be one of"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, rule):
    with pytest.raises(ValueError, match=rule) as caught:
        fp.DeepFictitiousPlay(asymmetric_game(players=2, steps=2), **settings)
    assert "Received" in str(caught.value)


def test_a_feedback_policy_is_no_player_model():
    game = asymmetric_game(players=2, steps=2)
    result = fp.DeepFictitiousPlay(
        game, hidden=(4,), batch_normalization=False, information_structure="closed_loop"
    ).solve(stages=1, steps_per_stage=1, validation_paths=16, progress=False, regret_every=None)
    with pytest.raises(ValueError, match="Only open-loop networks"):
        result.player_model(0)
