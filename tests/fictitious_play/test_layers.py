"""The Keras layers and the Functional model of one player."""

import keras
import numpy as np
import pytest
from keras import ops

import fictitious_play as fp
from fictitious_play.layers.control_network import EPSILON
from fictitious_play.layers.standard_units import StandardUnits
from tests.fictitious_play.cases import asymmetric_game, sample, symmetric_game


@pytest.mark.parametrize("switches", [{}, {"batch_normalization": False, "skip": True}])
def test_a_player_model_survives_a_keras_file(tmp_path, switches):
    game = asymmetric_game(players=3, steps=2)
    model = fp.player_model(game, 1, hidden=(5,), seed=4, **switches)
    initial, noise, others = sample(game, dtype=np.float32)
    inputs = [initial, noise, others[..., 0]]
    model.compile("adam", fp.MeanCost(), run_eagerly=True)
    model.fit(inputs, np.zeros(len(noise)), epochs=2, verbose=0)
    model.save(tmp_path / "player.keras")
    again = keras.saving.load_model(tmp_path / "player.keras")
    np.testing.assert_array_equal(
        model.predict(inputs, verbose=0), again.predict(inputs, verbose=0)
    )
    assert again.get_layer("rcost_1").game.weights.tolist() == game.weights.tolist()


def test_a_joint_policy_survives_a_keras_file(tmp_path):
    game = asymmetric_game(players=3, steps=3)
    policy = fp.JointPolicy(game, hidden=(5, 4), skip=True, seed=2)
    initial, noise, _ = sample(game, dtype=np.float32)
    before = policy.predict([initial, noise], verbose=0)
    policy.save(tmp_path / "policy.keras")
    again = keras.saving.load_model(tmp_path / "policy.keras")
    np.testing.assert_array_equal(again.predict([initial, noise], verbose=0), before)


@pytest.mark.parametrize("mean", [0.0, 30.0, 3e3])
def test_batch_statistics_are_finite_however_large_the_means(mean):
    """Those of a mean of thirty are right within EPSILON, and no variance is below zero."""
    policy = fp.JointPolicy(symmetric_game(players=2, steps=3), hidden=(4,), seed=1)
    policy.build()
    values = np.random.default_rng(0).normal(mean, 0.01, (3, 2, 4, 64)).astype("float32")
    found = []
    controls = policy.after_first(policy.layers_of(), ops.convert_to_tensor(values), None, found)
    assert np.isfinite(ops.convert_to_numpy(controls)).all()
    means, variances = map(ops.convert_to_numpy, found[0])
    np.testing.assert_allclose(means, values.mean(-1), rtol=1e-6, atol=1e-6)
    assert variances.min() >= 0.0
    if mean <= 30.0:
        np.testing.assert_allclose(variances, values.var(-1), atol=0.1 * EPSILON)


def test_a_fitted_player_model_lowers_her_cost():
    game = symmetric_game(players=3, steps=2, rho=0.0, initial_std=1.0)
    model = fp.player_model(game, 0, hidden=(16,), seed=1)
    initial, noise, others = sample(game, paths=512, dtype=np.float32)
    inputs = [initial, noise, 0 * others[..., 0]]
    model.compile(keras.optimizers.Adam(0.01), fp.MeanCost())
    targets = np.zeros(512)
    before = model.evaluate(inputs, targets, verbose=0)
    model.fit(inputs, targets, batch_size=64, epochs=12, verbose=0)
    gained = before - model.evaluate(inputs, targets, verbose=0)
    nobody = fp.lq.feedback_coefficients(game, np.zeros((2, 3, 3)))
    answer = nobody.copy()
    answer[:, :1] = fp.lq.best_response(game, nobody, player=0)
    best, zero = (fp.lq.coefficient_cost(game, profile)[0] for profile in (answer, nobody))
    assert 0.75 * (zero - best) < gained < 1.4 * (zero - best)


def test_the_same_seed_gives_the_same_weights():
    game = symmetric_game(players=2, steps=2)
    first, second, third = (fp.player_model(game, 0, seed=seed) for seed in (3, 3, 4))
    kernels = [
        model.get_layer("control_1").dense_layers[0].kernel for model in (first, second, third)
    ]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(np.asarray(kernels[0]) - np.asarray(kernels[2])).max() > 0


def test_layers_keep_their_settings():
    game = symmetric_game(players=3, steps=2)
    for layer in (
        fp.ControlNetwork((4, 3), 2, False, True, seed=5, name="control"),
        fp.Rcost(game, 2, 1, name="step"),
        fp.Tcost(game, 1),
        StandardUnits([0.0, 1.0], 2.0),
    ):
        config = layer.get_config()
        assert type(layer).from_config(config).get_config() == config


def test_bad_settings_are_refused():
    game = symmetric_game(players=3)
    with pytest.raises(ValueError, match="`player` must be below the number of players 3"):
        fp.Rcost(game, 3, 0)
    with pytest.raises(TypeError, match="`game` must be a Game"):
        fp.Tcost("game", 0)
    with pytest.raises(TypeError, match="`game` must be a Game"):
        fp.player_model("game", 0)
    with pytest.raises(TypeError, match="`hidden` must be a sequence"):
        fp.ControlNetwork(hidden=32)
    with pytest.raises(ValueError, match="`hidden` must be at least 1"):
        fp.ControlNetwork(hidden=(8, 0))
    with pytest.raises(TypeError, match="`hidden` must be a sequence"):
        fp.ControlNetwork(hidden=())
