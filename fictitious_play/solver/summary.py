"""A result in a few lines of text."""

import numpy as np

#: So many players are listed one by one; of more, the first ones.
_LISTED = 8


def summary(result) -> str:
    """The text of `Result.summary`: what was solved, how it ended, what it is worth."""
    game = result.game
    information = result.settings["information"].replace("_", "-")
    lines = [
        f"{type(game).__name__}: {game.players} players, {game.steps} steps to T = "
        f"{game.horizon:g}, {information}, belief {result.settings['belief']}",
        f"ended: {result.reason} after stage {len(result.history)}. {result.message}",
        f"settled (costs stopped moving): {_yes(result.settled)}",
        *(f"cost of player {row}" for row in _costs(result)),
    ]
    unseen = getattr(result.policy, "unmoved_states", ())
    if len(unseen):
        listed = ", ".join(map(str, unseen))
        lines.append(f"states that nothing can move, which no network sees: {listed}")
    if result.non_finite.any():
        counts = ", ".join(map(str, result.non_finite.tolist()))
        lines.append(f"validation paths without a finite cost, player by player: {counts}")
    lines.extend(f"note: {notice}" for notice in result.notices)
    return "\n".join(lines)


def _costs(result):
    for player in range(min(result.game.players, _LISTED)):
        yield f"{player}: {result.cost[player]:.6g} ± {result.cost_standard_error[player]:.2g}"
    if result.game.players > _LISTED:
        rest = slice(_LISTED, None)
        low, high = np.min(result.cost[rest]), np.max(result.cost[rest])
        yield f"{_LISTED} to {result.game.players - 1}: {low:.6g} to {high:.6g}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
