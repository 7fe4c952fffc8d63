"""One trained case: its solve, fresh paths of it, and what is kept of it as JSON."""

import hashlib
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

_SOLVE = ("stages", "steps_per_stage", "tolerance", "validation_paths", "stage_paths")
_CERTIFICATE = ("method", "gain", "relative", "relative_standard_error")


def solve(context, name: str, game, training: dict[str, Any], seed: int):
    """The `Result` of a game, going on from an interrupted run in the folder of the case's `name`;
    `training` are arguments of `DeepFictitiousPlay` and of its `solve`, together."""
    import fictitious_play as fp

    solver = {key: value for key, value in training.items() if key not in _SOLVE}
    kept = {key: value for key, value in training.items() if key in _SOLVE}
    folder = place(context, name, game, training, seed)
    return fp.DeepFictitiousPlay(game, seed=seed, **solver).solve(folder=folder, **kept)


def place(context, name: str, game, training: dict[str, Any], seed: int) -> Path:
    """The folder of a solve's progress, another one for other arguments; as in `solve`."""
    arguments = {"game": game.get_config(), "training": training, "seed": seed}
    digest = hashlib.sha256(json.dumps(arguments, sort_keys=True).encode()).hexdigest()[:10]
    return context.solves / f"{name}-{digest}"


def describe(result, **certificate_settings) -> dict[str, Any]:
    """Costs, exact costs, errors, certificate (with arguments of `Result.exploitability`) and
    history of a solved linear-quadratic game."""
    import fictitious_play as fp

    information = result.settings["information_structure"]
    exact, continuous = (fp.lq.nash(result.game, information, time=kind)
                         for kind in ("discrete", "continuous"))  # fmt: skip
    history = [record.to_json() for record in result.history]
    for record in history:
        del record["loss"]
    same = ("cost", "cost_standard_error", "reason", "converged", "message", "settings")
    return {
        "players": result.game.players,
        "exact_discrete": exact.cost,
        "exact_continuous": continuous.cost,
        "relative_error": result.relative_error(exact),
        "relative_standard_error": result.relative_standard_error(exact),
        "exploitability": certificate(result, **certificate_settings),
        "history": history,
        **spent(result),
        **{name: getattr(result, name) for name in same},
    }


def certificate(result, **settings) -> dict[str, Any]:
    """What every player could gain by deviating; arguments of `Result.exploitability`."""
    found = result.exploitability(**settings)
    return {name: getattr(found, name) for name in _CERTIFICATE}


def sample(game, paths: int, seed: tuple[int, int], antithetic: bool = False) -> tuple[Any, Any]:
    """Initial states `(paths, n)` and noise `(paths, steps, noise_size)` that no training saw; the
    seed is that of the item, and a number of this use of it. Of antithetic paths the second half
    mirrors the first."""
    rng = np.random.default_rng(seed)
    drawn = paths // 2 if antithetic else paths
    normals = rng.standard_normal((drawn, game.state_size))
    noise = rng.standard_normal((drawn, game.steps, game.noise_size)) * game.step_size**0.5
    if antithetic:
        normals, noise = (np.concatenate([half, -half]) for half in (normals, noise))
    return game.initial_states(normals), noise


def path_costs(game, initial, noise, own, others=None) -> np.ndarray:
    """Costs on every path, (paths, players), of everybody's deviation `own` alone from the controls
    `others`; everybody plays her own where there are no others."""
    from keras import ops

    full = (len(noise), game.steps, game.players, game.control_size)
    own, others = own.reshape(full), (own if others is None else others).reshape(full)
    parts = []
    for start in range(0, len(noise), 512):
        arrays = (array[start : start + 512] for array in (initial, own, others, noise))
        tensors = [ops.convert_to_tensor(array.astype("float32")) for array in arrays]
        parts.append(ops.convert_to_numpy(game.deviation_costs(*tensors)).astype(np.float64))
    return np.concatenate(parts)


def spent(result) -> Counter:
    """Seconds and CPU-seconds of a solve, of all commands that had a part in it."""
    return Counter({c: sum(getattr(stage, c) for stage in result.history) for c in clocks()})


def clocks() -> Counter:
    """The same two, of this process."""
    now: dict[str, Any] = {"seconds": time.monotonic(), "cpu_seconds": time.process_time()}
    return Counter(now)
