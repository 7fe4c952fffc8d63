"""Shapes, dtypes, and that every path has values of its own."""

from typing import Any

import numpy as np

from fictitious_play.game_checks.probe import (
    METHODS,
    STEPS,
    Trial,
    arrays,
    check_signatures,
    points,
    quick,
    trace,
    values,
)
from fictitious_play.games.base import Game


def check_initial_states(trial: Trial) -> None:
    """`initial_states` must be a function of its normals, path by path."""
    game, method = trial.game, "initial_states"
    rng = np.random.default_rng(1)
    normals = rng.standard_normal((trial.paths * trial.copies, game.state_size))
    rule = f"must turn normals of shape {normals.shape} into initial states of the same shape."
    cause = "Likely cause: an axis is missing; `normals` is (batch, state_size)"

    def sampled(given: Any) -> Any:
        kept = given.copy()
        try:
            given_states = game.initial_states(given)
        except Exception as error:
            received = f"{type(error).__name__}: {error}"
            trial.refuse(method, rule, received, "It gets one NumPy array", error)
        if given_states is None:
            trial.refuse(method, rule, "None", "Likely cause: the `return` is missing")
        try:
            states = np.asarray(given_states)
        except Exception as error:
            trial.refuse(method, rule, repr(given_states)[:120], "Return a NumPy array", error)
        if states.shape != given.shape:
            trial.refuse(method, rule, f"shape {states.shape}", cause)
        if states.dtype.kind != "f":
            numbers = "must return floating-point numbers."
            trial.refuse(method, numbers, f"dtype {states.dtype}", "Likely cause: integer arrays")
        if not np.array_equal(given, kept):
            pure = "must leave `normals` as they are."
            trial.refuse(method, pure, "changed normals", "Likely cause: `+=`; make a new array")
        if not np.all(np.isfinite(states)):
            count = int(np.sum(~np.all(np.isfinite(states), axis=1)))
            finite = "must return finite numbers."
            received = f"NaN or infinity in {count} of {len(states)} initial states"
            trial.refuse(method, finite, received, "Normals take any real value, also negative")
        return np.array(states, np.float64)

    states = sampled(normals)
    if not np.array_equal(states, sampled(normals)):
        rule = "must give the same states for the same normals, or no seed could repeat a solve."
        cause = "Likely cause: random numbers of its own; make all of them from `normals`"
        trial.refuse(method, rule, "other states in a second call", cause)
    alone = sampled(normals[:1])
    if not np.allclose(alone, states[:1], rtol=1e-6, atol=1e-9):
        rule = "must give every path a state of its own."
        received = f"{alone[0]} for a path alone and {states[0]} for it among others"
        trial.refuse(method, rule, received, "Likely cause: a mean or sum over the batch")
    sampled(-normals)
    sampled(normals.astype(np.float32))


def check_shapes(trial: Trial) -> None:
    """The four methods, and `euler_step` where a game has its own, on one path, on several, and
    with an axis for copies."""
    check_signatures(trial)
    game = trial.game
    given = points(trial, (trial.paths, trial.copies))
    states = given[0]
    if type(game).euler_step is not Game.euler_step:
        noise = np.random.default_rng(4).standard_normal((*states.shape[:-1], game.noise_size))
        given = (*given, game.step_size**0.5 * noise)
    flat = tuple(array.reshape(-1, *array.shape[2:]) for array in given)
    one = tuple(array[:1] for array in flat)

    # Late steps, beyond those that are simulated.
    late = [] if game.steps <= STEPS else [game.steps // 2, game.steps - 1]
    times = [step * game.step_size for step in late]

    def evaluate(*sets: Any) -> list:
        at_first = [values(trial, 0.0, *each) for each in sets]
        return at_first + [values(trial, time, *each) for time in times for each in sets[:2]]

    sets = [tuple(map(trial.tensor, each)) for each in (flat, one, given)]
    function = quick(evaluate)
    several, alone, copies, *later = arrays(function(*sets))
    trace(lambda *each: values(trial, 0.0, *each), *sets[-1])
    again = arrays(function(*sets))
    for method in several:
        full = _whole(several[method], trial, method, 1)
        rule = "must give every path a value of its own, whatever the other paths are."
        if not _equal(trial, full, _whole(again[0][method], trial, method, 1)):
            pure = "must give the same values for the same arguments."
            cause = "Likely cause: random numbers; noise enters through `diffusion` only"
            trial.refuse(method, pure, "other values in a second call", cause)
        for number, (among, single) in enumerate(
            zip([several, *later[::2]], [alone, *later[1::2]], strict=True)
        ):
            first = _whole(among[method], trial, method, 1)[:1]
            single = np.broadcast_to(single[method], first.shape)
            if not _equal(trial, single, first):
                received = f"{_short(single)} for a path alone and {_short(first)} for it among "
                received += f"{len(full)} paths, at t = {[0.0, *times][number]:g}"
                cause = "Likely cause: a mean or sum over the batch (axis=0, or no axis)"
                trial.refuse(method, rule, received, cause)
        side = _whole(copies[method], trial, method, 2)
        if not _equal(trial, side.reshape(full.shape), full):
            received = f"other values on states of shape {states.shape} than on {flat[0].shape}"
            cause = "Likely cause: axes counted from the front, or a mean or sum over one of them"
            trial.refuse(method, rule, received, cause)


def check_tensor_time(trial: Trial) -> None:
    """The methods where the time is a scalar tensor."""
    states, controls = (trial.tensor(array) for array in points(trial, (trial.paths,)))
    game = trial.game

    times = [step * game.step_size for step in (0, game.steps // 2, game.steps - 1)]

    def evaluate(times: Any) -> list:
        return [values(trial, time, states, controls) for time in times]

    tensors = arrays(quick(evaluate, graph=True)([trial.tensor(time) for time in times]))
    numbers = arrays(quick(lambda: evaluate(times))())
    for time, tensor, number in zip(times, tensors, numbers, strict=True):
        for method in METHODS:
            if not _equal(trial, tensor[method], number[method]):
                rule = "must give the same values whether `time` is a float or a scalar tensor."
                cause = "Likely cause: rounding of the time towards zero; use ops.round"
                trial.refuse(method, rule, f"other values at t = {time:g}", cause)


def _whole(value: np.ndarray, trial: Trial, method: str, axes: int) -> np.ndarray:
    """A returned array with all its leading axes."""
    leading = (trial.paths, trial.copies) if axes == 2 else (trial.paths * trial.copies,)
    last = value.shape[-2:] if method == "diffusion" else value.shape[-1:]
    return np.broadcast_to(value, (*leading, *last))


def _equal(trial: Trial, one: np.ndarray, two: np.ndarray) -> bool:
    finite = np.abs(two[np.isfinite(two)])
    size = finite.max() if finite.size else 0.0
    tolerance = trial.relative
    return np.allclose(one, two, rtol=tolerance, atol=0.1 * tolerance * size, equal_nan=True)


def _short(array: np.ndarray) -> str:
    return np.array2string(array.ravel()[:4], precision=4, separator=", ")
