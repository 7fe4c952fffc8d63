"""A result in a few lines of text."""

from collections.abc import Iterator
from typing import Any

import numpy as np

#: So many players are listed one by one; of more, the first ones.
_LISTED = 8
#: A cost of so many standard deviations of a path's may be a constant for the most part.
_CONSTANT = 100.0
_SCALES = {
    "cost": "|J| =",
    "spread": "a path's standard deviation",
    "given": "the given scale",
    "none": "no scale",
}


def summary(result: Any) -> str:
    """The text of `Result.summary`: what was solved, how it ended, what it is worth."""
    game = result.game
    information_structure = result.settings["information_structure"].replace("_", "-")
    lines = [
        f"{type(game).__name__}: {game.players} players, {game.steps} steps to T = "
        f"{game.horizon:g}, {information_structure}, belief {result.settings['belief']}",
        f"ended: {result.reason} after stage {len(result.history)}. {result.message}",
        f"settled (costs stopped moving): {_yes(result.settled)}",
        f"converged (nobody could gain much): {_yes(result.converged)}; {_regret(result)}",
        *(f"cost of player {row}" for row in _costs(result)),
    ]
    unseen = getattr(result.policy, "unmoved_states", ())
    if len(unseen):
        listed = ", ".join(map(str, unseen))
        lines.append(f"states that nothing can move, which no network sees: {listed}")
    unit = getattr(result.policy, "control_unit", None)
    if unit is not None:
        lines.append(f"units of control, measured, player by player: {_listed(unit)}")
    if result.non_finite.any():
        counts = ", ".join(map(str, result.non_finite.tolist()))
        lines.append(f"validation paths without a finite cost, player by player: {counts}")
    if result.contraction is not None:
        lines.append(f"contraction factor of exact play: {result.contraction:.3g}")
    lines.extend(f"note: {notice}" for notice in (*result.notices, *_constant_costs(result)))
    return "\n".join(lines)


def _regret(result: Any) -> str:
    """The largest regret of a player, what it is relative to, and how it was measured."""
    regret = result.regret
    if regret is None:
        return "the regret was not estimated"
    seen = regret.looked_at
    if not np.isfinite(regret.relative[seen]).all():
        return f"the regret is {regret.worst}"
    player = int(np.argmax(np.where(seen, regret.relative, -np.inf)))
    scale = _SCALES[regret.scale_kind[player]]
    of = "" if seen.all() else f"of {seen.sum()} players looked at "
    text = (
        f"largest regret {of}{100 * regret.relative[player]:.3g} % ± "
        f"{100 * regret.relative_standard_error[player]:.2g} of {scale} "
        f"{regret.scale[player]:.4g} (player {player}, {regret.method})"
    )
    if regret.at_bounds.any():
        text += (
            f"; {100 * np.nanmax(regret.at_bounds):.3g} % of a player's controls at their bounds"
        )
    if not seen.all():
        text += f"; of the other {np.sum(~seen)} nothing is known: ask `exploitability`"
    return text


def _constant_costs(result: Any) -> Iterator[str]:
    """A sentence where a cost is so large beside what chance makes of it that most of it may be a
    constant, of which every gain is a small share."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.abs(result.cost) / result.cost_spread
    ratio = np.where(np.isfinite(ratio), ratio, 0.0)
    player = int(np.argmax(ratio))
    if ratio[player] > _CONSTANT:
        yield (
            f"|J| is {ratio[player]:.2g} times a path's standard deviation (player {player}). If "
            "most of it is a constant, gains relative to it say little: "
            "`exploitability(scale=...)` takes another scale"
        )


def _listed(unit: np.ndarray) -> str:
    """Units (players, control_size); one number where all of them are equal."""
    if np.all(unit == unit[0, 0]) and len(unit) > _LISTED:
        return f"{unit[0, 0]:g}"
    rows = [" and ".join(f"{each:g}" for each in row) for row in unit[:_LISTED]]
    return ", ".join(rows) + (", …" if len(unit) > _LISTED else "")


def _costs(result: Any) -> Iterator[Any]:
    for player in range(min(result.game.players, _LISTED)):
        yield f"{player}: {result.cost[player]:.6g} ± {result.cost_standard_error[player]:.2g}"
    if result.game.players > _LISTED:
        rest = slice(_LISTED, None)
        low, high = np.min(result.cost[rest]), np.max(result.cost[rest])
        yield f"{_LISTED} to {result.game.players - 1}: {low:.6g} to {high:.6g}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
