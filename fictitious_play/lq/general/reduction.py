"""The part of the state that one player's problem depends on.

A player sees the state only through `Q_i`, `S_i`, `G_i` and what moves these directions. In the
inter-bank game with equal players that is the one number `X̄ - X^i`, however many players there are.
"""

import numpy as np

from fictitious_play.lq.general.form import LinearQuadraticForm

# Directions below this size, relative to the largest, are round-off.
TOLERANCE = 1e-12


def relevant_directions(form: LinearQuadraticForm, player: int) -> np.ndarray:
    """Orthonormal `V`, `(n, r)`: the smallest subspace that holds the player's costs and is closed.

    It contains the ranges of `Q_i`, `G_i` and `S_i'` and is mapped into itself by every `A'`, so
    that `x̃ = V'x` has a dynamics of its own, `dx̃ = (V'AV x̃ + V'B u) dt + V'L dW`, her Riccati
    matrices are `V K̃ V'` and her best response depends on `x̃` alone. `V = I` where nothing can be
    left out.
    """
    n, where = form.state_size, form.control_slices[player]
    time_steps = form.time_steps if form.time_varying else form.time_steps[:1]
    blocks = [form.G[player]]
    for step in time_steps:
        cross = step.S[where] if step.S_all is None else step.S_all[player]
        blocks += [step.Q[player], cross.T]
    directions = _orthonormal(blocks, np.zeros((n, 0)))
    new = directions
    while new.shape[1] and directions.shape[1] < n:
        new = _orthonormal([step.A.T @ new for step in time_steps], directions)
        directions = np.hstack([directions, new])
    return directions if directions.shape[1] < n else np.eye(n)


def _orthonormal(blocks: list[np.ndarray], known: np.ndarray) -> np.ndarray:
    """Orthonormal basis of what the columns of the blocks add to the known directions."""
    scaled = [block / np.linalg.norm(block) for block in blocks if np.any(block)]
    if not scaled:
        return np.zeros((len(known), 0))
    columns = np.hstack(scaled)
    # Twice is enough for orthogonality to round-off.
    for _ in range(2):
        columns = columns - known @ (known.T @ columns)
    left, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, sizes > TOLERANCE]
