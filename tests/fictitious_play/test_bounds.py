"""Control bounds: met everywhere, and without effect where they do not bind."""

import functools
import re

import keras
import numpy as np
import pytest
from keras import ops

import fictitious_play as fp
from fictitious_play.layers.saturation import Saturation
from fictitious_play.solver.closed_loop import ClosedLoop
from fictitious_play.solver.control_size import size_notice
from fictitious_play.solver.fingerprint import differences, fingerprint
from fictitious_play.solver.samples import Sample
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
    z, saturation = np.linspace(-50.0, 50.0, 20_001), Saturation(low, high)
    values = np.asarray(saturation(z[None, None] / saturation.unit[..., None]))[0, 0]
    slopes = np.diff(values) / np.diff(z)
    assert np.all(values >= bounds[0])
    assert np.all(values <= bounds[1])
    assert np.all(slopes >= -1e-12)
    assert np.all(slopes <= 1.0 + 1e-9)
    assert np.max(np.abs(np.diff(slopes))) < 0.06
    assert slopes[len(slopes) // 2] > 0.4
    assert np.asarray(saturation(np.array([[[1e30]]]))) <= bounds[1]
    assert np.max(slopes) > 0.99  # the identity, well inside


KIND = {"players": 2, "steps": 2, "initial_std": 1.0}


@functools.cache
def unbounded(structure):
    free = fp.InterBankGame(**KIND)
    return fp.DeepFictitiousPlay(free, information_structure=structure, **FORM).solve(**PLAN)


def test_controls_and_states_are_what_was_played():
    """Player 1 may only lend: the gap to the unbounded control is large, and she pays for it."""
    bounds = ([[-0.1], [-5.0]], [[0.1], [5.0]])
    game = fp.InterBankGame(**KIND, control_bounds=bounds)
    assert not game.is_linear_quadratic
    initial, noise, _ = sample(game, paths=512, dtype=np.float32)
    for structure in ("open_loop", "closed_loop"):
        result = fp.DeepFictitiousPlay(game, information_structure=structure, **FORM).solve(**PLAN)
        controls = result.control(initial, noise)
        assert np.abs(controls[..., 0]).max() <= 0.1
        assert np.abs(controls[..., 0]).max() > 0.09
        free = unbounded(structure)
        assert result.cost[0] > free.cost[0]
        assert np.abs(free.control(initial, noise)[..., 0]).max() > 0.2
        if structure == "open_loop":
            model = result.player_model(0)
            cost = model.predict([initial, noise, controls], verbose=0)
            tensors = (keras.ops.convert_to_tensor(each) for each in (
                initial, controls[..., None].astype("float32"), noise))  # fmt: skip
            played = np.asarray(fp.rollout.joint_costs(game, *tensors))[:, 0]
            np.testing.assert_allclose(cost[:, 0], played, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "structure", ["open_loop", pytest.param("closed_loop", marks=pytest.mark.release)]
)
def test_bounds_that_do_not_bind_change_nothing(structure):
    game = fp.InterBankGame(**KIND, control_bounds=(-30, 40))
    bounded = fp.DeepFictitiousPlay(game, information_structure=structure, **FORM).solve(**PLAN)
    initial, noise, _ = sample(game, paths=512, dtype=np.float32)
    expected = unbounded(structure).control(initial, noise)
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


class Valves(fp.Game):
    """Two players fill a tank that leaks, each by at most so much, in any unit of control."""

    def __init__(self, unit):
        self.unit = unit
        bounds = (-0.4 / unit, 1.2 / unit)
        super().__init__(2, 1.0, 3, state_size=1, noise_size=1, control_bounds=bounds)

    def drift(self, time, states, controls):
        return self.unit * ops.sum(controls[..., 0], axis=-1, keepdims=True) - states

    def diffusion(self, time, states, controls):
        return ops.full((1, 1), 0.02, dtype=states.dtype)

    def running_cost(self, time, states, controls):
        return ops.square(states - 1.0) + ops.square(self.unit * controls[..., 0])

    def terminal_cost(self, states):
        return ops.square(states - 1.0) * np.ones(2, "float32")


def test_the_unit_of_a_bounded_control_does_not_matter():
    """Neither to the networks, nor to the trembles and units of closed-loop play, which bounds
    would cut."""
    results, units, noise = [], [], np.zeros((8, 3, 1), "float32")
    for unit in (1.0, 64.0):
        game = Valves(unit)
        made = ClosedLoop(game, FORM, 0.0, Sample(noise[:, 0], noise))
        np.testing.assert_allclose(unit * made.fixed(1.0, 2)["tremble"], 0.4, rtol=1e-3)
        units.append(made.units.scale[1:])
        solver = fp.DeepFictitiousPlay(game, **FORM)
        results.append(solver.solve(**{**PLAN, "stages": 1, "steps_per_stage": 20}))
    one, other = (result.control(noise[:, 0], noise) for result in results)
    assert np.all((one > 0.05) & (one < 1.1))
    np.testing.assert_allclose(64.0 * other, one, rtol=1e-4)
    np.testing.assert_allclose(results[1].cost, results[0].cost, rtol=1e-5)
    np.testing.assert_allclose(units[1], units[0], rtol=1e-4)


def duopoly(unit, **changes):
    """Two players who steer their own state by controls that count in some unit."""
    steering = np.eye(2)[:, :, None] / unit
    costs = np.array([[[1.0, -0.5], [-0.5, 0.5]], [[0.5, -0.5], [-0.5, 1.0]]])
    return fp.LinearQuadraticGame(
        -0.3 * np.eye(2), steering, costs, None, [[[unit**-2]], [[0.5 * unit**-2]]], costs,
        0.2 * np.eye(2), steps=3, initial_mean=1.0, initial_std=0.5, **changes,
    )  # fmt: skip


@pytest.mark.parametrize(
    "structure", [pytest.param("open_loop", marks=pytest.mark.release), "closed_loop"]
)
def test_a_game_may_say_what_a_typical_control_is(structure):
    """Its unit is then of no account; powers of two, which rounding does not see."""
    plan, results = {**PLAN, "stages": 2, "steps_per_stage": 6, "validation_paths": 64}, []
    for unit in (1.0, 1024.0):
        game = duopoly(unit, control_unit=unit)
        assert fp.LinearQuadraticGame.from_config(game.get_config()).control_unit[1] == unit
        form = {**FORM, "information_structure": structure}
        results.append(fp.DeepFictitiousPlay(game, **form).solve(**plan))
    one, other = results
    np.testing.assert_allclose(other.cost, one.cost, rtol=1e-5)
    normals = np.random.default_rng(0).standard_normal((4, 4, 2))
    paths = normals[:, 0], normals[:, 1:]
    np.testing.assert_allclose(
        other.control(*paths) / 1024.0, one.control(*paths), rtol=1e-3, atol=1e-5
    )


def test_a_solve_says_which_unit_to_try():
    plan = {**PLAN, "stages": 1, "steps_per_stage": 8, "validation_paths": 64}
    game = duopoly(1000.0, control_unit=1.0)
    solver = fp.DeepFictitiousPlay(game, learning_rate=60.0, **FORM)
    text = solver.solve(**plan).summary()
    assert "note: The controls of player" in text
    assert "in units of 1." in text
    assert re.search(r"control_unit=100*, or one number per player", text)


def test_of_which_controls_a_unit_is_proposed():
    game = duopoly(1.0, control_unit=[1.0, 8.0])
    policy = fp.JointPolicy(game, hidden=(4,))
    policy.build()
    paths = Sample(*sample(game, paths=4, dtype=np.float32)[:2])

    def notices(first, second, steps=1000):
        shape = policy.output_bias.shape
        policy.output_bias.assign(np.broadcast_to(np.reshape([first, second], (1, 2, 1)), shape))
        return size_notice(policy, paths, steps)

    policy.output_kernel.assign(0.0 * policy.output_kernel)
    assert notices(0.0, 0.0) == notices(20.0, 0.05) == notices(1.0, 25.0) == ()
    assert "player 0 are of size 2e+03, and networks learn in units of 1." in notices(2e3, 1.0)[0]
    assert "player 1 are of size 0.0032" in notices(1.0, 4e-4)[0]
    assert "control_unit=0.001" in notices(1.0, 4e-4 / 3.0)[0]
    assert notices(1.0, 4e-4, steps=10) == ()  # networks begin at zero
    bounded = fp.JointPolicy(duopoly(1.0, control_bounds=(-1e6, 1e6)), hidden=(4,))
    bounded.build()
    assert size_notice(bounded, paths, 1000) == ()


@pytest.mark.parametrize("unit", [0.0, -1.0, np.inf, [1.0, 1.0, 1.0]])
def test_a_unit_that_is_none_is_refused(unit):
    with pytest.raises(ValueError, match="`control_unit` must"):
        duopoly(1.0, control_unit=unit)


def test_the_unit_is_part_of_the_problem():
    one, other = (fingerprint(duopoly(1.0, control_unit=u), 0.0, "float32") for u in (1.0, 2.0))
    assert differences(one, other) == differences(other, one) == ["control_unit"]


def test_a_player_model_counts_in_the_unit_too():
    game = duopoly(8.0, control_unit=[8.0, 0.25])
    policy = fp.JointPolicy(game, hidden=(4,))
    policy.build()
    randomize(policy)
    initial, noise, controls = sample(game, paths=4, dtype=np.float32)
    played = ops.convert_to_numpy(policy([initial, noise]))
    for player in range(2):
        model = fp.player_model(game, player, (4,))
        fp.transfer_weights(policy, model, player)
        found = ops.convert_to_numpy(
            keras.Model(model.inputs, model.get_layer("bounded_2").output)(
                [initial, noise, controls[..., 0]]
            )
        )
        np.testing.assert_allclose(found, played[:, 2, player], rtol=1e-4, atol=1e-5)
