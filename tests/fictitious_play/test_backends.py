"""The same solve on every installed Keras backend."""

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
_PROGRAM = """
import json, sys
import numpy as np
import fictitious_play as fp
from tests.fictitious_play.cases import initial_kernel, looped_roll_out

game = fp.InterBankGame(players=3, steps=4, epsilon=4.0, c=2.0, rho=0.3, a=[0.1, 0.5, 0.3])
solver = fp.DeepFictitiousPlay(game, hidden=(8,), skip=True, seed=1)
result = solver.solve(stages=6, steps_per_stage=40, validation_paths=1024, progress=False,
                      folder=sys.argv[1])
again = solver.solve(stages=6, steps_per_stage=40, validation_paths=1024, progress=False,
                     folder=sys.argv[1])
assert result.regret.worst < 0.02
small = fp.InterBankGame(players=2, steps=2)
closed = {}
for rule in ("average", "sequential"):
    solver = fp.DeepFictitiousPlay(small, hidden=(4,), information_structure="closed_loop",
                                   belief=rule)
    form = {"stages": 3, "steps_per_stage": 20, "validation_paths": 1024, "progress": False,
            "regret_every": None}
    whole = solver.solve(**form)
    error = np.abs(whole.relative_error(fp.lq.nash(small, "closed_loop"))).max()
    closed[rule] = float(error)
model = result.player_model(0)
rng = np.random.default_rng(0)
x, w = rng.normal(size=(4, 3)).astype("float32"), rng.normal(size=(4, 4, 4)).astype("float32")
cost = model.predict([x, w, result.control(x, w)], verbose=0)
print(json.dumps({
    "error": result.relative_error(fp.lq.nash(game)).tolist(),
    "resumed": bool(np.all(again.cost == result.cost)),
    "closed": closed,
    "finite": bool(np.all(np.isfinite(cost))),
    "imported": sorted({"tensorflow", "jax", "torch"} & set(sys.modules)),
    "initial": initial_kernel(),
    "looped": [each.tolist() for each in looped_roll_out()],
}))
"""


@pytest.mark.parametrize("backend", [
    # What the whole suite runs on, again in a process of its own.
    pytest.param("tensorflow", marks=pytest.mark.release), "jax", "torch",
])  # fmt: skip
def test_a_solve_reaches_the_equilibrium(backend, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    paths = os.pathsep.join([str(_ROOT), *sys.path])
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": paths}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(tmp_path)],
        env=environment, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert np.abs(found["error"]).max() < 0.02
    assert max(found["closed"].values()) < 0.05
    assert found["resumed"]
    assert found["finite"]
    assert found["imported"] == [backend]  # importing another one takes seconds
    assert found["initial"] == initial_kernel()
    for one, two in zip(found["looped"], looped_roll_out(), strict=True):
        np.testing.assert_allclose(one, two, rtol=2e-6, atol=2e-6 * np.abs(two).max())
