"""The features of the own and the mean path."""

import numpy as np
import pytest

import fictitious_play as fp
from fictitious_play.networks.features import OwnAndMean
from tests.fictitious_play.cases import asymmetric_game, randomize, sample, symmetric_game


@pytest.mark.parametrize("make", [symmetric_game, asymmetric_game])
def test_own_and_mean_features_written_out(make):
    game = make(players=3, steps=4)
    initial, noise, _ = sample(game, paths=5)
    found = np.asarray(OwnAndMean(game)(initial, noise))
    std = game.initial_std
    x = np.where(std > 0, (initial - game.initial_mean) / np.where(std > 0, std, 1.0), 0.0)
    w = noise / np.sqrt(game.step_size)
    scaled = game.weights / np.sqrt((game.weights**2).sum(axis=1))[:, None]
    for player in range(3):
        rows = [x[:, player], x @ scaled[player]]
        for step in range(3):
            own = w[:, step, 1:]
            rows += [own[:, player], own @ scaled[player], w[:, step, 0]]
        np.testing.assert_allclose(found[player], rows, atol=1e-12)


def test_own_and_mean_controls_do_not_look_ahead(rng):
    game = symmetric_game(players=3, steps=4)
    policy = fp.JointPolicy(game, hidden=(6,), features="own_and_mean", skip=True)
    policy.build()
    randomize(policy)
    initial, noise, _ = sample(game, dtype=np.float32)
    before = np.asarray(policy([initial, noise]))
    for step in range(4):
        changed = noise.copy()
        changed[:, step] += rng.standard_normal(changed[:, step].shape)
        after = np.asarray(policy([initial, changed]))
        np.testing.assert_array_equal(after[:, : step + 1], before[:, : step + 1])
        assert step == 3 or np.abs(after - before)[:, step + 1 :].max() > 0


def test_own_and_mean_features_suffice_for_the_symmetric_equilibrium():
    game = symmetric_game(players=3, steps=4, rho=0.0, epsilon=4.0, c=2.0)
    solver = fp.DeepFictitiousPlay(game, hidden=(8,), skip=True, features="own_and_mean")
    result = solver.solve(
        stages=8, steps_per_stage=40, validation_paths=2048, progress=False, regret_every=None
    )
    exact = fp.lq.nash(game)
    allowed = 0.005 + 4 * result.relative_standard_error(exact)
    assert np.all(np.abs(result.relative_error(exact)) < allowed)
    with pytest.raises(ValueError, match="Only a policy with the features of the paper"):
        result.player_model(0)


def test_a_game_that_does_not_split_by_player_is_refused():
    game = fp.Game(players=2, horizon=1.0, steps=2, state_size=3)
    with pytest.raises(ValueError, match="needs as many states and Brownian motions for every"):
        fp.JointPolicy(game, features="own_and_mean")


def test_one_player_of_a_policy_sees_the_same():
    game = asymmetric_game(players=3, steps=3)
    initial, noise, _ = sample(game, dtype=np.float32)
    for features in ("full_path", "own_and_mean"):
        whole = fp.JointPolicy(game, hidden=(4,), features=features)
        whole.build()
        randomize(whole)
        alone = fp.JointPolicy(game, hidden=(4,), features=features, only=1)
        alone.build()
        for target, source in zip(alone.weights, whole.weights, strict=True):
            target.assign(source[:, 1:2])
        np.testing.assert_allclose(
            np.asarray(alone([initial, noise]))[:, :, 0],
            np.asarray(whole([initial, noise]))[:, :, 1],
            atol=1e-6,
        )


class Neighbours(fp.InterBankGame):
    """Everybody looks at the next player only, with an attribute that means something else."""

    def __init__(self, players, weights_of_mean=None):
        super().__init__(players, steps=2, weights=np.roll(np.eye(players), 1, axis=1))
        self.mean = weights_of_mean

    def mean_weights(self):
        return self.mean


def test_the_weights_of_the_mean_are_what_the_game_says():
    ring = np.roll(np.eye(4), 1, axis=1)
    np.testing.assert_array_equal(OwnAndMean(Neighbours(4, ring)).weights, ring)
    # Under 1/N what the next player does is left out, and her cost depends on it.
    with pytest.raises(ValueError, match="leave out what others do beyond the weighted mean"):
        OwnAndMean(Neighbours(4))
    with pytest.raises(ValueError, match=r"`game\.mean_weights\(\)` must have the shape"):
        OwnAndMean(Neighbours(4, np.eye(3)))
    assert OwnAndMean(fp.convoy_game(players=3, steps=2)).uniform
