"""What a belief weighs earlier profiles with: one function for exact and for trained play."""

import numpy as np

from fictitious_play import checks

RULES = ("last", "average", "damped", "sequential")


def belief_shares(rule: str, stage: int, damping: float = 0.5) -> np.ndarray:
    """Weights `w_0, …, w_k` of `α^0, …, α^k` in the belief `Σ w_j α^j` after stage `k`.

    - "last" and "sequential": all on `α^k`. Under "sequential" players announce one after another
      within a stage.
    - "average": the mean, divisor `k + 1`.
    - "damped": `α ← (1 - ω) α + ω α^k` with `ω = damping`.

    So a belief is moved by its newest profile alone: `1 - w_k` of what it was, `w_k` of `α^k`.

    Args:
        rule: One of the above (Hu 2019, Section 5.1).
        stage: `k`; 0 before the first stage.
        damping: `ω` in `(0, 1]`, for "damped".

    Returns:
        `(stage + 1,)`, not negative, of sum one.
    """
    checks.one_of("belief", rule, RULES)
    stage = checks.integer("stage", stage, 0)
    if rule == "average":
        return np.full(stage + 1, 1.0 / (stage + 1))
    if rule == "damped":
        shares = (1.0 - damping) ** np.arange(stage, -1.0, -1.0)
        shares[1:] *= damping
        return shares
    shares = np.zeros(stage + 1)
    shares[-1] = 1.0
    return shares
