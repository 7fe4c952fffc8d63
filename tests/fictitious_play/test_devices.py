"""Several virtual CPU devices give the single-device result."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_SOLVE = """
import json, sys
import numpy as np
import keras
import fictitious_play as fp

def solve(**form):
    game = fp.InterBankGame(players=4, steps=3, rho=0.3)
    solver = fp.DeepFictitiousPlay(game, hidden=(8, 6), skip=True, batch_size=16, **form)
    return solver.solve(2, 4, validation_paths=64, progress=False, regret_every=None)

def report(one, several, **more):
    weights = zip(one.policy.weights, several.policy.weights, strict=True)
    difference = max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in weights)
    cost = float(np.abs(one.cost - several.cost).max())
    moved = float(np.abs(np.asarray(one.policy.output_kernel)).max())
    print(json.dumps({"weights": difference, "cost": cost, "moved": moved, **more}))
"""
_JAX = """
import jax
assert len(jax.devices()) == 4
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
_TENSORFLOW = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
one = solve(batch_normalization=False)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    several = solve(batch_normalization=False)
report(one, several, devices=strategy.num_replicas_in_sync, sharded=True)
"""


@pytest.mark.parametrize(("backend", "program"), [("jax", _JAX), ("tensorflow", _TENSORFLOW)])
def test_several_devices_give_the_single_device_result(backend, program):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": os.pathsep.join([str(_ROOT), *sys.path]),
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
    }
    done = subprocess.run(
        [sys.executable, "-c", _SOLVE + program],
        env=environment, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["devices"] > 1
    assert found["sharded"]
    assert found["moved"] > 1e-3
    assert found["weights"] < 1e-5
    assert found["cost"] < 1e-5


def test_sharding_on_another_backend_is_refused():
    import fictitious_play as fp

    with pytest.raises(ValueError, match="needs the JAX backend"):
        fp.player_sharding()
