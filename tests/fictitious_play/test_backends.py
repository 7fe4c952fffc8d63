"""The same solve on every installed Keras backend, and what is JAX's alone, in one process each."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.fictitious_play.cases import initial_kernel, looped_roll_out

_ROOT = Path(__file__).resolve().parents[2]
_SOLVE = """
import json, sys
import numpy as np
import fictitious_play as fp
from tests.fictitious_play.cases import initial_kernel, looped_roll_out

game = fp.InterBankGame(players=3, steps=3, epsilon=4.0, c=2.0, rho=0.3, a=[0.1, 0.5, 0.3])
solver = fp.DeepFictitiousPlay(game, hidden=(8,), skip=True, seed=1)
result = solver.solve(stages=6, steps_per_stage=40, validation_paths=1024, progress=False,
                      folder=folder)
again = solver.solve(stages=6, steps_per_stage=40, validation_paths=1024, progress=False,
                     folder=folder)
assert result.regret.worst < 0.02
small = fp.InterBankGame(players=2, steps=2)
closed = {}
for rule in rules:
    solver = fp.DeepFictitiousPlay(small, hidden=(4,), information_structure="closed_loop",
                                   belief=rule)
    form = {"stages": 2, "steps_per_stage": 30, "validation_paths": 1024, "progress": False,
            "regret_every": None}
    whole = solver.solve(**form)
    error = np.abs(whole.relative_error(fp.lq.nash(small, "closed_loop"))).max()
    closed[rule] = float(error)
model = result.player_model(0)
rng = np.random.default_rng(0)
x, w = rng.normal(size=(4, 3)).astype("float32"), rng.normal(size=(4, 3, 4)).astype("float32")
cost = model.predict([x, w, result.control(x, w)], verbose=0)
print(json.dumps({
    "error": result.relative_error(fp.lq.nash(game)).tolist(),
    "resumed": bool(np.all(again.cost == result.cost)),
    "closed": closed,
    "finite": bool(np.all(np.isfinite(cost))),
    "tensorflow": "tensorflow" in sys.modules,
    "initial": initial_kernel(),
    "looped": [each.tolist() for each in looped_roll_out()],
}))
"""
_TILES = """
import json, sys
import fictitious_play as fp
from fictitious_play import devices
true, devices.has_gpu = devices.has_gpu, lambda: True
shapes = {}
for steps in (20, 60):
    solver = fp.DeepFictitiousPlay(fp.InterBankGame(players=10, steps=steps))
    play = solver._play(60)
    products = play._trainer.products(*play.arguments(1, 0, 1, 60))
    shapes[steps] = sorted(set(products)), len(products)
devices.has_gpu = true
print(json.dumps(shapes))
"""
_DEVICES = """
import json, sys
import numpy as np
import keras
import fictitious_play as fp

def solve(**form):
    game = fp.InterBankGame(players=4, steps=2, rho=0.3)
    solver = fp.DeepFictitiousPlay(game, hidden=(8,), skip=True, batch_size=16, **form)
    return solver.solve(2, 4, validation_paths=64, progress=False, regret_every=None)

def report(one, several, **more):
    weights = zip(one.policy.weights, several.policy.weights, strict=True)
    difference = max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in weights)
    cost = float(np.abs(one.cost - several.cost).max())
    moved = float(np.abs(np.asarray(one.policy.output_kernel)).max())
    print(json.dumps({"weights": difference, "cost": cost, "moved": moved, **more}))
"""
_JAX_DEVICES = """
import jax
assert len(jax.devices()) == 4
held = fp.games.frozen.kept([0, 2])  # as a game has a list, which a plain one is an index like
assert jax.numpy.arange(6.0).reshape(2, 3)[:, held].shape == (2, 2)
one = solve()
try:
    fp.player_sharding(["cpu:0", "cpu:4"])
    raise AssertionError("there is no fifth device")
except ValueError as error:
    assert "must be among 'cpu:0', 'cpu:1', 'cpu:2', 'cpu:3'" in str(error)
keras.distribution.set_distribution(fp.player_sharding())
several = solve()
shards = several.policy.kernel.value.sharding
report(one, several, devices=len(shards.device_set), sharded=not shards.is_fully_replicated)
"""
_TENSORFLOW_DEVICES = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
one = solve(batch_normalization=False)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    several = solve(batch_normalization=False)
report(one, several, devices=strategy.num_replicas_in_sync, sharded=True)
"""
_RULES = 'rules = "average", "sequential"'
#: XLA takes seconds for each.
_JAX_RULES = 'rules = ("average",)'
#: What a process runs: programs one after another, which print a line of JSON each. Keras imports
#: scikit-learn and matplotlib where they are installed, which takes two seconds.
_RUN = """
import json, sys
sys.modules.update(sklearn=None, matplotlib=None)
for program in json.loads(sys.argv[1]):
    exec(program, {"folder": sys.argv[2]})
"""


def printed(backend, folder, *programs):
    """What programs print in one process of a backend that has four virtual devices."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": os.pathsep.join([str(_ROOT), *sys.path]),
        # Compiled with fewer optimisations, in two thirds of the time.
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4 --xla_backend_optimization_level=0",
    }
    done = subprocess.run(
        [sys.executable, "-c", _RUN, json.dumps(programs), str(folder)],
        env=environment, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()[-len(programs) :]]


@pytest.fixture(scope="module")
def jax_printed(tmp_path_factory):
    programs = (_JAX_RULES + _SOLVE, _TILES, _DEVICES + _JAX_DEVICES)
    names = ("solve", "tiles", "devices")
    printed_lines = printed("jax", tmp_path_factory.mktemp("solve"), *programs)
    return dict(zip(names, printed_lines, strict=True))


@pytest.mark.parametrize("backend", [
    # What the whole suite runs on, again in a process of its own.
    pytest.param("tensorflow", marks=pytest.mark.release), "jax", "torch",
    pytest.param("jax, every rule", marks=pytest.mark.release),
])  # fmt: skip
def test_a_solve_reaches_the_equilibrium(backend, tmp_path, request):
    if backend == "jax":
        line = request.getfixturevalue("jax_printed")["solve"]
    else:
        (line,) = printed(backend.partition(",")[0], tmp_path, _RULES + _SOLVE)
    assert np.abs(line["error"]).max() < 0.02
    assert max(line["closed"].values()) < 0.05
    assert line["resumed"]
    assert line["finite"]
    # Importing it takes seconds; JAX, where it is installed, Keras imports by itself.
    assert line["tensorflow"] == (backend == "tensorflow")
    assert line["initial"] == initial_kernel()
    for one, two in zip(line["looped"], looped_roll_out(), strict=True):
        np.testing.assert_allclose(one, two, rtol=2e-6, atol=2e-6 * np.abs(two).max())


def test_the_compiled_step_has_few_shapes_of_products_whatever_the_number_of_steps(jax_printed):
    for steps in ("20", "60"):
        shapes, number = jax_printed["tiles"][steps]
        assert 8 <= len(shapes) <= 12, shapes
        assert number >= len(shapes)


@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_several_devices_give_the_single_device_result(backend, tmp_path, request):
    if backend == "jax":
        line = request.getfixturevalue("jax_printed")["devices"]
    else:
        (line,) = printed(backend, tmp_path, _DEVICES + _TENSORFLOW_DEVICES)
    assert line["devices"] > 1
    assert line["sharded"]
    assert line["moved"] > 1e-3
    assert line["weights"] < 1e-5
    assert line["cost"] < 1e-5


def test_sharding_on_another_backend_is_refused():
    import fictitious_play as fp

    with pytest.raises(ValueError, match="needs the JAX backend"):
        fp.player_sharding()
