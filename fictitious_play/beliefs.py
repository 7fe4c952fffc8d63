"""What a belief weighs earlier profiles with: one function for exact and for trained play."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fictitious_play import checks

RULES = ("last", "average", "damped", "sequential")
#: Weights of one's own: after stage k, those of α^0, …, α^k.
BeliefRule = Callable[[int], Any]


def check_rule(rule: str | BeliefRule) -> str | BeliefRule:
    """A name of `RULES` or a function; anything else is an error."""
    return rule if callable(rule) else checks.one_of("belief", rule, RULES)


def belief_shares(rule: str | BeliefRule, stage: int, damping: float = 0.5) -> np.ndarray:
    """Weights `w_0, …, w_k` of `α^0, …, α^k` in the belief `Σ w_j α^j` after stage `k`.

    - "last" and "sequential": all on `α^k`. Under "sequential" players announce one after another
      within a stage.
    - "average": the mean, divisor `k + 1`.
    - "damped": `α ← (1 - ω) α + ω α^k` with `ω = damping`.

    So a belief is moved by its newest profile alone: `1 - w_k` of what it was, `w_k` of `α^k`.
    A rule of one's own need not be: it is a function of `k` that returns the weights.

    Args:
        rule: One of the above (Hu 2019, Section 5.1), or a function.
        stage: `k`; 0 before the first stage.
        damping: `ω` in `(0, 1]`, for "damped".

    Returns:
        `(stage + 1,)`, not negative, of sum one.

    Raises:
        ValueError: for another rule, and a function whose weights are not such.
    """
    check_rule(rule)
    stage = checks.integer("stage", stage, 0)
    if callable(rule):
        given = np.asarray(rule(stage), np.float64)
        fits = given.shape == (stage + 1,) and np.all(given >= 0.0)
        if not (fits and abs(given.sum() - 1.0) < 1e-6):
            raise ValueError(
                f"`belief` must give {stage + 1} weights after stage {stage}, not negative and of "
                f"sum one. Received: {given.tolist()}"
            )
        return given / given.sum()
    if rule == "average":
        return np.full(stage + 1, 1.0 / (stage + 1))
    if rule == "damped":
        shares = (1.0 - damping) ** np.arange(stage, -1.0, -1.0)
        shares[1:] *= damping
        return shares
    shares = np.zeros(stage + 1)
    shares[-1] = 1.0
    return shares
