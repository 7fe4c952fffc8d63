"""Optimizers and learning rates of one's own, and the precision of products."""

import keras
import numpy as np
import pytest
from keras import ops

import fictitious_play as fp
from fictitious_play import devices
from fictitious_play.solver import keras_surface
from fictitious_play.solver.optimizers import choose_optimizer
from tests.fictitious_play.cases import symmetric_game

QUICK = {"stages": 2, "steps_per_stage": 5, "validation_paths": 64, "progress": False,
         "regret_every": None}  # fmt: skip
CosineDecay = keras.optimizers.schedules.CosineDecay


def solver(**changes):
    form = {"hidden": (4,), "batch_normalization": False, **changes}
    return fp.DeepFictitiousPlay(symmetric_game(players=2, steps=2), **form)


def test_the_private_keras_surfaces_are_those_of_the_installed_version():
    assert ".".join(keras.__version__.split(".")[:2]) in keras_surface.TESTED_KERAS


@pytest.fixture(scope="module")
def with_adam():
    return solver(learning_rate=0.02, final_rate_ratio=0.1).solve(**QUICK)


@pytest.mark.parametrize(
    "changes",
    [
        {"learning_rate": CosineDecay(0.02, 10, 0.1)},
        {"optimizer": keras.optimizers.Adam(CosineDecay(0.02, 10, 0.1))},
        {"optimizer": lambda features: keras.optimizers.Adam(CosineDecay(0.1 / features, 10, 0.1))},
    ],
)
def test_the_same_adam_said_otherwise_gives_the_same_bits(changes, with_adam):
    """In two steps with two players the last step has five features."""
    found = solver(**changes).solve(**QUICK)
    for record, other in zip(found.history, with_adam.history, strict=True):
        np.testing.assert_allclose(record.loss, other.loss, rtol=1e-6)
        assert record.learning_rate == pytest.approx(other.learning_rate, rel=1e-6)


def test_another_optimizer_trains_every_player_by_herself():
    """The step of gradient descent with momentum, and its rate as it is."""
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    result = solver(optimizer=optimizer).solve(**{**QUICK, "steps_per_stage": 30})
    assert [record.learning_rate for record in result.history] == [pytest.approx(0.05)] * 2
    assert result.history[-1].loss[-1] < result.history[0].loss[0]
    assert result.settings["optimizer"]["class_name"] == "SGD"
    assert not optimizer.built  # it is a recipe, and can be given again
    alone = solver(optimizer=optimizer, belief="sequential").solve(**QUICK)
    assert np.all(np.isfinite(alone.cost))


@pytest.mark.parametrize(
    "optimizer",
    [
        keras.optimizers.Adam(0.1, beta_1=0.8),
        keras.optimizers.Adam(0.1, amsgrad=True),
        keras.optimizers.AdamW(CosineDecay(0.1, 3), weight_decay=0.1, epsilon=0.01),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_fused_step_of_adam_is_keras_s(optimizer, dtype, rng):
    fused = choose_optimizer(optimizer, None, 0.0, 1, 0.1).make(3)
    plain = type(optimizer).from_config(optimizer.get_config())
    trained = [(each, keras.Variable(np.arange(1.0, 8.0), dtype=dtype)) for each in (fused, plain)]
    for each, variable in trained:
        each.build([variable])
    for _ in range(4):
        gradient = ops.convert_to_tensor(rng.standard_normal(7), dtype=dtype)
        for each, variable in trained:
            each.apply([gradient], [variable])
    # TensorFlow's kernel subtracts from one after it has rounded beta_2 to the dtype.
    rounding = {"float32": 5e-5, "float64": 1e-12}[dtype]
    one, other = ([*each.variables, variable] for each, variable in trained)
    for value, expected in zip(one, other, strict=True):
        np.testing.assert_allclose(value, expected, rtol=rounding)


def test_settings_say_what_was_used(with_adam):
    assert with_adam.settings["optimizer"] == "Adam"
    assert with_adam.settings["learning_rate"] == 0.02
    assert with_adam.settings["precision"] == "float32"
    asked = solver(precision="tf32")
    assert asked.precision == ("tf32" if devices.has_gpu() else "float32")
    assert solver(dtype="float64").precision == "float64"


@pytest.mark.parametrize(
    ("changes", "error", "rule"),
    [
        ({"optimizer": "adam"}, TypeError, "`optimizer` must be an optimizer of Keras"),
        ({"optimizer": keras.optimizers.Adam}, TypeError, "`optimizer` must be an optimizer"),
        ({"optimizer": lambda features: features}, TypeError, "which gave 5"),
        (
            {"optimizer": keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam())},
            ValueError,
            "`optimizer` must see the gradients as they are",
        ),
        (
            {"optimizer": keras.optimizers.Adam(0.1), "learning_rate": 0.1},
            ValueError,
            "`learning_rate` must be left out where an `optimizer` brings its own",
        ),
        (
            {"learning_rate": CosineDecay(float("nan"), 10)},
            ValueError,
            "must be a schedule of finite",
        ),
        ({"learning_rate": "fast"}, TypeError, "`learning_rate` must be a number"),
        ({"precision": "bfloat16"}, ValueError, "`precision` must be one of 'float32', 'tf32'"),
        ({"precision": "tf32", "dtype": "float64"}, ValueError, "for products in float32"),
    ],
)
def test_what_does_not_fit_is_refused_at_the_door(changes, error, rule):
    with pytest.raises(error, match=rule) as caught:
        solver(**changes)
    assert "Received" in str(caught.value)


class _Mesh:
    axis_names, shape = ("batch", "players"), (1, 3)


def test_players_that_the_devices_do_not_divide_are_refused(monkeypatch):
    sharding = type(
        "Sharding", (keras.distribution.ModelParallel,), {"__init__": lambda self: None}
    )()
    sharding._device_mesh = _Mesh()
    monkeypatch.setattr("keras.distribution.distribution", lambda: sharding)
    with pytest.raises(ValueError, match=r"divisible by the number of devices.*2 players on 3"):
        solver()
