"""The joint policy against one Functional model per player, from the same weights."""

from collections import defaultdict

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import fictitious_play as fp
from fictitious_play.networks.transfer import _ordered_variables
from tests.fictitious_play.cases import asymmetric_game, randomize, sample, symmetric_game
from tests.thin import thinned

TOLERANCE = {"float64": 1e-10, "float32": 1e-5}


def close(pairs, dtype):
    """Pieces of one tensor of the joint policy are equal, relative to its largest entry."""
    scale = max(np.abs(expected).max() for _, expected in pairs)
    error = max(np.abs(np.asarray(actual) - expected).max() for actual, expected in pairs)
    assert error < TOLERANCE[dtype] * max(scale, np.finfo(dtype).tiny)


@pytest.mark.parametrize(
    ("make", "form", "dtype"),
    thinned(
        [symmetric_game, asymmetric_game],
        [(False, False, True), (True, True, False), (True, False, False), (True, True, True)],
        ["float64", "float32"],
    ),
)
def test_same_controls_costs_and_gradients(make, form, dtype):
    normalization, training, skip = form
    game = make(players=3, steps=3)
    initial, noise, others = sample(game, dtype=dtype)
    form = {"hidden": (6, 5), "batch_normalization": normalization, "skip": skip, "dtype": dtype}
    policy = fp.JointPolicy(game, **form)
    policy.build()
    randomize(policy)
    models = [fp.player_model(game, player, **form) for player in range(game.players)]
    for player, model in enumerate(models):
        fp.transfer_weights(policy, model, player)

    with tf.GradientTape() as tape:
        controls = policy([initial, noise], training=training)
        costs = game.deviation_costs(
            ops.convert_to_tensor(initial), controls, ops.convert_to_tensor(others),
            ops.convert_to_tensor(noise),
        )  # fmt: skip
        loss = ops.sum(ops.mean(costs, axis=0))
    variables = policy.trainable_variables
    gradients = fp.JointPolicy(game, **form)
    gradients.build()
    for target, value in zip(
        gradients.trainable_variables, tape.gradient(loss, variables), strict=True
    ):
        target.assign(value)
    moved = fp.JointPolicy(game, **form)
    moved.build()
    for target, source in zip(moved.weights, policy.weights, strict=True):
        target.assign(source)

    pairs = defaultdict(list)
    seen = full_path(game, initial, noise)
    for player, model in enumerate(models):
        with tf.GradientTape() as tape:
            cost = model([initial, noise, others[..., 0]], training=training)
            loss = ops.mean(cost)
        pairs["cost"].append((np.asarray(costs)[:, player], np.asarray(cost)[:, 0]))
        expected = tape.gradient(loss, model.trainable_variables)
        by_variable = {v.path: g for v, g in zip(model.trainable_variables, expected, strict=True)}
        gradient_model, moved_model = (fp.player_model(game, player, **form) for _ in range(2))
        fp.transfer_weights(gradients, gradient_model, player)
        fp.transfer_weights(moved, moved_model, player)
        for step in range(game.steps):
            subnetwork, found, averages = (
                each.get_layer(f"control_{step}") for each in (model, gradient_model, moved_model)
            )
            rows = zip(*map(_ordered_variables, (subnetwork, found, averages)), strict=True)
            for role, (variable, value, average) in enumerate(rows):
                if variable.path in by_variable:
                    pairs[f"gradient {role}"].append((value, by_variable[variable.path]))
                else:  # a moving average, moved in training as Keras moves it
                    pairs[f"average {role}"].append((average, np.asarray(variable)))
            if not training:
                control = subnetwork(seen[:, : policy.row_sizes[step]], training=False)
                pairs["control"].append((np.asarray(controls)[:, step, player], control))
    assert len(pairs) > 5
    for values in pairs.values():
        close(values, dtype)


def full_path(game, initial, noise):
    """The faithful features, written out path by path in numpy."""
    std = game.initial_std
    scaled = np.where(std > 0, (initial - game.initial_mean) / np.where(std > 0, std, 1), 0)
    past = noise[:, : game.steps - 1] / np.sqrt(game.step_size)
    return np.concatenate([scaled, past.reshape(len(noise), -1)], axis=1).astype(initial.dtype)


def test_controls_do_not_look_ahead(rng):
    game = asymmetric_game()
    policy = fp.JointPolicy(game, hidden=(8,), skip=True)
    policy.build()
    randomize(policy)
    initial, noise, _ = sample(game, dtype=np.float32)
    before = np.asarray(policy([initial, noise]))
    for step in range(game.steps):
        changed = noise.copy()
        changed[:, step] += rng.standard_normal(changed[:, step].shape)
        after = np.asarray(policy([initial, changed]))
        np.testing.assert_array_equal(after[:, : step + 1], before[:, : step + 1])
        if step + 1 < game.steps:
            assert np.all(np.abs(after - before)[:, step + 1 :].max(axis=(0, 3)) > 0)


def test_networks_of_another_form_are_refused():
    game = symmetric_game(players=2, steps=2)
    policy = fp.JointPolicy(game, hidden=(6, 5))
    policy.build()
    with pytest.raises(ValueError, match="must have the same hidden sizes"):
        fp.transfer_weights(policy, fp.player_model(game, 0, hidden=(6, 6)), 0)
