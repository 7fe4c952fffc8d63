"""Fictitious play with exact best responses, stage by stage.

In a discrete linear-quadratic game the best response to controls that are linear in (1, x_0, past
noise) is linear again, so every stage of fictitious play (Hu 2019, Algorithm 1) is computed without
error: a ground truth for each stage of the networks' play, not only for its limit, which is the
discrete open-loop Nash equilibrium.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fictitious_play import checks
from fictitious_play.lq.general.best_response import respond, response_gains
from fictitious_play.lq.general.coefficients import (
    basis_size,
    check_coefficients,
    coefficient_cost,
    evaluate,
    feedback_coefficients,
    squared_norm,
)
from fictitious_play.lq.general.equilibrium import Equilibrium, SymmetricProfile, nash
from fictitious_play.lq.general.errors import NoEquilibriumError
from fictitious_play.lq.general.form import LinearQuadraticForm, as_form
from fictitious_play.lq.play.stages import check_rule, stages_of_play


@dataclass(frozen=True, eq=False)
class ExactPlay:
    """Exact fictitious play.

    The *belief* of a stage is the profile that the players respond to in the next one; its
    *responses* are the best responses played in that stage. Under `"last"` and `"sequential"` they
    are the same.

    Attributes:
        cost: `(stages, players)`, `J^i` of the belief after each stage.
        response_cost: `(stages, players)`, `J^i` of the joint profile of best responses.
        error: `(stages,)`, relative L2 error of the belief against the discrete open-loop Nash
            equilibrium, `√(Σ_t E|u - u*|² / Σ_t E|u*|²)`. NaN where there is no equilibrium or
            where its controls are zero.
        response_error: `(stages,)`, the same of the best responses.
        coefficients: `(steps, K, 1 + n + m steps)`, the belief after the last stage.
        response_coefficients: The same of the last best responses.
        belief_stages: Beliefs after stage 1, 2, ..., with `keep_stages=True`, else empty.
        response_stages: Best responses of stage 1, 2, ..., with `keep_stages=True`, else empty.
        equilibrium: The discrete open-loop equilibrium, or `None` where there is none.
        form: The game.
    """

    cost: np.ndarray
    response_cost: np.ndarray
    error: np.ndarray
    response_error: np.ndarray
    coefficients: np.ndarray
    response_coefficients: np.ndarray
    belief_stages: tuple[np.ndarray, ...]
    response_stages: tuple[np.ndarray, ...]
    equilibrium: Equilibrium | SymmetricProfile | None
    form: LinearQuadraticForm

    def controls(self, initial_state: Any, noise: Any) -> np.ndarray:
        """Controls `(batch, steps, K)` of the last belief along a noise `(batch, steps, m)`."""
        return evaluate(self.form, self.coefficients, initial_state, noise)


def exact_play(
    game: Any,
    stages: int,
    belief: str = "last",
    damping: float = 0.5,
    initial: Any = None,
    keep_stages: bool = False,
) -> ExactPlay:
    """Plays a number of stages, every best response exact.

    Args:
        game: A linear-quadratic game.
        stages: Number of stages, at least one.
        belief: What the players respond to. `"last"`: the others' last controls. `"average"`: the
            mean of `α^0 ... α^k`, divisor `k + 1`. `"damped"`: `α ← (1 - ω) α + ω BR(α)`.
            `"sequential"`: the last controls, players updating one after another within a stage.
        damping: `ω` in `(0, 1]`, for `"damped"`.
        initial: `α^0`: `None` for zero; coefficients `(steps, K, 1 + n + m steps)`; or constants
            that broadcast to `(steps, K)`.
        keep_stages: Whether to keep the coefficients of every stage.

    Raises:
        NoEquilibriumError: Where a player has no best response because her cost is not convex.
    """
    form = as_form(game)
    stages, belief, damping = check_rule(stages, belief, damping)
    current = initial_coefficients(form, initial)
    gains = [response_gains(form, i) for i in range(form.players)]
    try:
        equilibrium = nash(form)
        target = feedback_coefficients(form, equilibrium.gains)
        size = squared_norm(form, target)
    except NoEquilibriumError:
        equilibrium, target, size = None, np.zeros(()), 0.0

    def error(profile: np.ndarray) -> Any:
        if size == 0.0:
            return np.nan
        return np.sqrt(squared_norm(form, profile - target) / size)

    costs, response_costs, errors, response_errors = [], [], [], []
    beliefs, responses = [], []
    play = stages_of_play(
        form, current, stages, belief, damping, lambda i, others: respond(form, i, gains[i], others)
    )
    for current, response in play:
        response_costs.append(coefficient_cost(form, response))
        response_errors.append(error(response))
        same = current is response
        costs.append(response_costs[-1] if same else coefficient_cost(form, current))
        errors.append(response_errors[-1] if same else error(current))
        if keep_stages:
            beliefs.append(current)
            responses.append(response)
    return ExactPlay(
        cost=np.stack(costs),
        response_cost=np.stack(response_costs),
        error=np.array(errors),
        response_error=np.array(response_errors),
        coefficients=current,
        response_coefficients=response,
        belief_stages=tuple(beliefs),
        response_stages=tuple(responses),
        equilibrium=equilibrium,
        form=form,
    )


def initial_coefficients(form: LinearQuadraticForm, initial: Any) -> np.ndarray:
    """`α^0` as coefficients: zero, given ones, or constants on `(steps, K)`."""
    zero = np.zeros((form.steps, form.control_size, basis_size(form)))
    if initial is None:
        return zero
    values = checks.real_array("initial", initial)
    if values.ndim == 3:
        return check_coefficients(form, values)
    try:
        zero[:, :, 0] = np.broadcast_to(values, zero.shape[:2])
    except ValueError as error:
        raise ValueError(
            f"`initial` must have the shape {zero.shape} or broadcast to {zero.shape[:2]}. "
            f"Received: shape {values.shape}"
        ) from error
    return check_coefficients(form, zero)
