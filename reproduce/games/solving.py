"""One trained case as JSON: the game, its exact costs and what deep fictitious play reached."""

import hashlib
import json
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
    errors = np.asarray(case["relative_error"])
    player = int(np.argmax(np.abs(errors)))
    return float(errors[player]), float(np.asarray(case["relative_standard_error"])[player])


def certified(case: dict[str, Any]) -> str:
    """The largest relative gain of a deviation over the players, with its standard error."""
    found = case["exploitability"]
    gains = np.asarray(found["relative"], float)
    player = int(np.argmax(gains))  # a NaN where there is one
    text = f"{100 * gains[player]:.3f} % ± {100 * found['relative_standard_error'][player]:.3f}"
    return text if found["method"] == "exact" else f"≥ {text}"


def earlier(cases: list[dict[str, Any]]) -> str:
    """As `certified`, by the certificate of an earlier revision, of the profile that was solved
    then."""
    found = cases[0].get("earlier_certificate")
    return f"{certified({'exploitability': found})} ({found['revision']})" if found else "–"


def largest(cases: list[dict[str, Any]]) -> str:
    """The largest relative error over the players: its standard error, or the spread of seeds."""
    found = [worst(case) for case in cases]
    if len(found) == 1:
        return percent(*found[0])
    errors = [error for error, _ in found]
    return f"{percent(float(np.mean(errors)), float(np.std(errors, ddof=1)))} (seeds)"


def gain(cases: list[dict[str, Any]]) -> str:
    """The largest gain by deviating over the players: likewise."""
    if len(cases) == 1:
        return certified(cases[0])
    gains = [np.max(np.asarray(case["exploitability"]["relative"], float)) for case in cases]
    return f"{100 * np.mean(gains):.3f} % ± {100 * np.std(gains, ddof=1):.3f} (seeds)"


def percent(value: float, error: float | None = None) -> str:
    """ "0.123 % ± 0.004"."""
    text = f"{100 * value:+.3f} %"
    return text if error is None else f"{text} ± {100 * error:.3f}"
