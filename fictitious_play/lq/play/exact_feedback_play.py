"""Closed-loop fictitious play with exact best responses, stage by stage.

Against linear feedbacks of the others, who answer her deviations, a player's best response is a
linear feedback again: her own Riccati recursion with the others' feedback in `Â`. So every stage of
closed-loop play (Hu 2019, Section 5.3) is computed without error. Its limit is the discrete
closed-loop Nash equilibrium.

The best response at a step depends on the others' gains at this and later steps only, and on those
of this step through a static game whose coupling is of the order of `h`. Once the later steps are
settled a step contracts by `ρ_t = O(h)`, so plain play converges for small steps on any horizon on
which the equilibrium exists, at a rate that tends to zero with `h`; open-loop play has a rate of
its own in continuous time.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fictitious_play import checks
from fictitious_play.lq.general.best_response import response_gains
from fictitious_play.lq.general.equilibrium import Equilibrium, SymmetricProfile, nash, profile_cost
from fictitious_play.lq.general.errors import NoEquilibriumError
from fictitious_play.lq.general.form import LinearQuadraticForm, as_form
from fictitious_play.lq.general.measures import gain_error
from fictitious_play.lq.general.rollout import check_gains
from fictitious_play.lq.play.stages import check_rule, stages_of_play


@dataclass(frozen=True, eq=False)
class ExactFeedbackPlay:
    """Exact closed-loop fictitious play.

    Attributes:
        cost: `(stages, players)`, `J^i` of the belief after each stage.
        response_cost: `(stages, players)`, `J^i` of the joint profile of best responses.
        error: `(stages,)`, `gain_error` of the belief against the discrete closed-loop equilibrium;
            NaN where there is none or where it never acts.
        response_error: `(stages,)`, the same of the best responses.
        gains: `(stages, steps, K, n)`, the belief after every stage.
        response_gains: `(stages, steps, K, n)`, the best responses.
        equilibrium: The discrete closed-loop equilibrium, or `None` where there is none.
        form: The game.
    """

    cost: np.ndarray
    response_cost: np.ndarray
    error: np.ndarray
    response_error: np.ndarray
    gains: np.ndarray
    response_gains: np.ndarray
    equilibrium: Equilibrium | SymmetricProfile | None
    form: LinearQuadraticForm


def exact_feedback_play(
    game: Any, stages: int, belief: str = "last", damping: float = 0.5, initial: Any = None
) -> ExactFeedbackPlay:
    """Plays a number of closed-loop stages, every best response exact.

    Args:
        game: A linear-quadratic game.
        stages: Number of stages, at least one.
        belief: What the players respond to, as in `exact_play`; averages are of gains, since the
            others' feedback is `Σ_k w_k F^k X` in the state that a deviation leads to.
        damping: `ω` in `(0, 1]`, for `"damped"`.
        initial: `α^0`: gains `(steps, K, n)`, or `None` for zero.

    Raises:
        NoEquilibriumError: Where a player has no best response because her cost is not convex.
    """
    form = as_form(game)
    stages, belief, damping = check_rule(stages, belief, damping)
    zero = np.zeros((form.steps, form.control_size, form.state_size))
    current = zero if initial is None else check_gains(form, checks.real_array("initial", initial))
    played = list(
        stages_of_play(
            form, current, stages, belief, damping,
            lambda i, others: response_gains(form, i, others).feedback,
        )
    )  # fmt: skip
    beliefs, responses = (np.stack(gains) for gains in zip(*played, strict=True))
    try:
        equilibrium = nash(form, "closed_loop")
    except NoEquilibriumError:
        equilibrium = None

    def errors(profiles: Any) -> Any:
        if equilibrium is None:
            return np.full(stages, np.nan)
        return np.array([gain_error(form, gains, equilibrium.gains) for gains in profiles])

    return ExactFeedbackPlay(
        cost=np.stack([profile_cost(form, gains) for gains in beliefs]),
        response_cost=np.stack([profile_cost(form, gains) for gains in responses]),
        error=errors(beliefs),
        response_error=errors(responses),
        gains=beliefs,
        response_gains=responses,
        equilibrium=equilibrium,
        form=form,
    )
