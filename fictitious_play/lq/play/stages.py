"""How a belief moves from stage to stage, whatever the best responses are made of."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fictitious_play import checks
from fictitious_play.beliefs import RULES, belief_shares
from fictitious_play.lq.general.form import LinearQuadraticForm


def check_rule(stages: Any, belief: Any, damping: Any) -> tuple[int, str, float]:
    """The arguments of a play, or an error."""
    stages = checks.integer("stages", stages, 1)
    checks.one_of("belief", belief, RULES)
    damping = checks.number("damping", damping)
    if not 0.0 < damping <= 1.0:
        raise ValueError(f"`damping` must lie in (0, 1]. Received: {damping}")
    return stages, belief, damping


def stages_of_play(
    form: LinearQuadraticForm,
    initial: np.ndarray,
    stages: int,
    belief: str,
    damping: float,
    respond: Callable[[int, np.ndarray], np.ndarray],
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The belief after every stage, and the best responses that were played in it.

    Args:
        form: The game.
        initial: `α^0`, `(steps, K, ...)`: coefficients of controls, or gains.
        stages, belief, damping: As in `exact_play`.
        respond: `respond(i, profile)`, player `i`'s best response, `(steps, k_i, ...)`.
    """
    current = initial
    for stage in range(1, stages + 1):
        response = current.copy() if belief == "sequential" else np.empty_like(current)
        for i, where in enumerate(form.control_slices):
            response[:, where] = respond(i, response if belief == "sequential" else current)
        newest = belief_shares(belief, stage, damping)[-1]
        current = response if newest == 1.0 else current + newest * (response - current)
        yield current, response
