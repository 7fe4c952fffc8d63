"""Control bounds: met everywhere, and without effect where they do not bind."""

import keras
import numpy as np
import pytest

import fictitious_play as fp
from fictitious_play.layers.saturation import Saturation
from tests.fictitious_play.cases import randomize, sample

PLAN = {
    "stages": 3,
    "steps_per_stage": 40,
    "validation_paths": 1024,
    "progress": False,
    "regret_every": None,
}
FORM = {"hidden": (8,), "batch_normalization": False, "skip": True}


@pytest.mark.parametrize("bounds", [(-1.0, 3.0), (1.0, 1.5), (0.0, np.inf), (-np.inf, -2.0)])
def test_the_map_is_increasing_smooth_and_within(bounds):
    low, high = (np.full((1, 1), bound) for bound in bounds)
    z = np.linspace(-50.0, 50.0, 20_001)
    values = np.asarray(Saturation(low, high)(z[None, None]))[0, 0]
    slopes = np.diff(values) / np.diff(z)
    assert np.all(values >= bounds[0])
    assert np.all(values <= bounds[1])
    assert np.all(slopes >= -1e-12)
    assert np.all(slopes <= 1.0 + 1e-9)
    assert np.max(np.abs(np.diff(slopes))) < 0.06
    assert slopes[len(slopes) // 2] > 0.4
    assert np.asarray(Saturation(low, high)(np.array([[[1e30]]]))) <= bounds[1]
    assert np.max(slopes) > 0.99  # the identity, well inside


def test_controls_and_states_are_what_was_played():
    """Player 1 may only lend: the gap to the unbounded control is large, and she pays for it."""
    bounds = ([[-0.1], [-5.0]], [[0.1], [5.0]])
    kind = {"players": 2, "steps": 3, "initial_std": 1.0}
    game, free = fp.InterBankGame(**kind, control_bounds=bounds), fp.InterBankGame(**kind)
    assert not game.is_linear_quadratic
    initial, noise, _ = sample(game, paths=512, dtype=np.float32)
    for structure in ("open_loop", "closed_loop"):
        result = fp.DeepFictitiousPlay(game, information_structure=structure, **FORM).solve(**PLAN)
        controls = result.control(initial, noise)
        assert np.abs(controls[..., 0]).max() <= 0.1
        assert np.abs(controls[..., 0]).max() > 0.09
        unbounded = fp.DeepFictitiousPlay(free, information_structure=structure, **FORM).solve(
            **PLAN
        )
        assert result.cost[0] > unbounded.cost[0]
        assert np.abs(unbounded.control(initial, noise)[..., 0]).max() > 0.2
        if structure == "open_loop":
            model = result.player_model(0)
            cost = model.predict([initial, noise, controls], verbose=0)
            tensors = (keras.ops.convert_to_tensor(each) for each in (
                initial, controls[..., None].astype("float32"), noise))  # fmt: skip
            played = np.asarray(fp.rollout.joint_costs(game, *tensors))[:, 0]
            np.testing.assert_allclose(cost[:, 0], played, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("structure", ["open_loop", "closed_loop"])
def test_bounds_that_do_not_bind_change_nothing(structure):
    kind = {"players": 2, "steps": 3, "initial_std": 1.0}
    game, free = fp.InterBankGame(**kind, control_bounds=(-30, 40)), fp.InterBankGame(**kind)
    bounded = fp.DeepFictitiousPlay(game, information_structure=structure, **FORM).solve(**PLAN)
    initial, noise, _ = sample(game, paths=512, dtype=np.float32)
    solver = fp.DeepFictitiousPlay(free, information_structure=structure, **FORM)
    unbounded = solver.solve(**PLAN)
    expected = unbounded.control(initial, noise)
    error = np.sqrt(np.mean((bounded.control(initial, noise) - expected) ** 2))
    assert error < 0.01 * np.sqrt(np.mean(expected**2))
    assert np.abs(bounded.policy.saturation.high).max() == 40.0


def test_a_bounded_player_model_survives_a_keras_file(tmp_path):
    game = fp.InterBankGame(players=2, steps=2, control_bounds=(-0.5, np.inf))
    initial, noise, others = sample(game, dtype=np.float32)
    model = fp.player_model(game, 1, hidden=(3,), seed=1)
    randomize(model)
    inputs = [initial, noise, others[..., 0]]
    before = model.predict(inputs, verbose=0)
    model.save(tmp_path / "player.keras")
    again = keras.saving.load_model(tmp_path / "player.keras")
    np.testing.assert_array_equal(again.predict(inputs, verbose=0), before)


@pytest.mark.parametrize(
    ("bounds", "rule"),
    [
        (1.0, "must be a pair"),
        ((1.0, 1.0), "must have low < high"),
        ((0.0, np.nan), "must have low < high"),
        (([0.0, 0.0, 0.0], 1.0), "broadcast to the shape"),
    ],
)
def test_bounds_that_make_no_interval_are_refused(bounds, rule):
    with pytest.raises(ValueError, match=rule) as caught:
        fp.InterBankGame(players=2, control_bounds=bounds)
    assert "Received" in str(caught.value)


@pytest.mark.parametrize("structure", ["open_loop", "closed_loop"])
def test_a_certificate_deviates_within_the_bounds(structure):
    """Everybody at her bound, which is far from what she would play: there is nothing to gain."""
    bounds = ([[0.9], [-1.0]], [[1.0], [-0.9]])
    kind = {"players": 2, "steps": 2, "initial_mean": [-9.0, 9.0]}
    game = fp.InterBankGame(**kind, control_bounds=bounds)
    result = fp.DeepFictitiousPlay(game, information_structure=structure, **FORM).solve(**PLAN)
    free = fp.lq.nash(fp.InterBankGame(**kind))
    assert np.all(free.cost < 0.9 * result.cost)
    found = result.exploitability(method="trained", steps=20, paths=512)
    assert found.worst < 0.005
