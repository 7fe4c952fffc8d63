"""One trained case as JSON: the game, its exact costs and what deep fictitious play reached."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

_SOLVE = ("stages", "steps_per_stage", "tolerance", "validation_paths", "stage_paths")


def solve(context, name: str, game, training: dict[str, Any], seed: int):
    """Solves one game, going on from an interrupted run; the `Result`.

    Args:
        context: the item's `Context`.
        name: of the case, for its folder.
        game: a game, or settings of `InterBankGame`.
        training: arguments of `DeepFictitiousPlay` and of its `solve`, together.
        seed: of the solve.
    """
    import fictitious_play as fp

    game = fp.InterBankGame(**game) if isinstance(game, dict) else game
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
    """Costs, exact costs, errors, certificate and history of a solved linear-quadratic game.

    Args:
        result: the `Result`.
        certificate_settings: arguments of `Result.exploitability`.
    """
    import fictitious_play as fp

    information = result.settings["information_structure"]
    exact = fp.lq.nash(result.game, information_structure=information)
    history = [record.to_json() for record in result.history]
    for record in history:
        del record["loss"]
    return {
        "players": result.game.players,
        "cost": result.cost,
        "cost_standard_error": result.cost_standard_error,
        "exact_discrete": exact.cost,
        "exact_continuous": fp.lq.nash(
            result.game, information_structure=information, time="continuous"
        ).cost,
        "relative_error": result.relative_error(exact),
        "relative_standard_error": result.relative_standard_error(exact),
        "exploitability": certificate(result, **certificate_settings),
        "history": history,
        "seconds": sum(record.seconds for record in result.history),
        "cpu_seconds": sum(record.cpu_seconds for record in result.history),
        "reason": result.reason,
        "converged": result.converged,
        "message": result.message,
        "settings": result.settings,
    }


def sample(game, paths: int, seed: tuple[int, int], antithetic: bool = False) -> tuple[Any, Any]:
    """Initial states `(paths, n)` and noise `(paths, steps, noise_size)` that no training saw.

    Args:
        game: to be played.
        paths: how many; of antithetic ones, the second half mirrors the first.
        seed: of the item, and a number of this use of it.
        antithetic: whether paths come in mirrored pairs.
    """
    rng = np.random.default_rng(seed)
    drawn = paths // 2 if antithetic else paths
    normals = rng.standard_normal((drawn, game.state_size))
    noise = rng.standard_normal((drawn, game.steps, game.noise_size)) * game.step_size**0.5
    if antithetic:
        normals, noise = (np.concatenate([half, -half]) for half in (normals, noise))
    return game.initial_states(normals), noise


def certificate(result, **settings) -> dict[str, Any]:
    """What every player could gain by deviating.

    Args:
        result: the `Result`.
        settings: arguments of `Result.exploitability`.
    """
    found = result.exploitability(**settings)
    names = ("method", "gain", "relative", "relative_standard_error")
    return {name: getattr(found, name) for name in names}


def worst(case: dict[str, Any]) -> tuple[float, float]:
    """The relative error of largest size over the players, signed, and its standard error."""
    errors = np.atleast_1d(np.asarray(case["relative_error"], float))
    player = int(np.argmax(np.abs(errors)))
    return float(errors[player]), float(np.ravel(case["relative_standard_error"])[player])


def _gain(case: dict[str, Any]) -> tuple[float, float]:
    """The largest relative gain of a deviation over the players, and its standard error."""
    found = case["exploitability"]
    gains = np.asarray(found["relative"], float)
    player = int(np.argmax(gains))  # a NaN where there is one
    return float(gains[player]), float(np.asarray(found["relative_standard_error"], float)[player])


def certified(case: dict[str, Any]) -> str:
    """The largest relative gain of a deviation, of one record, as a cell."""
    return gain([case])


def largest(cases: list[dict[str, Any]]) -> str:
    """The largest relative cost error over the players, as a cell: `over_seeds`."""
    return over_seeds([worst(case) for case in cases])


def gain(cases: list[dict[str, Any]]) -> str:
    """The largest gain by deviating over the players, as a cell: `over_seeds`."""
    bound = "" if cases[0]["exploitability"].get("method") == "exact" else "≥ "
    return bound + over_seeds([_gain(case) for case in cases], "")


def over_seeds(found: Sequence[Sequence[float]], sign: str = "+", *, digits: int = 3,
               percent: bool = True) -> str:  # fmt: skip
    """A quantity in words: "+0.123 % ± 0.004, seeds ± 0.010".

    Args:
        found: its value from every seed and, where there is one, the evaluation's standard error;
            means are shown, and the standard deviation over the seeds where there are several.
        sign: "+" shows that of a positive value, too.
        digits: after the point.
        percent: whether the quantity is shown in %.
    """
    values = (100.0 if percent else 1.0) * np.asarray(found, float)
    mean, *error = values.mean(axis=0)
    text = f"{mean:{sign}.{digits}f}{' %' if percent else ''}"
    text += "".join(f" ± {one:.{digits}f}" for one in error)
    spread = f", seeds ± {values[:, 0].std(ddof=1):.{digits}f}" if len(values) > 1 else ""
    return text + spread


def percent(value: float, error: float) -> str:
    """ "+0.123 % ± 0.004"."""
    return over_seeds([(value, error)])
