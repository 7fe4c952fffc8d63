"""Why a solve ended."""

from enum import StrEnum


class StopReason(StrEnum):
    """Why a solve ended; every member is a string, so that `reason == "max_stages"` holds.

    Only `REGRET` says that the profile is close to an equilibrium. The others say what happened;
    `Result.converged` says whether the regret at the end was below its tolerance all the same.
    """

    #: All stages were played.
    ALL_STAGES = "max_stages"
    #: The costs moved by less than `tolerance` from one stage to the next.
    COSTS_SETTLED = "tolerance"
    #: No player's estimated regret was above `regret_tolerance`.
    REGRET_SMALL = "regret"
    #: A loss or a cost was NaN or infinite.
    NON_FINITE = "non_finite"
    #: All stages were played in a game that has no equilibrium.
    NO_EQUILIBRIUM = "no_equilibrium"
    #: Ctrl-C, or a callback that asked for the end.
    INTERRUPTED = "interrupted"
