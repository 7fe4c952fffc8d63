"""What a difference of costs is relative to."""

from typing import Any

import numpy as np

from fictitious_play import checks

#: |J| is a scale where it is at least so many standard deviations of the path cost. Below, it may
#: be zero but for the sample, as in a zero-sum game of value 0.
_MEANINGFUL = 0.1
#: Below this a scale is zero.
_NOTHING = 1e-30


def cost_scale(
    cost: np.ndarray, spread: np.ndarray, given: Any = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """What gains and errors of cost are divided by, and what that is, player by player.

    Args:
        cost: (players,) expected costs J^i.
        spread: (players,) standard deviations of a path's cost.
        given: a scale of the user's, a number or (players,) numbers above zero, or None.

    Returns:
        (players,) scales, NaN where there is none; and as many names: "given"; "cost", |J^i|, where
        that is at least a tenth of the spread; "spread" where it is not; "none" where both are at
        most 1e-30 or not finite.
    """
    if given is not None:
        scale = checks.per_item("scale", given, len(cost))
        if np.any(scale <= 0.0):
            raise ValueError(f"`scale` must be greater than 0. Received: scale={given!r}")
        return scale, ("given",) * len(cost)
    size = np.abs(cost)
    by_cost = (size > _NOTHING) & (size >= _MEANINGFUL * np.where(spread > 0.0, spread, 0.0))
    by_spread = ~by_cost & (spread > _NOTHING)
    usable = np.isfinite(size) & np.isfinite(spread)
    scale = np.where(by_cost, size, np.where(by_spread, spread, np.nan))
    kinds = np.where(by_cost, "cost", np.where(by_spread, "spread", "none"))
    kinds = np.where(usable, kinds, "none")
    return np.where(usable, scale, np.nan), tuple(kinds.tolist())
