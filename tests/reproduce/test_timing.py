"""Measured steps: in processes of their own, in turn, with a memory that is theirs alone."""

import time

import numpy as np
import pytest

from benchmarks import timing
from tests.seeds import set_seed


def light():
    return lambda: time.sleep(0.004)


def heavy(mib):
    block = np.ones(mib * 2**17)

    def step():
        begun = time.process_time()
        while time.process_time() - begun < 0.004:
            block[0] += 1

    return step


def broken():
    raise ValueError("no such step")


def test_steps_take_turns_and_their_memory_is_their_own():
    """The process that starts them has 400 MiB in use, which none of them may be charged with."""
    held = np.ones(400 * 2**17)
    ticks = []
    makes = {"light": (light, ()), "broken": (broken, ()), "heavy": (heavy, (200,))}
    found = timing.interleaved(makes, 4, 5, lambda: ticks.append(1), imports=("numpy",))
    assert held[-1] == 1
    assert list(found) == ["light", "broken", "heavy"]
    assert found["broken"] == {"error": "ValueError: no such step"}
    assert len(ticks) == 3 + 4
    for name, least, most in (("light", 0, 20), ("heavy", 200, 220)):
        own = found[name]
        assert own["wall"].shape == own["cpu"].shape == (4,)
        assert least <= own["peak_mib"] - own["imports_mib"] < most
        assert own["peak_mib"] < 400
        assert own["device_mib"] is None
        assert np.all(own["wall"] >= 0.0039)
    assert np.all(found["light"]["cpu"] < 0.002)
    assert np.all(found["heavy"]["cpu"] >= 0.004)


def test_a_process_that_dies_is_an_error_and_not_a_wait():
    found = timing.interleaved({"gone": (exit, (3,))}, 1, imports=())
    assert "the process ended" in found["gone"]["error"]


@pytest.mark.parametrize("eager", [False, True])
def test_a_step_is_keras_own(eager):
    import keras  # not above: the processes import this module, and must stay small

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 3)).astype("float32"), rng.integers(0, 2, 8)

    def model():
        set_seed(0)
        made = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        made.compile(keras.optimizers.SGD(0.5), loss, run_eagerly=eager, jit_compile=False)
        made.optimizer.build(made.trainable_variables)
        return made

    ours, keras_own = model(), model()
    step = timing.stepper(ours, x, y)
    for _ in range(3):
        loss = step()
        keras_own.train_on_batch(x, y)
    assert loss < np.log(2) * 2
    for a, b in zip(ours.get_weights(), keras_own.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_quartiles():
    assert timing.quartiles([4, 1, 2, 3, 5]) == {"median": 3.0, "low": 2.0, "high": 4.0}
