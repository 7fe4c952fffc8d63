"""What the exact theory says of a game before anything is trained."""

import math
import warnings
from dataclasses import dataclass
from typing import Any

from fictitious_play import lq
from fictitious_play.beliefs import BeliefRule
from fictitious_play.games.base import Game


@dataclass(frozen=True)
class Outlook:
    """What is known of a linear-quadratic game; of any other, nothing.

    Attributes:
        equilibrium: the discrete-time Nash equilibrium, or None.
        contraction: `lq.contraction` under the solve's belief rule: below one, fictitious play
            with exact best responses converges; above, it diverges. None where it was not computed.
        notices: sentences for the user, each a warning before training.
        without_equilibrium: whether there is no equilibrium for certain.
    """

    equilibrium: Any
    contraction: float | None
    notices: tuple[str, ...]
    without_equilibrium: bool

    def warn(self, stacklevel: int) -> None:
        """Gives the notices as warnings."""
        for notice in self.notices:
            warnings.warn(notice, RuntimeWarning, stacklevel=stacklevel + 1)


def look_ahead(game: Game, structure: str, belief: str | BeliefRule, damping: float) -> Outlook:
    """What the exact theory says of a game under a belief rule; of play, where it has a name."""
    if not game.is_linear_quadratic:
        return Outlook(None, None, (), False)
    try:
        equilibrium = lq.nash(game, information_structure=structure, time="discrete")
    except lq.NoEquilibriumError as failure:
        kind = structure.replace("_", "-")
        notice = f"This game has no {kind} equilibrium that play could reach: {failure}."
        return Outlook(None, None, (notice,), True)
    if callable(belief):
        return Outlook(equilibrium, None, (), False)
    forecast = lq.forecast(game, belief, damping, structure)
    factor = None if math.isnan(forecast.factor) else forecast.factor
    notices = (forecast.warning,) if forecast.warning else ()
    return Outlook(equilibrium, factor, notices, False)
