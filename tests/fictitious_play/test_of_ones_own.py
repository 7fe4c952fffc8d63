"""Features and belief rules of one's own, against the built-in ones that they repeat."""

import keras
import numpy as np
import pytest
from keras import ops

import fictitious_play as fp
from fictitious_play.beliefs import belief_shares
from tests.fictitious_play.cases import sample, symmetric_game


@keras.saving.register_keras_serializable("tests")
class Path(fp.Features):
    """The past noise and x_0 in standard units: what "full_path" is."""

    def size(self, step):
        return self.game.state_size + step * self.game.noise_size

    def __call__(self, initial_state, noise):
        game = self.game
        mean, std = (ops.cast(each, "float32") for each in (game.initial_mean, game.initial_std))
        past = noise[:, :-1] / game.step_size**0.5
        past = ops.reshape(past, (-1, past.shape[1] * past.shape[2]))
        return ops.transpose(ops.concatenate([(initial_state - mean) / std, past], axis=1))


def solved(folder=None, stages=3, **settings):
    game = symmetric_game(players=2, steps=2, initial_std=0.5)
    form = {"hidden": (4,), "batch_normalization": False, "batch_size": 16, "seed": 3}
    solver = fp.DeepFictitiousPlay(game, **form, **settings)
    return solver.solve(stages=stages, steps_per_stage=4, validation_paths=64, stage_paths=64,
                        folder=folder, regret_every=None, progress=False)  # fmt: skip


def test_features_of_ones_own_are_used_and_saved(tmp_path):
    result, plain = solved(features=Path), solved()
    np.testing.assert_allclose(result.cost, plain.cost, rtol=1e-5)
    assert result.policy.features_name == "tests>Path"
    again = fp.JointPolicy.from_config(result.policy.get_config())
    again.build()
    again.set_weights(result.policy.get_weights())
    initial, noise, _ = sample(result.game, paths=4, dtype=np.float32)
    found, expected = again([initial, noise]), result.policy([initial, noise])
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


def test_features_must_be_registered():
    class Unknown(Path):
        pass

    with pytest.raises(TypeError, match="registered with Keras"):
        solved(features=Unknown)
    with pytest.raises(ValueError, match="own_and_mean"):
        solved(features="everything")


def average(stage):
    """What "average" is."""
    return np.full(stage + 1, 1.0 / (stage + 1))


def last_two(stage):
    """Half of each of the last two."""
    weights = np.zeros(stage + 1)
    weights[-2:] = 0.5 if stage else 1.0
    return weights


@pytest.mark.parametrize(
    "structure", ["open_loop", pytest.param("closed_loop", marks=pytest.mark.release)]
)
def test_a_rule_of_ones_own_is_played(structure):
    kind = {"information_structure": structure}
    named, function = (solved(belief=rule, **kind) for rule in ("average", average))
    np.testing.assert_array_equal(function.cost, named.cost)
    assert function.settings["belief"]["function"] == "average"
    assert np.abs(solved(belief=last_two, **kind).cost - named.cost).min() > 0.0


def test_a_folder_belongs_to_a_rule_by_its_weights(tmp_path):
    first = solved(tmp_path, belief=last_two, stages=2)
    longer = solved(tmp_path, belief=last_two, stages=2)
    np.testing.assert_array_equal(first.cost, longer.cost)

    def other(stage):
        return average(stage)

    other.__qualname__ = "last_two"
    with pytest.raises(ValueError, match="belief"):
        solved(tmp_path, belief=other, stages=2)


def test_weights_that_are_none_are_refused():
    with pytest.raises(ValueError, match="3 weights after stage 2"):
        belief_shares(lambda stage: [0.5, 0.5], 2)
    with pytest.raises(ValueError, match="sum one"):
        belief_shares(lambda stage: [0.5, 0.4, 0.2], 2)
    with pytest.raises(ValueError, match="it is forgotten"):
        solved(belief=lambda stage: np.eye(stage + 1)[stage if stage < 3 else 1])
