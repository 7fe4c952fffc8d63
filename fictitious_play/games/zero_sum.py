"""Zero-sum linear-quadratic games: pursuit and evasion, control against the worst disturbance."""

from typing import Any

from fictitious_play.games.linear_quadratic import LinearQuadraticGame
from fictitious_play.lq.general.zero_sum import both_sides


def zero_sum(
    A: Any,
    B: Any,
    Q: Any,
    S: Any,
    R: Any,
    G: Any,
    L: Any,
    horizon: float = 1.0,
    steps: int = 20,
    initial_mean: Any = 0.0,
    initial_std: Any = 0.0,
    initial_covariance: Any = None,
    discount: float = 0.0,
) -> LinearQuadraticGame:
    """Two players, one who minimises and one who maximises the same functional.

        dX = (A X + B_0 u + B_1 v) dt + L dW
        J  = E[ ∫_0^T e^{-ρt} (½ x'Q x + u'S_0 x + v'S_1 x + ½ u'R_0 u - ½ v'R_1 v) dt
                + e^{-ρT} ½ X_T'G X_T ]

    The cost of player 0, who chooses u, is J, that of player 1, who chooses v, is -J. Their Nash
    equilibrium is the saddle; `fictitious_play.lq.nash(game).cost` is its value and the negative.

    Args:
        A: (n, n).
        B: two matrices, (n, k_0) and (n, k_1).
        Q, G: (n, n), of any sign.
        S: two matrices (k_i, n); None means zero.
        R: two positive definite matrices (k_i, k_i); None means the identity.
        L, horizon, steps, initial_mean, initial_std, initial_covariance, discount: as in
            `LinearQuadraticGame`.

    Raises:
        ValueError, TypeError: where a shape does not fit, a number is not finite or an R_i is not
            positive definite.
    """
    return LinearQuadraticGame(
        A=A, L=L, horizon=horizon, steps=steps, initial_mean=initial_mean,
        initial_std=initial_std, initial_covariance=initial_covariance, discount=discount,
        **both_sides(B, Q, S, R, G),
    )  # fmt: skip
