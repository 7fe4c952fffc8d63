"""Zero-sum games of two players: one pays what the other gains.

    J = E[ ∫_0^T e^{-ρt} (½ x'Q x + u'S_0 x + v'S_1 x + ½ u'R_0 u - ½ v'R_1 v) dt
           + e^{-ρT} ½ X_T'G X_T ]

Player 0 chooses `u` and minimises `J`; player 1 chooses `v` and maximises it: her cost is `-J`.
Both `R` are positive definite. An equilibrium is a saddle, its value the cost of player 0; open and
closed loop, where both exist, have the same controls (Başar, Bernhard, *H∞-Optimal Control and
Related Minimax Design Problems*, chapter 2).
"""

from typing import Any

import numpy as np

from fictitious_play import checks
from fictitious_play.lq.general.form import LinearQuadraticForm


def both_sides(B: Any, Q: Any, S: Any, R: Any, G: Any) -> dict[str, list]:
    """`B`, `Q`, `S`, `R`, `G` of the two players, as `LinearQuadraticForm` takes them.

    Arguments as in `zero_sum_form`.
    """
    pairs = {"B": B, "S": S, "R": R}
    for name, pair in pairs.items():
        if pair is None and name != "B":
            continue
        if not isinstance(pair, list | tuple | np.ndarray) or len(pair) != 2:
            raise ValueError(
                f"`{name}` must have one matrix for each of the two players. Received: {pair!r}"
            )
        pairs[name] = [checks.finite_array(f"{name}[{i}]", matrix) for i, matrix in enumerate(pair)]
    B = pairs["B"]
    if any(matrix.ndim not in (2, 3) for matrix in B):
        raise ValueError(
            "`B` must have matrices of the shape (n, k). "
            f"Received: shapes {B[0].shape} and {B[1].shape}"
        )
    n, sizes = B[0].shape[-2], [matrix.shape[-1] for matrix in B]
    S = [np.zeros((k, n)) for k in sizes] if S is None else pairs["S"]
    R = [np.eye(k) for k in sizes] if R is None else pairs["R"]
    for name, matrices, shapes in (
        ("S", S, [(k, n) for k in sizes]),
        ("R", R, [(k, k) for k in sizes]),
    ):
        for i, (matrix, shape) in enumerate(zip(matrices, shapes, strict=True)):
            if matrix.ndim not in (2, 3) or matrix.shape[-2:] != shape:
                raise ValueError(
                    f"`{name}[{i}]` must have the shape {shape}, or one such matrix per step. "
                    f"Received: shape {matrix.shape}"
                )
    time = next((m.shape[:1] for m in (*S, *R) if m.ndim == 3), ())
    S, R = ([np.broadcast_to(m, (*time, *m.shape[-2:])) for m in each] for each in (S, R))
    corner = np.zeros((*time, *sizes))
    cross = np.concatenate(S, axis=-2)
    square = np.block([[R[0], corner], [np.swapaxes(corner, -1, -2), -R[1]]])
    Q, G = checks.finite_array("Q", Q), checks.finite_array("G", G)
    return {"B": B, "Q": [Q, -Q], "S": [cross, -cross], "R": [square, -square], "G": [G, -G]}


def zero_sum_form(
    A: Any,
    B: Any,
    Q: Any,
    S: Any,
    R: Any,
    G: Any,
    L: Any,
    horizon: float,
    steps: int,
    initial_mean: Any,
    initial_covariance: Any,
    discount: float = 0.0,
) -> LinearQuadraticForm:
    """The matrices of a zero-sum game.

    Args:
        A: `(n, n)`.
        B: Two matrices, `(n, k_0)` and `(n, k_1)`.
        Q: `(n, n)`, of any sign.
        S: Two matrices `(k_i, n)`, or `None` for zero.
        R: Two positive definite matrices `(k_i, k_i)`, or `None` for the identity: what its own
            control costs each player.
        G: `(n, n)`, of any sign.
        L, horizon, steps, initial_mean, initial_covariance, discount: As in
            `LinearQuadraticForm`; all matrices but `G` may have a leading axis of length `steps`.

    Returns:
        A `LinearQuadraticForm`, whose equilibrium costs are the value and its negative. There is no
        saddle where the maximiser's gain, or the minimiser's cost, has no bound: `nash` then raises
        `NoEquilibriumError` with the player and her curvature.
    """
    return LinearQuadraticForm(
        A=A,
        L=L,
        horizon=horizon,
        steps=steps,
        initial_mean=initial_mean,
        initial_covariance=initial_covariance,
        discount=discount,
        **both_sides(B, Q, S, R, G),
    )
