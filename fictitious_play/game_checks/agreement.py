"""What a game says of itself, held against its methods: its form and its configuration."""

import json
from typing import Any

import keras
import numpy as np

from fictitious_play import lq
from fictitious_play.game_checks.probe import METHODS, Trial, arrays, points, quick, values
from fictitious_play.game_checks.simulation import Simulator

#: Entries of the matrices of a linear-quadratic form that are still written down, and of a path.
_LARGEST_FORM, _PATHS = 10**6, 4
#: Initial states from which the moments of a law that is not affine are known.
_SAMPLE = 1000


def check_form(trial: Trial, simulate: Simulator) -> None:
    """`linear_quadratic_form` must be the game of the methods: the same costs along the same
    paths, under random controls, and the same initial law."""
    game, method = trial.game, "linear_quadratic_form"
    if game.players * game.state_size**2 > _LARGEST_FORM or not game.is_linear_quadratic:
        return
    form = game.linear_quadratic_form()
    if form is None:
        needed = "must give a form where `is_linear_quadratic` says that there is one."
        trial.refuse(method, needed, "None", "Leave `is_linear_quadratic` as it is")
    rule = "must be the game that the methods define."
    cause = (
        "Likely cause: a factor ½, a sign, or a method that a subclass has changed; return None "
        "where the game is not linear-quadratic"
    )
    sizes = (form.players, form.steps, form.state_size, form.noise_size)
    expected = (game.players, game.steps, game.state_size, game.noise_size)
    if sizes != expected:
        names = "(players, steps, state_size, noise_size)"
        trial.refuse(method, rule, f"{names} = {sizes} in place of {expected}", cause)
    rng = np.random.default_rng(4)
    initial = np.asarray(game.initial_states(rng.standard_normal((_PATHS, game.state_size))))
    noise = rng.standard_normal((_PATHS, game.steps, game.noise_size)) * game.step_size**0.5
    shape = (_PATHS, game.steps, game.players, game.control_size)
    controls = rng.standard_normal(shape)
    exact = lq.simulate_controls(form, game.stacked_controls(controls), initial, noise)
    _, simulated = simulate(initial, controls, noise)
    size = np.abs(exact.cost).max(axis=0) + 1e-300
    off = np.abs(simulated - exact.cost).max(axis=0) / size
    if not np.all(off <= 10.0 * trial.relative):
        player = int(np.argmax(np.nan_to_num(off, nan=np.inf)))
        received = (
            f"path costs of player {player} that differ by {off[player]:.1e} of their size under "
            "the same controls and noise"
        )
        trial.refuse(method, rule, received, cause)
    if not _same_law(game, form, rng):
        received = "another initial mean or covariance than `initial_states` has"
        trial.refuse(method, rule, received, "Give the form the law that `initial_states` samples")


def _same_law(game: Any, form: Any, rng: Any) -> bool:
    """Whether `initial_states` has the form's mean and covariance: those of an affine map are
    known by what it makes of zero and of the unit vectors, those of any other by a sample."""
    eye = np.eye(game.state_size)
    mean = np.asarray(game.initial_states(np.zeros_like(eye)))[0]
    root = np.asarray(game.initial_states(eye)) - mean
    normals = rng.standard_normal((_SAMPLE, game.state_size))
    states = np.asarray(game.initial_states(normals), np.float64)
    spread = np.abs(form.initial_covariance).max() + np.abs(root).max() ** 2 + 1e-12
    if np.allclose(states, mean + normals @ root, rtol=1e-5, atol=1e-5 * spread**0.5):
        law = np.allclose(mean, form.initial_mean, rtol=1e-6, atol=1e-9)
        return law and np.abs(root.T @ root - form.initial_covariance).max() <= 1e-6 * spread
    away = states - form.initial_mean
    mean, squares = away.mean(axis=0), away.T @ away / _SAMPLE
    fourth = np.square(away).T @ np.square(away) / _SAMPLE
    # Six standard errors, and float32.
    near = np.abs(mean) <= 6.0 * (np.diagonal(squares) / _SAMPLE) ** 0.5 + 1e-5 * spread**0.5
    error = (np.maximum(fourth - squares**2, 0.0) / _SAMPLE) ** 0.5
    alike = np.abs(squares - form.initial_covariance) <= 6.0 * error + 1e-5 * spread
    return bool(near.all() and alike.all())


def check_config(trial: Trial) -> list[str]:
    """`get_config` must give the constructor's arguments.

    Returns:
        A sentence where a model of this game could be saved, but not loaded again. A class that is
        neither registered with Keras nor defines `get_config` is not meant to be saved.
    """
    game, kind = trial.game, type(trial.game)
    registered = keras.saving.get_registered_name(kind) != kind.__name__
    own = kind.__dict__.get("get_config")
    inherited = any(own is base.__dict__.get("get_config") for base in kind.__mro__[1:])
    if not registered and (own is None or inherited):
        return []
    rule = (
        f"`{trial.name}.get_config` must return the constructor's arguments as JSON values, or "
        "models and solves of this game cannot be saved and loaded."
    )
    try:
        config = game.get_config()
        json.dumps(config)
        copy = kind.from_config(json.loads(json.dumps(config)))
    except Exception as error:
        return [f"{rule} Received: {type(error).__name__}: {error}"]
    given = [trial.tensor(array) for array in points(trial, (trial.paths,))]
    both = trial, Trial(copy, trial.dtype, trial.paths, trial.copies)
    function = quick(lambda *given: [values(each, 0.0, *given) for each in both])
    first, second = arrays(function(*given))
    normals = np.random.default_rng(5).standard_normal((trial.paths, game.state_size))
    first["initial_states"] = np.asarray(game.initial_states(normals))
    second["initial_states"] = np.asarray(copy.initial_states(normals))
    changed = [
        name
        for name in (*METHODS, "initial_states")
        if not np.array_equal(first[name], second[name], equal_nan=True)
    ]
    if changed:
        named = ", ".join(f"`{name}`" for name in changed)
        return [f"{rule} Received: a configuration that makes a game with other values of {named}"]
    return []
