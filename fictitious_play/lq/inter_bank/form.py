"""The inter-bank lending game as a linear-quadratic form.

    dX^i = [a_i (m_i - X^i) + α^i] dt + σ_i (ρ dW^0 + √(1-ρ²) dW^i),     m_i = Σ_j W_ij X^j
    f^i  = ½ (α^i)² - q_i α^i (m_i - X^i) + ½ ε_i (m_i - X^i)²,     g^i = ½ c_i (m_i - X^i)²

Carmona, Fouque, Sun 2015 with `W_ij = 1/N`; Hu 2019 (3.1) to (3.4).
"""

from typing import Any

import numpy as np

from fictitious_play import checks
from fictitious_play.lq.general.form import LinearQuadraticForm
from fictitious_play.lq.inter_bank.parameters import SymmetricParameters


def inter_bank_form(
    players: int,
    horizon: float,
    steps: int,
    a: Any,
    q: Any,
    epsilon: Any,
    c: Any,
    sigma: Any = 1.0,
    rho: float = 0.0,
    weights: Any = None,
    initial_mean: Any = 0.0,
    initial_std: Any = 0.0,
) -> LinearQuadraticForm:
    """Matrices of the inter-bank game, `N` players with scalar states and controls.

    With `ζ_i = W_i - e_i`: `A = diag(a) ζ`, `B_i = e_i`, `Q_i = ε_i ζ_i'ζ_i`, `S_i = -q_i ζ_i`,
    `R_i = 1`, `G_i = c_i ζ_i'ζ_i` and `L = diag(σ) [ρ 1, √(1-ρ²) I]`: `N + 1` noises, the common
    one first.

    Args:
        players: `N`, at least two.
        horizon: `T`.
        steps: Number of Euler steps.
        a, q, epsilon, c, sigma: A number, or one per player; none negative, and `ε_i ≥ q_i²`.
        rho: Weight of the common noise, in `[-1, 1]`.
        weights: `(N, N)`, diagonal included; `None` for `1/N` everywhere.
        initial_mean, initial_std: Of the independent initial states; a number, or one per player.

    Raises:
        ValueError, TypeError: Where an argument breaks one of these rules.
    """
    N = checks.integer("players", players, 2)
    horizon, steps = checks.number("horizon", horizon, above=0.0), checks.integer("steps", steps, 1)
    vectors = {
        name: _vector(name, value, N, name != "initial_mean")
        for name, value in {
            "a": a,
            "q": q,
            "epsilon": epsilon,
            "c": c,
            "sigma": sigma,
            "initial_mean": initial_mean,
            "initial_std": initial_std,
        }.items()
    }
    a, q, epsilon, c, sigma, mean, std = vectors.values()
    # In binary, .4 times .4 exceeds .16: the boundary is met up to round-off, and then exactly.
    if np.any(epsilon < q * q * (1.0 - 1e-14)):
        raise ValueError(
            "`epsilon` must be at least q², or a player's cost is not convex. "
            f"Received: epsilon={epsilon}, q={q}"
        )
    epsilon = np.maximum(epsilon, q * q)
    rho = checks.number("rho", rho)
    if abs(rho) > 1.0:
        raise ValueError(f"`rho` must lie in [-1, 1]. Received: {rho}")
    W = np.full((N, N), 1.0 / N) if weights is None else _weights(weights, N)
    zeta = W - np.eye(N)
    outer = zeta[:, :, None] * zeta[:, None, :]
    L = sigma[:, None] * np.hstack([np.full((N, 1), rho), np.sqrt(1.0 - rho * rho) * np.eye(N)])
    symmetric = None
    equal = all(np.ptp(vector) == 0.0 for vector in (a, q, epsilon, c, sigma))
    if equal and np.array_equal(W, np.full((N, N), 1.0 / N)):
        symmetric = SymmetricParameters(
            players=N,
            horizon=horizon,
            a=a[0],
            q=q[0],
            epsilon=epsilon[0],
            c=c[0],
            sigma=sigma[0],
            rho=rho,
            initial_spread=(zeta @ mean) ** 2 + zeta**2 @ std**2,
        )
    identity = np.eye(N)
    return LinearQuadraticForm(
        A=a[:, None] * zeta,
        B=[identity[:, i : i + 1] for i in range(N)],
        Q=epsilon[:, None, None] * outer,
        S=[-q[i] * zeta[i : i + 1] for i in range(N)],
        R=[np.eye(1)] * N,
        G=c[:, None, None] * outer,
        L=L,
        horizon=horizon,
        steps=steps,
        initial_mean=mean,
        initial_covariance=np.diag(std**2),
        symmetric_parameters=symmetric,
    )


def _vector(name: str, value: Any, size: int, nonnegative: bool) -> np.ndarray:
    array = checks.real_array(name, value)
    if array.shape not in ((), (size,)):
        raise ValueError(
            f"`{name}` must be a number or have the shape ({size},). Received: shape {array.shape}"
        )
    checks.finite(name, array)
    if nonnegative and np.any(array < 0.0):
        raise ValueError(f"`{name}` must not be negative. Received: {value}")
    return np.broadcast_to(array, (size,)).copy()


def _weights(value: Any, size: int) -> np.ndarray:
    array = checks.has_shape("weights", checks.real_array("weights", value), (size, size))
    return checks.finite("weights", array)
