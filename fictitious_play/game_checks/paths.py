"""A short simulation: what is not finite on it, and costs that fall without end."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from fictitious_play.game_checks.probe import METHODS, STEPS, Trial
from fictitious_play.game_checks.simulation import Simulator

#: Paths along which nobody moves, and numbers in one array of them.
_PATHS, _NUMBERS = 256, 2**22
#: Of the paths, those that controls of unit size are tried on.
_MOVED = 16
#: Sizes of the controls along a ray. A cost that falls by this much more from one size to the next
#: falls about linearly or faster: a hundred times is linear, ten times a square root. Rounding
#: grows like that too, but never to many times the cost.
_SIZES, _LINEAR, _ROUNDED = (1e2, 1e4, 1e6, 1e8), 30.0, 100.0
#: How many players, and coordinates of a control, are tried.
_PLAYERS, _COORDINATES = 6, 2


#: Of many steps, rounding may grow to so many times what it is in one.
_ALONE = 30.0


@dataclass(frozen=True)
class Rays:
    """Controls along rays: each one moves one player and leaves the others at zero.

    Attributes:
        controls: (rays · sizes, steps, players, control_size), the sizes side by side.
        players: (rays,), who moves.
        words: (rays,), in which direction.
    """

    controls: np.ndarray
    players: list[int]
    words: list[str]


def make_rays(game: Any, steps: int, most: int) -> Rays:
    """Constant, alternating and last-step controls of a few players, at most `most` of them."""
    shape = (steps, game.players, game.control_size)
    last = np.eye(steps)[-1]
    shapes_in_time = [
        ("constant", np.ones(steps)),
        ("constant negative", -np.ones(steps)),
        ("alternating", (-1.0) ** np.arange(steps)),
        ("last-step", last),
        ("negative last-step", -last),
    ]
    who = np.unique(np.linspace(0, game.players - 1, min(_PLAYERS, game.players)).astype(int))
    controls, players, words = [], [], []
    for player in who:
        for coordinate in range(min(_COORDINATES, game.control_size)):
            for word, profile in shapes_in_time:
                ray = np.zeros(shape)
                ray[:, player, coordinate] = profile
                controls.append(ray)
                players.append(int(player))
                words.append(word)
    count = max(1, min(len(controls), most // len(_SIZES)))
    rays = np.stack(controls[:count])
    scaled = rays[:, None] * np.asarray(_SIZES)[:, None, None, None]
    return Rays(scaled.reshape(-1, *shape), players[:count], words[:count])


def check_paths(
    trial: Trial, simulate: Simulator, unit: np.ndarray | None = None
) -> tuple[list[str], np.ndarray]:
    """Simulates the game near its start.

    Args:
        trial: the game, and the dtype to play it in.
        simulate: plays its paths.
        unit: of control, (players, control_size); None for the game's, or one.

    Returns:
        A sentence for every method that is not finite on some of the paths; and how much random
        controls of unit size change a path's cost, (players,), root mean squares.

    Raises:
        ValueError: where a method is finite on none of them.
    """
    game = trial.game
    steps = min(game.steps, STEPS)
    size = game.state_size * game.noise_size + game.players * game.control_size
    paths = 2 * max(2, min(_PATHS, _NUMBERS // size) // 2)
    rays = make_rays(game, steps, paths)
    rng = np.random.default_rng(2)
    half = rng.standard_normal((paths // 2, game.state_size))
    initial = np.concatenate([game.initial_states(half), game.initial_states(-half)])
    noise = rng.standard_normal((paths // 2, steps, game.noise_size)) * game.step_size**0.5
    noise = np.concatenate([noise, -noise])
    moved = len(rays.controls)
    still = np.zeros((paths, *rays.controls.shape[1:]))
    again = slice(0, min(paths, _MOVED))
    unit = game.control_unit if unit is None else unit
    random = (1.0 if unit is None else unit) * rng.standard_normal(still[again].shape)
    # Bounds keep a ray from going on for ever, and controls of zero out of where they may not be.
    controls = game.project(np.concatenate([still, rays.controls, random]))
    # All rays start in one state and have no noise: what they differ in is the controls.
    initial = np.concatenate([initial, np.repeat(initial[:1], moved, axis=0), initial[again]])
    noise = np.concatenate([noise, np.zeros((moved, *noise.shape[1:])), noise[again]])
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        moments, costs = simulate(initial, controls, noise)
        alone = simulate(*(array[-1:] for array in (initial, controls, noise)))[0]
    sentences = _not_finite(trial, moments, paths)
    _check_alone(trial, moments, alone)
    _warn_of_rays(trial, rays, costs[paths : paths + moved], steps)
    changes = costs[paths + moved :] - costs[again]
    changes = changes[np.isfinite(changes).all(axis=1)]
    return sentences, np.sqrt(np.sum(changes**2, axis=0) / max(1, len(changes)))


def _not_finite(trial: Trial, moments: list[dict], paths: int) -> list[str]:
    sentences = []
    h = trial.game.step_size
    allowed = "" if trial.game.control_bounds is None else ", or the nearest allowed"
    for method in METHODS:
        for moment in moments:
            finite = moment["finite"].get(method)
            if finite is None or finite[:paths].all():
                continue
            wrong = np.flatnonzero(~finite[:paths])
            state = np.array2string(moment["states"][wrong[0]][:6], precision=4, separator=", ")
            received = (
                f"NaN or infinity on {len(wrong)} of {paths} paths at t = {moment['step'] * h:g} "
                f"with controls of zero{allowed}, first in the state {state}"
            )
            cause = (
                "Likely cause: a logarithm, root, power or quotient of a state that the noise "
                "takes out of its domain; take shorter steps, other variables, or a floor"
            )
            rule = "must be finite along the paths."
            if len(wrong) == paths:
                trial.refuse(method, rule, received, cause)
            sentences.append(f"`{trial.name}.{method}` {rule} Received: {received}. {cause}")
            return sentences  # what follows on these paths is a consequence
    return sentences


def _check_alone(trial: Trial, moments: list[dict], alone: list[dict]) -> None:
    """The last path must be what it is alone, at every step."""
    rule = "must give every path a value of its own, whatever the other paths are."
    cause = "Likely cause: a mean or sum over the batch (axis=0, or no axis)"
    h = trial.game.step_size
    for before, among, single in zip((None, *moments), moments, alone, strict=False):
        last = among is moments[-1]
        for name, method, at in (
            ("states", "euler_step", before),
            ("costs", "terminal_cost" if last else "running_cost", among),
        ):
            here, there = among[name][-1], single[name][-1]
            values = np.abs([here, there])
            size = np.max(values, where=np.isfinite(values), initial=0.0)
            near = _ALONE * trial.relative
            if not np.allclose(here, there, rtol=near, atol=near * size, equal_nan=True):
                received = (
                    f"{there[:4]} for a path alone and {here[:4]} for it among "
                    f"{len(among[name])} paths, at t = {(at or among)['step'] * h:g}"
                )
                trial.refuse(
                    method,
                    rule,
                    received,
                    f"{cause}, here, in `drift` or `diffusion`" if name == "states" else cause,
                )


def _warn_of_rays(trial: Trial, rays: Rays, costs: np.ndarray, steps: int) -> None:
    costs = costs.reshape(len(rays.players), len(_SIZES), -1)
    for ray, (player, word) in enumerate(zip(rays.players, rays.words, strict=True)):
        fall = costs[ray, :, player]
        if not np.all(np.isfinite(fall)):
            continue
        drops = -np.diff(fall)
        if drops.sum() <= _ROUNDED * np.abs(fall[0]):
            continue
        if np.all(drops > 0.0) and np.all(drops[1:] > _LINEAR * drops[:-1]):
            warnings.warn(
                f"The cost of player {player} in `{trial.name}` falls without end along her own "
                f"{word} controls: {fall[0]:.3g} at controls of size {_SIZES[0]:g}, {fall[-1]:.3g} "
                f"at {_SIZES[-1]:g}. Costs are minimised: likely cause: the sign of a gain that is "
                "to be maximised, or a control that costs nothing.",
                RuntimeWarning,
                stacklevel=4,
            )
            return
