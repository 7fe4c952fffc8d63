"""What a game says of itself, held against its methods: its form and its configuration."""

import inspect
import json
from typing import Any

import keras
import numpy as np

from fictitious_play import lq
from fictitious_play.game_checks.probe import Trial, arrays, points, quick, values
from fictitious_play.game_checks.simulation import Simulator

#: Entries of the matrices of a linear-quadratic form that are still written down, and of a path.
_LARGEST_FORM, _PATHS = 10**6, 4
#: Initial states from which the moments of a law that is not affine are known.
_SAMPLE = 1000
#: Attributes of a game in which one that is made again must agree.
_PARAMETERS = (
    "players", "horizon", "steps", "state_size", "control_size", "noise_size", "control_bounds",
    "control_unit",
)  # fmt: skip


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
    try:
        config = configuration(game)
        copy = _made_again(kind, config)
    except ValueError as error:
        return [str(error)]
    if type(copy) is not kind:
        return [_refusal(kind, f"`from_config` gave {copy!r}")]
    changed = [name for name in _PARAMETERS if not _equal(getattr(game, name), getattr(copy, name))]
    if not _equal(game.mean_weights(), copy.mean_weights()):
        changed.append("mean_weights")
    if not changed:  # or the methods would take other arrays
        changed = _other_values(trial, Trial(copy, trial.dtype, trial.paths, trial.copies))
    if changed:
        named = ", ".join(f"`{name}`" for name in changed)
        missing = [each for each in _arguments(kind) if each not in config]
        without = f"; it leaves out the arguments {', '.join(missing)}" if missing else ""
        received = f"a configuration that makes a game with other values of {named}{without}"
        return [_refusal(kind, received)]
    return []


def configuration(game: Any) -> dict[str, Any]:
    """What `get_config` of a game gives.

    Raises:
        ValueError: where it raises, or gives no dictionary.
    """
    try:
        config = game.get_config()
    except Exception as error:  # whatever a method of one's own does
        raise ValueError(_refusal(type(game), f"{type(error).__name__}: {error}")) from error
    if not isinstance(config, dict):
        raise ValueError(_refusal(type(game), f"{config!r}, a {type(config).__name__}"))
    return config


def _made_again(kind: Any, config: dict[str, Any]) -> Any:
    """The game of a configuration that has been written down, or a ValueError."""
    try:
        return kind.from_config(json.loads(json.dumps(config)))
    except Exception as error:
        raise ValueError(_refusal(kind, f"{type(error).__name__}: {error}")) from error


def _refusal(kind: Any, received: str) -> str:
    named = ", ".join(f"{each!r}: self.{each}" for each in _arguments(kind)[:3])
    return (
        f"`{kind.__name__}.get_config` must return the constructor's arguments as a dictionary of "
        "JSON values, or models and solves of this game cannot be saved and loaded. Received: "
        f"{received}. Return one entry per argument, such as {{{named}}}, with arrays as lists by "
        ".tolist()"
    )


def _arguments(kind: Any) -> list[str]:
    """Names of the arguments of a game's constructor."""
    given = inspect.signature(kind).parameters.values()
    return [each.name for each in given if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]


def _equal(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)


def _other_values(trial: Trial, again: Trial) -> list[str]:
    """Methods that have other values in the game made again, at the first or the middle step."""
    game = trial.game
    given = [trial.tensor(array) for array in points(trial, (trial.paths,))]
    times = (0.0, game.steps // 2 * game.step_size)
    function = quick(lambda *given: [[values(e, t, *given) for t in times] for e in (trial, again)])
    both = arrays(function(*given))
    normals = np.random.default_rng(5).standard_normal((trial.paths, game.state_size))
    for each, valued in zip((game, again.game), both, strict=True):
        valued.append({"initial_states": np.asarray(each.initial_states(normals))})
    changed: dict[str, None] = {}
    for first, second in zip(*both, strict=True):
        for name, value in first.items():
            if not np.array_equal(value, second[name], equal_nan=True):
                changed[name] = None
    return list(changed)
