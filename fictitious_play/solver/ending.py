"""The end of a solve: its profile is measured, and what came of it is said."""

import warnings
from dataclasses import dataclass
from typing import Any

from fictitious_play.solver.control_size import size_notice
from fictitious_play.solver.evaluation import Cost, CostMeter
from fictitious_play.solver.outlook import Outlook
from fictitious_play.solver.result import Result
from fictitious_play.solver.samples import Sample
from fictitious_play.solver.stages import Stages, through
from fictitious_play.solver.stop_reason import StopReason


@dataclass(frozen=True)
class _Measured:
    """The final profile's cost, its regret, a notice on its controls, and whether Ctrl-C came."""

    cost: Cost
    regret: Any = None
    notices: tuple[str, ...] = ()
    interrupted: bool = False


def conclude(
    loop: Stages,
    reason: StopReason,
    message: str,
    sample: Sample,
    outlook: Outlook,
    settings: dict[str, Any],
) -> Result:
    """Measures the final profile and makes the result.

    Args:
        loop: the stages that were played.
        reason, message: why they ended.
        sample: the validation sample.
        outlook: what was known of the game before.
        settings: of the solve.
    """
    plan, policy = loop.plan, loop.play.policy
    measured = _measured(loop, sample, outlook.equilibrium)
    final, regret = measured.cost, measured.regret
    if measured.interrupted:
        message += " Interrupted while it was measured."
        reason = reason if reason == StopReason.NON_FINITE else StopReason.INTERRUPTED
    if final.complaint is not None and reason != StopReason.NON_FINITE:
        reason, message = StopReason.NON_FINITE, final.complaint
        warnings.warn(message, RuntimeWarning, stacklevel=3)
    ended = (StopReason.ALL_STAGES, StopReason.COSTS_SETTLED)
    if outlook.without_equilibrium and reason in ended:
        reason, message = StopReason.NO_EQUILIBRIUM, f"{message} {outlook.notices[0]}"
    finite = reason != StopReason.NON_FINITE
    return Result(
        game=policy.game,
        policy=policy,
        cost=final.mean,
        cost_standard_error=final.standard_error,
        cost_spread=final.spread,
        non_finite=final.non_finite,
        history=tuple(loop.history),
        settled=finite and loop.settled(plan.small_change),
        converged=finite and _is_small(regret, plan.small_regret),
        regret=regret,
        reason=reason,
        message=message,
        control_variate=outlook.equilibrium is not None,
        settings=settings,
        contraction=outlook.contraction,
        notices=outlook.notices + measured.notices,
    )


def _measured(loop: Stages, sample: Sample, equilibrium: Any) -> _Measured:
    """With `on_interrupt="result"`, what of it there was time for; the cost at least."""
    plan, policy, history = loop.plan, loop.play.policy, loop.history
    cost, regret = None, None
    notices: tuple[str, ...] = ()
    try:
        cost = CostMeter(policy.game, sample, equilibrium)(policy)
        regret = None if loop.regret is None else loop.regret(len(history))
        if not _is_small(regret, plan.small_regret):
            notices = size_notice(policy, loop.meter.sample, len(history) * plan.steps)
    except KeyboardInterrupt:
        if plan.on_interrupt == "raise":
            raise
        cost = through(lambda: loop.meter(policy)) if cost is None else cost
        return _Measured(cost, regret, interrupted=True)
    return _Measured(cost, regret, notices)


def _is_small(regret: Any, limit: float) -> bool:
    return regret is not None and bool(regret.upper <= limit)
