"""Beliefs in closed-loop play: weighted feedbacks, and the play that answers them."""

import functools

import numpy as np
import pytest
from keras import ops

import fictitious_play as fp
from fictitious_play.networks.units import Units
from fictitious_play.solver.closed_loop import ClosedLoop
from fictitious_play.solver.optimizers import OptimizerChoice
from fictitious_play.solver.play import SequentialPlay, Training
from fictitious_play.solver.samples import Sample
from fictitious_play.solver.training import FeedbackResponseModel
from tests.fictitious_play.cases import asymmetric_game, randomize, sample

NETWORK = {"hidden": (4, 3), "dtype": "float64", "seed": 1}
RULES = ("last", "average", "damped")


def structure(game, initial_belief=0.0, **network):
    paths = Sample(*sample(game, paths=32)[:2])
    return ClosedLoop(game, {**NETWORK, **network}, initial_belief, paths)


def profiles_of(made, count):
    """Policies whose feedbacks differ."""
    policies = [made.policy() for _ in range(count)]
    for seed, policy in enumerate(policies):
        units = policy.get_weights()
        randomize(policy, seed)
        policy.set_weights(
            [
                old if "state_" in variable.path else new
                for variable, old, new in zip(
                    policy.weights, units, policy.get_weights(), strict=True
                )
            ]
        )
    return policies


def shares(rule, count):
    """Weights of α^0 and of `count` profiles, ω = .3."""
    if count == 0:
        return [1.0]
    if rule == "average":
        return [1.0 / (count + 1)] * (count + 1)
    if rule == "damped":
        return [*(0.7 * share for share in shares(rule, count - 1)), 0.3]
    return [0.0] * count + [1.0]


@pytest.mark.parametrize("form", [{}, {"batch_normalization": False, "time_shared": True}])
@pytest.mark.parametrize("rule", RULES)
def test_a_belief_is_the_weighted_sum_of_the_feedbacks(rule, form):
    """In states of copies that deviate differently, α^0 a function of time and player."""
    game = asymmetric_game(players=3, steps=3)
    ramp = np.arange(9.0).reshape(3, 3)
    made = structure(game, ramp, skip=True, **form)
    belief = made.belief(rule, damping=0.3)
    states = ops.convert_to_tensor(np.random.default_rng(0).normal(size=(8, 3, 3)))
    profiles = profiles_of(made, 3)
    for count in range(4):
        if count:
            belief.announce(count, profiles[count - 1])
        for step in range(3):
            found = belief.mixture.controls(step, states)
            parts = [ramp[step][:, None], *(p.controls(step, states) for p in profiles[:count])]
            expected = sum(
                w * np.asarray(u) for w, u in zip(shares(rule, count), parts, strict=True)
            )
            np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=1e-12)


def test_a_belief_grows_by_doubling_and_keeps_its_profiles():
    made = structure(asymmetric_game(players=2, steps=2))
    belief = made.belief("average", damping=0.5)
    seen = []
    for stage, profile in enumerate(profiles_of(made, 5), start=1):
        belief.announce(stage, profile)
        seen.append(belief.mixture.slots)
    assert seen == [1, 2, 4, 4, 8]
    assert np.count_nonzero(ops.convert_to_numpy(belief.mixture.shares)) == 2 * 5


def test_a_sequential_belief_knows_who_has_moved():
    game = asymmetric_game(players=3, steps=2)
    made = structure(game, 2.0)
    belief = made.belief("sequential", damping=1.0)
    (profile,) = profiles_of(made, 1)
    belief.announce(1, profile, player=1)
    states = ops.convert_to_tensor(np.random.default_rng(0).normal(size=(8, 3)))
    found = np.asarray(belief.mixture.controls(1, states))
    np.testing.assert_allclose(found[:, 1], np.asarray(profile.controls(1, states))[:, 1])
    np.testing.assert_array_equal(found[:, [0, 2]], 2.0)


def test_others_answer_a_deviation_with_their_averaged_gains(rng):
    """Linear feedbacks: costs against the exact theory with the gains averaged."""
    game = asymmetric_game(players=3, steps=4)
    initial, noise, _ = sample(game, paths=8)
    made = structure(game, batch_normalization=False, skip=True)
    # Gains act on the state itself here, not on standard units.
    made.units = Units(np.zeros((4, 3)), np.ones((4, 3)))
    gains = rng.standard_normal((3, 4, 3, 3))
    belief = made.belief("average", damping=0.5)
    for stage in (1, 2):
        announced = made.policy()
        announced.skip_kernel.assign(gains[stage][:, :, None, :])
        belief.announce(stage, announced)
    own = made.policy()
    own.skip_kernel.assign(gains[0][:, :, None, :])
    costs = np.asarray(made.model(own, belief)([initial, noise]))
    for player in range(3):
        mixed = (gains[1] + gains[2]) / 3.0
        mixed[:, player] = gains[0][:, player]
        expected = fp.lq.simulate_gains(game, mixed, initial, noise).cost[:, player]
        np.testing.assert_allclose(costs[:, player], expected, rtol=1e-10)


def test_one_player_alone_pays_what_she_pays_beside_the_others():
    game = asymmetric_game(players=3, steps=3)
    inputs = list(sample(game, paths=8)[:2])
    made = structure(game)
    own, others = profiles_of(made, 2)
    belief = made.belief("last", damping=1.0)
    belief.announce(1, others)
    together = np.asarray(made.model(own, belief)(inputs))
    for player in range(3):
        alone = made.policy(player)
        for target, source in zip(alone.stacked_weights, own.stacked_weights, strict=True):
            target.assign(source[:, player : player + 1])
        costs = np.asarray(made.model(alone, belief)(inputs))
        np.testing.assert_allclose(costs, together[:, player : player + 1], rtol=1e-12)


@functools.cache
def solved(rule, **switches):
    solver = fp.DeepFictitiousPlay(
        asymmetric_game(players=2, steps=2), hidden=(4,), batch_normalization=False,
        information_structure="closed_loop", belief=rule, initial_belief=0.5, **switches,
    )  # fmt: skip
    return solver.solve(
        stages=3, steps_per_stage=3, validation_paths=64, progress=False, regret_every=None
    )


def same_bits(one, two):
    np.testing.assert_array_equal(one.cost, two.cost)
    for record, other in zip(one.history, two.history, strict=True):
        np.testing.assert_array_equal(record.loss, other.loss)
    for weight, other in zip(one.policy.weights, two.policy.weights, strict=True):
        np.testing.assert_array_equal(weight, other)


def test_damping_of_one_is_the_last_belief():
    last = solved("last")
    same_bits(solved("damped", damping=1.0), last)
    assert np.any(solved("damped").history[-1].loss != last.history[-1].loss)


def test_the_optimizer_goes_on_when_the_belief_grows():
    """The learning rate of every stage is that of the schedule, whatever had to be traced anew."""
    rates = {rule: [r.learning_rate for r in solved(rule).history] for rule in RULES}
    assert rates["average"] == rates["damped"] == rates["last"]
    assert len(set(rates["last"])) == 3


def test_sequential_play_of_two_is_alternating_play():
    """Made by hand: both players are trained against a belief, and one of them is kept."""
    game = asymmetric_game(players=2, steps=2)
    training = Training(16, 3, "float64", OptimizerChoice(None, 0.05, 0.1), 4)
    made = structure(game, 0.7)
    play = SequentialPlay(made, training)
    first = play.policy.get_weights()
    losses = [play.stage(stage, 2, lambda count: None) for stage in (1, 2)]

    others = made.policy()  # α^0: the output kernel is zero at first
    others.output_bias.assign(np.full(others.output_bias.shape, 0.7))
    models = []
    for _ in range(2):
        policy = made.policy()
        policy.set_weights(first)
        models.append(training.compile(FeedbackResponseModel(policy, others)))
    newest = made.policy()
    newest.set_weights(others.get_weights())
    for stage in (1, 2):
        if stage == 2:
            made.follow(newest, [others, *(model.policy for model in models)])
        expected = np.zeros(2)
        for player, model in enumerate(models):
            taken = []
            for step in range(2):
                inputs = list(training.sample(game, stage, step))
                before = model.policy.get_weights()
                costs = model(inputs, training=True)  # on the batch's statistics, which it moves
                expected[step] += np.asarray(costs)[:, player].mean()
                model.policy.set_weights(before)
                model.train_on_batch(inputs)
                taken.append(model.policy.get_weights())
            # Of two steps the first counts 1 · 2 and the second 2 · 3 in the average.
            weights = model.policy.weights
            means = [(2.0 * one + 6.0 * two) / 8.0 for one, two in zip(*taken, strict=True)]
            rests = [not each.trainable for each in weights]
            told = [new if r else mean for new, mean, r in zip(taken[1], means, rests, strict=True)]
            for policy, values in ((newest, taken[1]), (others, told)):
                merged = policy.get_weights()
                for target, value, weight in zip(merged, values, policy.weights, strict=True):
                    if weight.path.split("/")[-1] not in ("state_mean", "state_scale"):
                        target[:, player] = value[:, player]
                policy.set_weights(merged)
        np.testing.assert_allclose(losses[stage - 1], expected, rtol=3e-7)  # kept in float32


@pytest.mark.parametrize("rule", [pytest.param("average", marks=pytest.mark.release), "sequential"])
def test_a_stage_is_near_the_exact_best_response_of_its_belief(rule, rng):
    """Stage 2 on a game where the responses to different beliefs lie apart."""
    game = fp.InterBankGame(players=2, steps=3, epsilon=8.0, c=8.0, initial_std=1.0)
    solver = fp.DeepFictitiousPlay(
        game, hidden=(4,), batch_normalization=False, skip=True,
        information_structure="closed_loop", belief=rule,
    )  # fmt: skip
    result = solver.solve(
        stages=2, steps_per_stage=120, validation_paths=64, progress=False, regret_every=None
    )
    initial = game.initial_states(rng.standard_normal((4096, 2)))
    noise = rng.standard_normal((4096, 3, 3)) * game.step_size**0.5
    gains = fp.lq.regressed_gains(
        result.control(initial, noise), result.states(initial, noise)[:, :-1]
    )
    exact = {
        name: fp.lq.exact_feedback_play(game, 2, name).response_gains[-1]
        for name in ("last", "average", "sequential")
    }
    wanted = exact.pop(rule)
    assert fp.lq.gain_error(game, gains, wanted) < 0.05
    assert fp.lq.gain_error(game, exact["last"], wanted) > 0.25
