"""What the exact theory says of a game before anything is trained."""

import warnings
from dataclasses import dataclass
from typing import Any

from fictitious_play import lq
from fictitious_play.games.base import Game

#: Most unknowns of a stage map whose contraction factor is computed; a fraction of a second.
_UNKNOWNS = 400


@dataclass(frozen=True)
class Outlook:
    """What is known of a linear-quadratic game; of any other, nothing.

    Attributes:
        equilibrium: the discrete-time Nash equilibrium, or None.
        contraction: by how much a stage of fictitious play with exact best responses, under the
            solve's belief rule, brings a profile closer to the equilibrium; above one, further
            away. None where it was not computed.
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


def look_ahead(game: Game, information: str, belief: str, damping: float) -> Outlook:
    """What the exact theory says of a game under a belief rule."""
    if not game.is_linear_quadratic:
        return Outlook(None, None, (), False)
    try:
        equilibrium = lq.nash(game, information=information, time="discrete")
    except lq.NoEquilibriumError as error:
        notice = (
            f"The game has no {information.replace('_', '-')} equilibrium: {error}. What a solve "
            "ends with is none, whether its costs settle or not. A shorter horizon may have one."
        )
        return Outlook(None, None, (notice,), True)
    factor = _contraction(game, information, belief)
    notices: tuple[str, ...] = ()
    if factor is not None and factor > 1.0:
        notices = (
            f"Fictitious play with belief={belief!r} does not converge in this game: every stage "
            f"with exact best responses takes the profile {factor:.3g} times as far from the "
            "equilibrium. Try belief='damped' with a small `damping`, or belief='average'.",
        )
    return Outlook(equilibrium, factor, notices, False)


def _contraction(game: Game, information: str, belief: str) -> float | None:
    if information != "open_loop" or belief != "last":
        return None
    symmetric = getattr(game, "symmetric_parameters", None)
    if symmetric is not None:
        p = symmetric
        return float(lq.symmetric_contraction(p.players, p.horizon, p.a, p.q, p.epsilon, p.c))
    if game.steps * game.players * game.control_size > _UNKNOWNS:
        return None
    return lq.contraction(game)
