"""What a search for best responses has gained."""

from dataclasses import dataclass

import numpy as np

from fictitious_play.games.base import Game


@dataclass(frozen=True)
class DeviationGain:
    """Gains of leaving a profile.

    Attributes:
        gain: (players,), mean cost of the profile less that of the best deviation, on paths
            that neither the search nor the choice has used; exactly zero where there is none.
        standard_error: (players,), over antithetic pairs.
        by: what found it, player by player: "nothing", "exact", "linear" or "network".
        cost, spread: (players,) mean and standard deviation of the profile's path costs there.
        non_finite: (players,), numbers of those paths on which the profile's cost is not finite;
            the gain is NaN then.
        paths: how many paths there were.
        at_bounds: (players,) share of the profile's controls at the game's control bounds.
    """

    gain: np.ndarray
    standard_error: np.ndarray
    by: tuple[str, ...]
    cost: np.ndarray
    spread: np.ndarray
    non_finite: np.ndarray
    paths: int
    at_bounds: np.ndarray


def gains_to_come(costs: np.ndarray, at_bounds: np.ndarray) -> DeviationGain:
    """A `DeviationGain` with gains of NaN, for path costs (paths, players) of a profile."""
    nothing = np.full(costs.shape[1], np.nan)
    with np.errstate(invalid="ignore"):
        cost, spread = costs.mean(axis=0), costs.std(axis=0)
    return DeviationGain(
        gain=nothing,
        standard_error=nothing.copy(),
        by=("exact",) * len(nothing),
        cost=cost,
        spread=spread,
        non_finite=(~np.isfinite(costs)).sum(axis=0),
        paths=len(costs),
        at_bounds=at_bounds,
    )


#: What found the gain of a player who was left out.
NOT_LOOKED_AT = "not looked at"


def of_everybody(gains: DeviationGain, who: np.ndarray, players: int) -> DeviationGain:
    """The gains of some players as those of all, NaN for the others."""
    if len(who) == players:
        return gains

    def full(values: np.ndarray) -> np.ndarray:
        spread = np.full(players, 0 if values.dtype.kind == "i" else np.nan, values.dtype)
        spread[who] = values
        return spread

    by = [NOT_LOOKED_AT] * players
    for player, name in zip(who, gains.by, strict=True):
        by[player] = name
    arrays = {name: full(each) for name, each in vars(gains).items() if name not in ("by", "paths")}
    return DeviationGain(**arrays, by=tuple(by), paths=gains.paths)


def share_at_bounds(game: Game, controls: np.ndarray) -> np.ndarray:
    """(players,) share of controls (paths, steps, players, control_size) within a thousandth of
    the distance of the game's control bounds; zero without bounds."""
    if game.control_bounds is None:
        return np.zeros(game.players)
    low, high = (np.broadcast_to(bound, controls.shape[2:]) for bound in game.control_bounds)
    near = 1e-3 * np.where(np.isfinite(high - low), high - low, 1.0)
    return np.mean((controls <= low + near) | (controls >= high - near), axis=(0, 1, 3))
