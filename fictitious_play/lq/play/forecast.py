"""What exact theory says of a game before anything is trained: equilibrium, and where play goes."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fictitious_play import checks, renamed
from fictitious_play.beliefs import RULES
from fictitious_play.lq.general.equilibrium import nash
from fictitious_play.lq.general.errors import NoEquilibriumError
from fictitious_play.lq.general.form import as_form
from fictitious_play.lq.general.recursion import INFORMATION
from fictitious_play.lq.inter_bank.parameters import SymmetricParameters
from fictitious_play.lq.inter_bank.profile import without_matrices
from fictitious_play.lq.play.contraction import contraction, damping_limit

# Floating-point operations: about a second of one core.
BUDGET = 1e10


@dataclass(frozen=True, eq=False)
class Forecast:
    """Whether exact fictitious play of a game has a limit, and whether it gets there.

    Attributes:
        failure: The `NoEquilibriumError` of the discrete game, or `None`.
        factor: What `contraction` returns under the belief rule; NaN where it was not computed.
        columns: `"all"`, or `"initial"` where those of the noises were left out.
        skipped: Why something was left out; empty where nothing was.
        damping_limit: Where `factor` is one or more: damping below this converges, and averaging
            does where it is positive; zero where neither can help. NaN otherwise.
        belief, information_structure: What was asked.
    """

    failure: NoEquilibriumError | None
    factor: float
    columns: str
    skipped: str
    damping_limit: float
    belief: str
    information_structure: str

    information = renamed.attribute("information", "information_structure")

    @property
    def converges(self) -> bool | None:
        """Whether exact play converges; `None` where that is not known."""
        if self.failure is not None or self.factor >= 1.0:
            return False
        return None if np.isnan(self.factor) or self.columns == "initial" else True

    @property
    def warning(self) -> str:
        """A sentence to warn with, the number and the way out in it; empty where all is well."""
        kind = self.information_structure.replace("_", "-")
        if self.failure is not None:
            return f"This game has no {kind} equilibrium that play could reach: {self.failure}."
        if not self.factor >= 1.0:
            return ""
        way_out = (
            f"`belief='damped'` with `damping` below {self.damping_limit:.3g}, or "
            "`belief='average'`, converges"
            if self.damping_limit > 0.0
            else "neither damping nor averaging can help; a shorter horizon or weaker coupling may"
        )
        return (
            f"Exact {kind} fictitious play of this game with belief={self.belief!r} diverges: the "
            f"contraction factor of its stage map is {self.factor:.4g}, which must be below 1. The "
            f"way out: {way_out}."
        )


@renamed.argument("information", "information_structure")
def forecast(
    game: Any, belief: str = "last", damping: float = 0.5, information_structure: str = "open_loop"
) -> Forecast:
    """Equilibrium and contraction of a linear-quadratic game, in about a second or not at all.

    Open loop, the columns of the noises take an eigenvalue problem each; where only that of `x_0`
    is cheap, it stands alone. Symmetric players' factor is that of `x_0`, and for many of them a
    scalar problem gives it.

    Args:
        game: A linear-quadratic game.
        belief, damping: As in `exact_play`.
        information_structure: `"open_loop"` or `"closed_loop"`.
    """
    checks.one_of("belief", belief, RULES)
    checks.one_of("information_structure", information_structure, INFORMATION)
    kind: Any = {
        "belief": belief,
        "damping": damping,
        "information_structure": information_structure,
    }
    parameters: Any = getattr(game, "symmetric_parameters", None)
    scalar = isinstance(parameters, SymmetricParameters)
    columns, skipped = "all", ""
    if without_matrices(game) is not None:
        if belief == "sequential":
            return _nothing(kind, None, f"{parameters.players:g} players with turns")
    else:
        form = as_form(game)
        N, n, K, steps = form.players, form.state_size, form.control_size, form.steps
        if 8.0 * steps * N * n * n * (n + K) > BUDGET:
            return _nothing(kind, None, f"{N} players with {n} states")
        try:
            nash(form, information_structure)
        except NoEquilibriumError as failure:
            return _nothing(kind, failure, "")
        if information_structure == "open_loop" and N > 1:
            sizes = K * np.arange(steps, 0.0, -1.0)
            # Eigenvalues of a dense matrix, and its making.
            work = 25.0 * sizes**3 + 8.0 * N * sizes**2 * n
            if work[0] > BUDGET:
                return _nothing(kind, None, f"a stage map of {sizes[0]:.0f} unknowns")
            if not scalar and work.sum() > BUDGET:
                columns = "initial"
                skipped = f"the noises' stage maps, of up to {sizes[1]:.0f} unknowns"
    factor = contraction(game, "initial" if scalar else columns, **kind)
    limit = np.nan
    if factor >= 1.0:
        limit = damping_limit(game, "initial" if scalar else columns, information_structure)
    return Forecast(None, factor, columns, skipped, limit, belief, information_structure)


def _nothing(kind: dict, failure: NoEquilibriumError | None, skipped: str) -> Forecast:
    return Forecast(
        failure, np.nan, "all", skipped, np.nan, kind["belief"], kind["information_structure"]
    )
