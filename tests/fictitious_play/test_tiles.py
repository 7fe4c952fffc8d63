"""The first layer in equal tiles: the same numbers, few shapes, little waste."""

import keras
import numpy as np
import pytest
from keras import ops

import fictitious_play as fp
from fictitious_play.networks.tiles import WASTE, Tiles
from tests.fictitious_play.cases import asymmetric_game, randomize, sample


@pytest.mark.parametrize("steps", [3, 7, 20, 31, 100])
@pytest.mark.parametrize(("first", "more"), [(10, 11), (100, 101), (2, 3), (50, 2), (2, 40)])
def test_little_arithmetic_is_wasted(steps, first, more):
    sizes = [first + step * more for step in range(steps)]
    tiles = Tiles(sizes)
    assert tiles.waste <= WASTE
    area = sum(tiles.counts) * tiles.group * tiles.unit
    assert tiles.waste == pytest.approx(area / sum(sizes) - 1.0)
    for number, count in enumerate(tiles.counts):
        last = min((number + 1) * tiles.group, steps) - 1
        assert count * tiles.unit >= sizes[last]


@pytest.mark.parametrize("features", ["full_path", "own_and_mean"])
@pytest.mark.parametrize("only", [None, 1])
def test_tiles_give_the_controls_and_gradients_of_the_steps(features, only, monkeypatch):
    game = asymmetric_game(players=3, steps=7)
    inputs = [ops.convert_to_tensor(each) for each in sample(game)[:2]]
    policies = []
    for gpu in (False, True):
        monkeypatch.setattr("fictitious_play.devices.has_gpu", lambda gpu=gpu: gpu)
        policy = fp.JointPolicy(
            game, (5, 4), skip=True, features=features, only=only, dtype="float64"
        )
        policy.build()
        randomize(policy)
        policies.append(policy)
    steps, tiles = (np.asarray(policy(inputs)) for policy in policies)
    np.testing.assert_allclose(tiles, steps, rtol=1e-10, atol=1e-12)
    if keras.config.backend() != "tensorflow":
        return
    import tensorflow as tf

    gradients = []
    for policy in policies:
        with tf.GradientTape() as tape:
            cost = ops.sum(ops.square(policy(inputs, training=True)))
        gradients.append(tape.gradient(cost, policy.kernel.value))
    np.testing.assert_allclose(gradients[1], gradients[0], rtol=1e-9, atol=1e-10)
