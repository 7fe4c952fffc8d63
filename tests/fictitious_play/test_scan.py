"""Roll-outs as a loop on the device: the same numbers as step by step, and gradients."""

import math

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import fictitious_play as fp
from fictitious_play import scan as scan_module
from fictitious_play.solver.training import FeedbackResponseModel
from tests.fictitious_play.cases import asymmetric_game, randomize, sample


def time_varying_game(steps):
    rng = np.random.default_rng(3)
    A, Q = rng.standard_normal((steps, 2, 2)), rng.standard_normal((2, steps, 2, 2))
    B = rng.standard_normal((2, steps, 2, 1))
    Q = Q @ np.swapaxes(Q, -1, -2)
    return fp.LinearQuadraticGame(
        A, B, Q, None, None, Q[:, 0], 0.3 * np.eye(2), steps=steps, initial_std=1.0
    )


@pytest.fixture
def looped(monkeypatch):
    """Makes roll-outs of more than two steps a loop over blocks of two."""

    def switch():
        monkeypatch.setattr(scan_module, "UNROLLED", {"tensorflow": 2})
        monkeypatch.setattr(scan_module, "BLOCK", 2)

    return switch


@pytest.mark.parametrize("steps", [4, 7])
def test_a_loop_gives_the_costs_and_states_of_written_out_steps(steps, looped):
    game = time_varying_game(steps)
    arrays = [ops.convert_to_tensor(sample(game)[number]) for number in (0, 2, 1)]
    before = [
        np.asarray(f(game, *arrays)) for f in (fp.rollout.joint_costs, fp.rollout.joint_states)
    ]
    looped()
    for function, expected in zip(
        (fp.rollout.joint_costs, fp.rollout.joint_states), before, strict=True
    ):
        graph = tf.function(lambda *given, f=function: f(game, *given))
        for found in (function(game, *arrays), graph(*arrays)):
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "form",
    [
        {"skip": True},
        pytest.param(
            {"batch_normalization": False, "skip": True, "time_shared": True},
            marks=pytest.mark.release,
        ),
    ],
)
def test_a_loop_has_the_gradients_of_written_out_steps(form, looped):
    """Of weights that differ from step to step and of shared ones, against a belief that answers;
    and the same averages of batch normalisation, with trembling hands."""
    game = asymmetric_game(players=2, steps=5)
    initial, noise, trembles = sample(game)
    inputs = [ops.convert_to_tensor(each) for each in (initial, noise, trembles)]

    def step():
        own, others = (fp.FeedbackPolicy(game, hidden=(3,), dtype="float64", **form) for _ in "12")
        model = FeedbackResponseModel(own, others)
        model.build()
        randomize(own, 1)
        randomize(others, 2)

        @tf.function
        def compiled():
            with tf.GradientTape() as tape:
                loss = ops.sum(model(inputs, training=True))
            return loss, tape.gradient(loss, own.trainable_variables)

        loss, gradients = compiled()
        return [loss, *gradients, *own.non_trainable_variables]

    expected = [np.asarray(each) for each in step()]
    looped()
    for found, wanted in zip(step(), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-9 * np.abs(wanted).max())


class Clock(fp.InterBankGame):
    """Costs by a clock that reads numbers, or tensors."""

    def running_cost(self, time, states, controls):
        return self.seasonal(time) * super().running_cost(time, states, controls)

    def seasonal(self, time):
        return math.exp(time) if time < 0.5 else 1.0


class TensorClock(Clock):
    def seasonal(self, time):
        return ops.where(time < 0.5, ops.exp(time), 1.0)


def test_a_method_that_needs_the_time_as_a_number_is_named(looped):
    plan = {
        "stages": 1,
        "steps_per_stage": 1,
        "validation_paths": 16,
        "progress": False,
        "regret_every": None,
    }
    kind = {"players": 2, "steps": 3}

    def cost(game):
        solver = fp.DeepFictitiousPlay(game, hidden=(3,), batch_normalization=False)
        return solver.solve(**plan).cost

    expected = cost(Clock(**kind))
    looped()
    with pytest.raises(ValueError, match=r"Clock\.running_cost.*scalar tensor as `time`"):
        cost(Clock(**kind))
    np.testing.assert_allclose(cost(TensorClock(**kind)), expected, rtol=1e-5)


def test_what_is_traced_does_not_grow_with_the_steps():
    """Operations of the compiled roll-out, at 64 and at 160 steps."""

    def operations(steps):
        game = fp.InterBankGame(players=2, steps=steps)
        arrays = [ops.convert_to_tensor(sample(game, 4)[number]) for number in (0, 2, 1)]
        graph = tf.function(lambda *given: fp.rollout.joint_costs(game, *given))
        definition = graph.get_concrete_function(*arrays).graph.as_graph_def()
        bodies = [function.node_def for function in definition.library.function]
        return sum(map(len, [definition.node, *bodies]))

    assert operations(64) == operations(160)
