"""The units in which networks see the game: what they are, and that changing them changes nothing
but the eyes."""

import numpy as np
import pytest
from keras import ops

import fictitious_play as fp
from fictitious_play.networks.units import Units, initial_units, state_units
from fictitious_play.solver.closed_loop import ClosedLoop
from fictitious_play.solver.samples import Sample
from tests.fictitious_play.cases import asymmetric_game, randomize, sample

FORMS = [
    {"skip": True},
    {"batch_normalization": False},
    {"batch_normalization": False, "skip": True, "time_shared": True},
]


def other_units(game, rng, pooled):
    shape = (1 if pooled else game.steps, game.state_size)
    found = Units(3.0 * rng.standard_normal(shape), rng.uniform(0.1, 5.0, shape))
    return Units(*(np.broadcast_to(each, (game.steps, game.state_size)) for each in found))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_other_units_leave_the_controls_as_they_are(form, steps, rng):
    game = asymmetric_game(players=3, steps=steps)
    policy = fp.FeedbackPolicy(game, hidden=(5, 4), dtype="float64", **form)
    policy.build()
    randomize(policy)
    pooled = form.get("time_shared", False)
    policy.set_units(other_units(game, rng, pooled))
    states = ops.convert_to_tensor(rng.standard_normal((16, 3)))
    before = [np.asarray(policy.controls(step, states)) for step in range(steps)]
    kernel = np.asarray(policy.first_kernel).copy()
    policy.change_units(other_units(game, rng, pooled))
    after = [np.asarray(policy.controls(step, states)) for step in range(steps)]
    np.testing.assert_allclose(after, before, rtol=1e-9, atol=1e-10)
    assert np.abs(np.asarray(policy.first_kernel) - kernel).max() > 0.1


def test_other_units_leave_the_training_loss_as_it_is(rng):
    """Under batch normalisation too, by the batch's own statistics and by the averages after."""
    game = asymmetric_game(players=2, steps=3)
    initial, noise, _ = sample(game)
    belief, *policies = (fp.FeedbackPolicy(game, hidden=(4,), dtype="float64") for _ in range(3))
    models = []
    units = other_units(game, rng, False)
    for policy in policies:
        models.append(fp.solver.training.FeedbackResponseModel(policy, belief))
        models[-1].build()
        randomize(policy)
    policies[1].change_units(units)
    for training in (True, False):
        one, two = (np.asarray(model([initial, noise], training=training)) for model in models)
        np.testing.assert_allclose(one, two, rtol=1e-9)


def drifting_game(**changes):
    """Player 1 moves the first state, it moves the second, the third is a constant, the fourth
    moves by itself, and the fifth is noise."""
    A = np.zeros((5, 5))
    A[1, 0] = A[3, 2] = 1.0
    B = np.zeros((2, 5, 1))
    B[0, 0] = 1.0
    return fp.LinearQuadraticGame(
        A, B, np.zeros((2, 5, 5)), None, None, np.zeros((2, 5, 5)), np.eye(5)[:, 4:] * 0.5,
        horizon=1.0, steps=5, initial_mean=[0.0, 0.0, 1.0, 7.0, 0.0], **changes,
    )  # fmt: skip


def test_only_a_state_that_nothing_moves_is_left_out():
    game = drifting_game()
    initial, noise, controls = sample(game, paths=4096)
    units, own = state_units(game, initial, 0.0 * controls, noise)
    seen = units.scale > 0
    np.testing.assert_array_equal(seen.all(axis=0), [True, True, False, False, True])
    np.testing.assert_array_equal(seen.any(axis=0), seen.all(axis=0))
    # A unit of control moves the first state by h a step, independently.
    expected = 0.2 * np.sqrt(np.arange(1, 5))
    np.testing.assert_allclose(1.0 / units.scale[1:, 0], expected, rtol=0.05)
    np.testing.assert_allclose(1.0 / units.scale[2:, 4], 0.5 * np.sqrt(0.2 * np.arange(2, 5)), 0.05)
    np.testing.assert_allclose(units.mean[:, 3], 7.0 + 0.2 * np.arange(5))
    assert own == 0.0
    policy = fp.FeedbackPolicy(game, hidden=(3,))
    policy.build()
    policy.set_units(units)
    assert policy.unmoved_states == (2, 3)


def test_a_unit_is_the_spread_where_noise_makes_it():
    game = asymmetric_game(players=3, steps=4)
    initial, noise, controls = sample(game, paths=4096)
    tensors = (ops.convert_to_tensor(each) for each in (initial, controls, noise))
    states = np.asarray(fp.rollout.joint_states(game, *tensors))[:, :-1]
    units, own = state_units(game, initial, controls, noise)
    np.testing.assert_allclose(units.mean, states.mean(axis=0), atol=1e-12)
    spread = states.std(axis=0)
    assert np.all(1.0 / units.scale[1:] > spread[1:])
    assert 0.0 < own < np.inf


def test_units_follow_the_play():
    game = drifting_game()
    paths = Sample(*(each.astype("float32") for each in sample(game, paths=256)[:2]))
    form = {"hidden": (4,), "batch_normalization": False, "dtype": "float32"}
    made = ClosedLoop(game, form, 0.0, paths)
    policy, alone = made.policy(), made.policy(1)
    np.testing.assert_array_equal(policy.state_mean, made.units.mean.astype("float32"))
    policy.output_bias.assign(np.ones(policy.output_bias.shape))
    made.follow(policy, [alone])
    np.testing.assert_allclose(np.asarray(policy.state_mean)[:, 0], 0.2 * np.arange(5), rtol=1e-5)
    np.testing.assert_array_equal(policy.state_mean, alone.state_mean)


class UniformStart(fp.InterBankGame):
    """X_0 uniform on [-1, 1], and a mean and spread that say something else."""

    def initial_states(self, normals):
        return 2.0 * np.vectorize(lambda z: 0.5 * (1.0 + np.tanh(0.8 * z)))(normals) - 1.0


def test_initial_units_are_those_of_the_law_that_is_sampled(rng):
    for std in (0.0, 5.0):
        game = UniformStart(players=2, steps=2, initial_mean=3.0, initial_std=std)
        drawn = game.initial_states(rng.standard_normal((100_000, 2)))
        units = initial_units(game)
        np.testing.assert_allclose(units.mean, 0.0, atol=1e-12)
        np.testing.assert_allclose(1.0 / units.scale, drawn.std(axis=0), rtol=0.03)
    declared = asymmetric_game()
    units = initial_units(declared)
    std = declared.initial_std
    np.testing.assert_allclose(units.mean, declared.initial_mean, rtol=1e-12)
    np.testing.assert_allclose(units.scale[1:], 1.0 / std[1:], rtol=1e-12)
    assert units.scale[0] == 0.0


def followed(A, B, Q, S, G, L, **form):
    """A closed-loop solve at the defaults of fewer steps, and its exact equilibrium."""
    game = fp.LinearQuadraticGame(A, B, Q, S, None, G, L, **form)
    solver = fp.DeepFictitiousPlay(game, information_structure="closed_loop", hidden=(16,))
    result = solver.solve(
        6, 40, validation_paths=2048, stage_paths=64, progress=False, regret_every=None
    )
    return np.max(np.abs(result.relative_error(fp.lq.nash(game, "closed_loop")))), result


def test_a_state_that_rests_at_first_is_seen():
    """X follows an exogenous Z: under α^0 it does not move, and all of it must be seen."""
    Q = [[[1.0, -1.0], [-1.0, 1.0]]]
    error, result = followed(
        np.zeros((2, 2)), [[[1.0], [0.0]]], Q, None, Q, [[0.0], [1.0]],
        horizon=2.0, steps=6, initial_std=[0.0, 0.5],
    )  # fmt: skip
    assert error < 0.02
    assert result.policy.unmoved_states == ()


@pytest.mark.parametrize("sigma", [0.0, pytest.param(0.2, marks=pytest.mark.release)])
def test_sticky_prices_away_from_the_steady_state(sigma):
    """Fershtman and Kamien (1987): the price drifts far in units of its noise, and the feedback is
    a control off the path as well. With the network blind there it is the open-loop equilibrium,
    8 % away, or worse."""
    zero = np.zeros((2, 2, 2))
    error, result = followed(
        [[-1.0, 5.0], [0.0, 0.0]], [[[-1.0], [0.0]]] * 2, zero, [[[-1.0, 1.0]]] * 2, zero,
        [[sigma], [0.0]], horizon=2.0, steps=5, initial_mean=[1.0, 1.0],
    )  # fmt: skip
    assert error < 0.02
    assert result.policy.unmoved_states == (1,)
    assert "states that nothing can move, which no network sees: 1" in result.summary()


def test_hands_tremble_in_all_sizes_and_steady_only_beyond_linear_quadratic_games():
    exact = asymmetric_game(players=2, steps=2)
    for game, most in ((exact, 0.0), (fp.FlockingGame(2, steps=2), 2.0)):
        units = Sample(*sample(game, paths=64)[:2])
        made = ClosedLoop(game, {"hidden": (4,)}, 0.0, units)
        made._tremble = 1.0
        sizes = made.fixed(0.01, 8)["tremble"]
        assert sizes.shape == (8, 1, game.players, game.control_size)
        expected = most * np.array([0.125, 0.125, 0.375, 0.375, 0.625, 0.625, 0.875, 0.875])
        np.testing.assert_allclose(np.log10(sizes[:, 0, 1, 0]), -expected, atol=1e-9)
