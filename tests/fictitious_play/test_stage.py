"""A stage as one computation: its noise, its chunks, and what crosses between host and device."""

import logging
import math
from functools import partial

import numpy as np
import pytest
from keras import ops

import fictitious_play as fp
from fictitious_play.compiled import Compiled
from fictitious_play.networks.joint_policy import JointPolicy
from fictitious_play.solver import evaluation, noise, samples
from fictitious_play.solver.loops import StepLoop
from fictitious_play.solver.play import Play
from tests.fictitious_play.cases import asymmetric_game, symmetric_game


def words(*values):
    return [ops.convert_to_tensor(np.array([each], np.uint32).view(np.int32)) for each in values]


@pytest.mark.parametrize(
    ("key", "counter", "expected"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_threefry_gives_the_published_vectors(key, counter, expected):
    """The known answers of Random123 1.14 for threefry2x32 with 20 rounds."""
    found = noise.threefry([each[0] for each in words(*key)], words(*counter))
    assert tuple(int(ops.convert_to_numpy(each).view(np.uint32)[0]) for each in found) == expected


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normals_are_standard_and_independent(dtype):
    """Moments, tails and correlations of neighbours, streams and keys, within four errors."""
    size = 2**18 - 1  # an odd number: the last of a pair is left over
    keys = [ops.convert_to_tensor(np.array(key, np.int32)) for key in ((1, 2), (1, 3))]
    one, other = (ops.convert_to_numpy(noise.normals(key, (size,), dtype)) for key in keys)
    stream = ops.convert_to_numpy(noise.normals(keys[0], (size,), dtype, stream=1))
    assert one.dtype == dtype
    error = size**-0.5
    for power, moment, spread in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(np.mean(one.astype("float64") ** power) - moment) < 4 * error * spread**0.5
    for far in (1.0, 2.0, 3.0):
        share = math.erfc(far / 2**0.5)
        assert abs(np.mean(np.abs(one) > far) - share) < 4 * error * share**0.5
    half = (size + 1) // 2
    pairs = [(one, other), (one, stream), (one[1:], one[:-1]), (one[half:], one[: size - half])]
    for left, right in pairs:
        assert abs(np.mean(left * right)) < 4 * len(left) ** -0.5
        assert abs(np.mean(left**2 * right**2) - 1.0) < 4 * 8**0.5 * len(left) ** -0.5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("word", [-(2**31), -(2**31) + 63, 0, 2**31 - 1])
def test_no_word_makes_a_normal_infinite(word, dtype):
    """A compiler adds up constants: words next to the lowest one, a number in 2^26, became 0 once,
    and one normal of a long solve infinite."""
    draw = Compiled(partial(noise.uniforms, dtype=dtype), [])
    (one,) = ops.convert_to_numpy(draw(np.array([word], np.int32)))
    assert one == max(np.dtype(dtype).type(word) / 2**32 + 0.5, 2.0**-33)


def test_a_chunk_holds_the_batches_of_its_steps():
    game = asymmetric_game()
    chunk = samples.training_chunk(game, 7, 2, 5, 2, 4, 10, "float32")
    assert chunk.shape == (4, 10)
    for row, step in enumerate((5, 6)):
        alone = samples.training_sample(game, 7, 2, step, 10, "float32")
        initial_state, key = (array[row] for array in chunk.batches.values())
        np.testing.assert_array_equal(initial_state, alone.initial_state)
        drawn = samples.increments(game, key, 10, "float32")
        np.testing.assert_array_equal(drawn, alone.noise)


FORMS = {
    "open loop": {},
    "average": {"belief": "average", "batch_normalization": False},
    "sequential": {"belief": "sequential", "batch_normalization": False},
    "closed loop": {"information_structure": "closed_loop"},
    "alpha^0 of the noise": {
        "initial_belief": lambda x, w: 0.1 * (np.cumsum(w, axis=1) - w)[..., 1:],
        "batch_normalization": False,
    },
}


#: Each way to draw and to believe once; plain play, which others have parts of, at a release.
_ALWAYS = ("sequential", "closed loop", "alpha^0 of the noise")


@pytest.mark.parametrize(
    "form",
    [pytest.param(form, marks=[] if form in _ALWAYS else pytest.mark.release) for form in FORMS],
)
def test_no_bit_depends_on_how_steps_are_divided_into_chunks(form, monkeypatch):
    chunks = []
    train = Play._train

    def counted(play, trainer, stage, first, count, steps):
        chunks.append(count)
        return train(play, trainer, stage, first, count, steps)

    def solved():
        solver = fp.DeepFictitiousPlay(
            asymmetric_game(players=2, steps=2), hidden=(4,), seed=5, **FORMS[form]
        )
        return solver.solve(2, 9, validation_paths=64, progress=False, regret_every=None)

    monkeypatch.setattr(Play, "_train", counted)
    monkeypatch.setattr("fictitious_play.solver.play.CHUNK_SECONDS", 1e9)
    whole = solved()
    assert chunks[:2] == [1, 8]
    chunks.clear()
    monkeypatch.setattr("fictitious_play.solver.play.CHUNK_SECONDS", 0.0)
    monkeypatch.setattr("fictitious_play.solver.play._NUMBERS", 1)
    single = solved()
    assert set(chunks) == {1}
    for record, other in zip(whole.history, single.history, strict=True):
        np.testing.assert_array_equal(record.loss, other.loss)
    for weight, other in zip(whole.policy.weights, single.policy.weights, strict=True):
        np.testing.assert_array_equal(weight, other)


def test_a_stage_crosses_between_host_and_device_four_times_at_most(monkeypatch):
    """In its training steps: arrays that are handed over, and results that are read."""
    crossed: list[str] = []
    stages: dict[int, tuple[int, list[str]]] = {}
    call, over, read, train = (
        StepLoop.__call__, ops.convert_to_tensor, ops.convert_to_numpy, Play._train,
    )  # fmt: skip

    def loop(self, by_step, fixed, count):
        for name, value in {**by_step, **fixed, "count": count}.items():
            if not ops.is_tensor(value):
                crossed.append(name)
        return call(self, by_step, fixed, count)

    def handed_over(value, *more, **named):
        if not ops.is_tensor(value):
            crossed.append(f"to the device: {np.shape(value)}")
        return over(value, *more, **named)

    def taken_back(value):
        crossed.append(f"to the host: {value.shape}")
        return read(value)

    def stage(play, trainer, stage, first, count, steps):
        crossed.clear()
        found = train(play, trainer, stage, first, count, steps)
        stages[stage] = count, list(crossed)
        return found

    monkeypatch.setattr(StepLoop, "__call__", loop)
    monkeypatch.setattr("keras.ops.convert_to_tensor", handed_over)
    monkeypatch.setattr("keras.ops.convert_to_numpy", taken_back)
    monkeypatch.setattr(Play, "_train", stage)
    monkeypatch.setattr("fictitious_play.solver.play.CHUNK_SECONDS", 1e9)
    for structure in ("open_loop", "closed_loop"):
        fp.DeepFictitiousPlay(
            symmetric_game(players=2, steps=2),
            hidden=(4,),
            batch_normalization=False,
            information_structure=structure,
        ).solve(3, 40, validation_paths=64, progress=False, regret_every=None)
        count, names = stages[3]
        assert count == 40  # the whole stage at once
        assert 3 <= len(names) <= 4, names


@pytest.mark.parametrize("information_structure", ["open_loop", "closed_loop"])
def test_a_profile_is_evaluated_in_equal_parts_path_by_path(information_structure, monkeypatch):
    monkeypatch.setattr(evaluation, "_PATHS", 5)  # parts of 4: the last of 10 paths is not full
    game = symmetric_game(players=2, steps=3)
    solver = fp.DeepFictitiousPlay(game, hidden=(4,), information_structure=information_structure)
    policy = solver.solve(1, 9, validation_paths=8, progress=False, regret_every=None).policy
    sample = samples.validation_sample(game, 1, 10, "float32")
    found = evaluation.play(policy, sample, "costs", "controls", "states")
    initial_state, noise = map(ops.convert_to_tensor, sample)
    controls = policy([initial_state, noise])
    expected = [
        fp.rollout.joint_costs(game, initial_state, controls, noise),
        controls,
        fp.rollout.joint_states(game, initial_state, controls, noise),
    ]
    assert np.ptp(controls, axis=0).min() > 1e-3
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_all_evaluations_of_a_solve_are_one_computation(monkeypatch):
    traced = []
    call = JointPolicy.call

    def counted(policy, inputs, training=False):
        if policy.name == "policy" and not training:
            traced.append(inputs[0].shape[0])
        return call(policy, inputs, training)

    monkeypatch.setattr(evaluation, "_PATHS", 16)
    monkeypatch.setattr(JointPolicy, "call", counted)
    fp.DeepFictitiousPlay(
        symmetric_game(players=2, steps=2), hidden=(4,), batch_normalization=False
    ).solve(3, 2, validation_paths=40, stage_paths=16, progress=False, regret_every=None)
    assert traced == [16]


def test_tracings_of_one_computation_are_not_held_against_another(caplog):
    """TensorFlow warns of a function that is traced often; solves in a loop are many functions."""
    logger = logging.getLogger("tensorflow")
    logger.addHandler(caplog.handler)
    try:
        for number in range(8):
            double = Compiled(lambda values: 2.0 * values)
            assert float(double(np.array([number], np.float32))[0]) == 2.0 * number
    finally:
        logger.removeHandler(caplog.handler)
    assert "retracing" not in caplog.text
