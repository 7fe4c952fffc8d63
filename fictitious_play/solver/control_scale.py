"""How large controls are, measured from the game before anybody is trained.

Networks begin at zero and learn in units of one. Where a game does not say what its typical control
is, a look at first answers tells: what would each player change if the others stayed as they are?
The slope of her cost along the paths of the game, as far as the state of the moment tells it, is a
direction that she can take; how far she goes until it no longer falls is its length. Both take a
few gradients.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from keras import ops

from fictitious_play import rollout
from fictitious_play.game_checks.gradients import gradient_of
from fictitious_play.game_checks.once import OncePerGame
from fictitious_play.game_checks.probe import arrays, quick
from fictitious_play.games.base import Game
from fictitious_play.scan import is_loop
from fictitious_play.solver.initial_belief import InitialBelief, initial_belief_function
from fictitious_play.solver.samples import Sample, probe_sample

#: Most and fewest paths, numbers in a gradient that should do, and those in one of the fewest paths
#: beyond which nothing is measured.
_PATHS, _LEAST_PATHS, _NUMBERS, _MOST_NUMBERS = 512, 32, 2**20, 2**24
#: Units are powers of 2^10, so that a control of a game that does not say is between 1/32 and 32 of
#: them; and the largest power that is looked for.
_BITS, _POWERS = 10, 5
#: A slope of so many standard errors is there.
_CERTAIN = 3.0
#: Bounds that are no further apart give the unit themselves: see `Saturation`.
_TIGHT = 4.0
#: Of so many paths for every state, slopes are fitted on all states.
_PATHS_PER_STATE = 8
#: What was measured, by first belief and dtype.
_known = OncePerGame()


def measured_units(game: Game, belief: InitialBelief, dtype: str) -> np.ndarray:
    """Units of control in which every player's first answer is of ordinary size: to controls of
    zero, and to α^0 too, if that is another profile; of both the unit that is closer to one.

    They are powers of 2^10: a game whose controls are between 1/32 and 32 large keeps units of one,
    and one that counts its controls in units 2^10 times smaller is the same solve to rounding.

    The direction is minus the expected slope of a player's own cost in her own controls given the
    state, a linear fit on one half of the paths that is used on the other, so that what only the
    noise to come would tell is none. Its length is where half of the slope is left, by a sweep over
    sizes: costs need not be quadratic. A control whose cost has no slope, as at a symmetric start,
    or never stops to fall, takes the unit of most other players, or one.

    Args:
        game: the `Game`.
        belief: α^0, as in `DeepFictitiousPlay`.
        dtype: "float32" or "float64".

    Returns:
        (players, control_size).
    """
    if callable(belief):
        return _measured(game, belief, dtype)
    controls = np.asarray(belief, np.float64)
    key = (controls.shape, controls.tobytes(), dtype)
    return _known(game, key, lambda: _measured(game, belief, dtype))


def _measured(game: Game, belief: InitialBelief, dtype: str) -> np.ndarray:
    shape = (game.players, game.control_size)
    per_path = game.steps * game.players * max(game.state_size, game.control_size)
    if _LEAST_PATHS * per_path > _MOST_NUMBERS:
        return np.ones(shape)
    paths = min(max(_NUMBERS // per_path, _LEAST_PATHS), _PATHS) // 4 * 4
    sample = probe_sample(game, paths, dtype)
    slope = gradient_of(partial(_total, game), is_loop(game.steps))
    given = np.array(initial_belief_function(game, belief)(*sample), dtype)
    rest = np.array(game.project(np.zeros_like(given)))
    powers = _powers(game, slope, sample, rest)
    if powers.any() and not np.array_equal(given, rest):
        others = _powers(game, slope, sample, given)
        powers = np.where(np.abs(others) < np.abs(powers), others, powers)
    if game.control_bounds is not None:
        low, high = game.control_bounds
        powers[high - low <= _TIGHT] = 0.0
    return 2.0 ** (_BITS * powers)


def _powers(game: Game, slope: Callable, sample: Sample, controls: np.ndarray) -> np.ndarray:
    """Of the unit, (players, control_size), by answers to these controls."""
    with np.errstate(all="ignore"):
        moved, seen = _answer(game, slope, sample, controls)
    size = np.sqrt(np.mean(np.square(moved, dtype=np.float64), axis=(0, 1)))
    seen &= size > 0.0
    powers = np.zeros(size.shape)
    powers[seen] = np.rint(np.log2(size[seen]) / _BITS)
    for part in range(game.control_size):
        like = seen[:, part]
        known = np.sort(powers[like, part] if like.any() else powers[seen])
        powers[~like, part] = known[len(known) // 2] if len(known) else 0.0
    return powers


def _total(game: Game, own: Any, others: Any, initial_state: Any, noise: Any) -> Any:
    """The sum over paths and players of what each pays who alone leaves the others' controls; its
    gradient is that of everybody's own cost."""
    return ops.sum(game.deviation_costs(initial_state, game.project(own), others, noise))


def _answer(
    game: Game, slope: Callable, sample: Sample, controls: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Everybody's controls after a first answer, (paths, steps, players, control_size), and whose
    length was found, (players, control_size)."""
    dtype = controls.dtype
    fixed = [ops.convert_to_tensor(each) for each in (controls, *sample)]

    def slopes(own: np.ndarray) -> np.ndarray:
        gradient = slope(ops.convert_to_tensor(own.astype(dtype)), *fixed)
        return np.asarray(gradient, np.float64)

    play = quick(partial(rollout.joint_states, game), is_loop(game.steps))
    states = play(fixed[1], fixed[0], fixed[2])
    states = arrays(states)[:, :-1].astype(np.float64)
    first = slopes(controls)
    finite = np.isfinite(first).all(axis=(1, 2, 3)) & np.isfinite(states).all(axis=(1, 2))
    nothing = np.zeros(first.shape[2:], bool)
    if finite.mean() < 0.5:
        return controls, nothing
    direction = np.zeros_like(first)
    direction[finite] = -_expected(first[finite], states[finite])
    along = np.sum(first * direction, axis=1)[finite]
    mean, error = along.mean(axis=0), along.std(axis=0) / len(along) ** 0.5
    size = np.sqrt(np.mean(direction**2, axis=(0, 1)))
    falls = (mean < -_CERTAIN * error) & (size > 0.0)
    direction /= np.where(falls, size, 1.0)
    # What chance adds to a direction makes the way along it shorter.
    noise = np.sqrt(np.maximum(1.0, first.shape[1] * size**2 / np.where(falls, -mean, 1.0)))
    mean = mean / np.where(falls, size, 1.0)
    length, found = np.zeros(falls.shape), nothing
    for part in range(game.control_size):
        unit = np.zeros(game.control_size)
        unit[part] = 1.0

        def left(sizes: np.ndarray, unit: np.ndarray = unit, part: int = part) -> np.ndarray:
            """What is left of the slope after moves of these sizes, (players,)."""
            moves = direction * (sizes[:, None] * unit)
            after = np.sum(slopes(controls + moves) * direction, axis=1)[finite][..., part]
            return after.mean(axis=0) / mean[:, part]

        length[:, part], found[:, part] = _lengths(left, falls[:, part])
    return controls + (noise * length * direction).astype(dtype), found


def _lengths(left: Callable, falls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far to go, (players,), and whose length was found: in a quadratic cost where nothing is
    left of the slope, in others about where half of it is, by a sweep over sizes."""
    power, length, found = np.zeros(len(falls)), np.zeros(len(falls)), ~falls
    step = 2.0 ** (_BITS / 2)
    for _ in range(2 * _POWERS if falls.any() else 0):
        unit = 2.0 ** (_BITS * power)
        far = left(unit * step)  # what is not finite is too far
        newton = unit * step / (1.0 - far)
        here = (far < 0.0) & (newton >= unit / step)
        length = np.where(here & ~found, newton, length)
        short = here
        if not np.all(here | found | (far > 0.5)):
            middle, near = left(unit) > 0.5, left(unit / step) > 0.5
            short = here | near
            about = unit * np.where(middle, step**0.5, step**-0.5)
            length = np.where(near & ~here & ~found, about, length)
        here = short & ~(far > 0.5)
        found = found | here
        if found.all():
            break
        power = np.where(found, power, np.where(far > 0.5, power + 1, power - 1))
        if np.any(np.abs(power) > _POWERS):
            break
    return np.where(falls, length, 0.0), found & falls


def _expected(slopes: np.ndarray, states: np.ndarray) -> np.ndarray:
    """Slopes (paths, steps, players, control_size) as far as the states (paths, steps, state_size)
    tell them: a linear fit at every step, of each half of the paths on the other one. Of many
    states a player's fit has her own ones and their mean over the players."""
    paths, steps, players, _ = slopes.shape
    number = states.shape[-1]
    mean = states.mean(axis=0)
    spread = np.sqrt(np.mean((states - mean) ** 2, axis=0))
    still = spread <= 1e-6 * np.abs(states).max(axis=0)
    z = np.where(still, 0.0, (states - mean) / np.where(still, 1.0, spread))[:, :, None]
    if number * _PATHS_PER_STATE > paths and number % players == 0:
        z = z.reshape(paths, steps, players, -1)
        z = np.concatenate([z, np.broadcast_to(z.mean(axis=2, keepdims=True), z.shape)], axis=-1)
    fit = np.empty_like(slopes)
    half = paths // 4 * 2
    for one, other in ((slice(half), slice(half, None)), (slice(half, None), slice(half))):
        centre = slopes[one].mean(axis=0)
        kernel = np.einsum("btpi,ctpi->tpbc", z[one], z[one])
        kernel += (1.0 + z.shape[-1]) * np.eye(kernel.shape[-1])
        targets = np.moveaxis(slopes[one] - centre, 0, 2)  # (steps, players, paths, control_size)
        if z.shape[2] == 1:
            targets = np.moveaxis(targets, 2, 1).reshape(steps, 1, len(slopes[one]), -1)
        between = np.einsum("btpi,ctpi->tpbc", z[other], z[one])
        values = between @ np.linalg.solve(kernel, targets)
        if z.shape[2] == 1:
            values = values.reshape(steps, -1, *slopes.shape[2:]).swapaxes(1, 2)
        fit[other] = centre + np.moveaxis(values, 2, 0)
    return fit
