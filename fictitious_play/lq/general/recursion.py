"""Coupled backward recursions of the discrete linear-quadratic game, NumPy or JAX, batched.

Controls of all players are stacked, `u` of length `K`. With `Â = I + h A` and row block `i` of `Π`
equal to `B_i'P_i(t+1)`, the equilibrium gain `u = F x` of both information structures solves

    (R + h Π B) F = -(S + Π Â),        A_cl = Â + h B F,

    open loop:    P_i ← h (Q_i + S_i'F_i) + Â' P_i A_cl                           (not symmetric)
    closed loop:  P_i ← h (Q_i + S_i'F_i + F_i'S_i + F_i'R_i F_i) + A_cl' P_i A_cl

Under open loop `P_i x` is the costate `h (Q_i x + S_i'u_i) + Â' E_t p_{t+1}` of player `i`; under
closed loop `½ x'P_i x` is her value. (Başar, Olsder, *Dynamic Noncooperative Game Theory*,
chapter 6, with the cross terms kept.) Where a player pays for others' controls, row block `i` of
`R` and `S` is that of `R_i` and `S_i`, and in the recursions `F` takes the place of `F_i`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fictitious_play import checks, renamed
from fictitious_play.lq.general.form import TimeStep
from fictitious_play.lq.general.namespace import array_namespace, float64

INFORMATION = ("open_loop", "closed_loop")


def transpose(x: Any) -> Any:
    """The last two axes exchanged."""
    axes = (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2)
    return x.transpose(axes)


def transition(xp: Any, A: Any, h: float) -> Any:
    """`Â = I + h A`."""
    return float64(xp, np.eye(A.shape[-1])) + h * A


def step_matrices(xp: Any, step: TimeStep, h: float, P: Any, owner: np.ndarray) -> tuple[Any, Any]:
    """`R + h Π B` of shape `(..., K, K)` and `S + Π Â` of shape `(..., K, n)`."""
    own = xp.take(P, owner, axis=-3)
    pi = (transpose(step.B)[..., :, None, :] @ own)[..., 0, :]
    return step.R + h * (pi @ step.B), step.S + pi @ transition(xp, step.A, h)


def running_weight(step: TimeStep, F: Any, owner: np.ndarray, own_sensitivity_only: bool) -> Any:
    """`Q_i + S_i'F_i`, or with `+ F_i'S_i + F_i'R_i F_i`, shape `(..., players, n, n)`.

    Where a player pays for others' controls, `F` in place of `F_i`.
    """
    if step.S_all is not None:
        whole = F[..., None, :, :]
        cross = transpose(step.S_all) @ whole
        if own_sensitivity_only:
            return step.Q + cross
        return step.Q + cross + transpose(cross) + transpose(whole) @ (step.R_all @ whole)
    rows, present = own_rows(owner)
    S_own, F_own = step.S[..., rows, :] * present, F[..., rows, :] * present
    cross = transpose(S_own) @ F_own
    if own_sensitivity_only:
        return step.Q + cross
    R_own = step.R[..., rows[:, :, None], rows[:, None, :]]
    return step.Q + cross + transpose(cross) + transpose(F_own) @ (R_own @ F_own)


def own_rows(owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each player's entries of the stacked control, padded to the largest control.

    Returns:
        Indices `(players, k)` and a mask `(players, k, 1)`, zero where an index is padding.
    """
    counts = np.bincount(owner)
    starts = np.cumsum(counts) - counts
    place = np.arange(counts.max())
    present = place < counts[:, None]
    return np.where(present, starts[:, None] + place, 0), present[:, :, None].astype(np.float64)


def backward_step(
    xp: Any, step: TimeStep, h: float, P: Any, F: Any, owner: np.ndarray, structure: str
) -> Any:
    """`P_i(t)` from `P_i(t+1)` and the gain, shape `(..., players, n, n)`."""
    A_hat = transition(xp, step.A, h)
    A_cl = (A_hat + h * (step.B @ F))[..., None, :, :]
    if structure == "open_loop":
        return h * running_weight(step, F, owner, True) + transpose(A_hat)[..., None, :, :] @ (
            P @ A_cl
        )
    return h * running_weight(step, F, owner, False) + transpose(A_cl) @ (P @ A_cl)


@dataclass(frozen=True, eq=False)
class DiscreteNashBatch:
    """Discrete equilibria of a batch of games, batch axes `(...)` first.

    Attributes:
        cost: `(..., players)`.
        gains: `(..., steps, K, n)`.
        determinant: `(..., steps)`, `det(R + h Π_t B)/det R`. Where it is not positive the
            continuous-time solution has escaped to infinity in that step.
        exists: `(...)`, whether there is one equilibrium: every player's own problem is strictly
            convex and no determinant is zero. Where not, the other numbers mean nothing.
    """

    cost: Any
    gains: Any
    determinant: Any
    exists: Any


@renamed.argument("information", "information_structure")
def discrete_nash_batch(
    A: Any,
    B: Any,
    Q: Any,
    S: Any,
    R: Any,
    G: Any,
    L: Any,
    *,
    horizon: float,
    steps: int,
    initial_mean: Any,
    initial_covariance: Any,
    information_structure: str = "open_loop",
    discount: float = 0.0,
) -> DiscreteNashBatch:
    """Discrete Nash equilibria of many games with equal sizes at once.

    Args:
        A: `(..., n, n)`.
        B: `(..., players, n, k)`.
        Q, G: `(..., players, n, n)`, symmetric.
        S: `(..., players, k, n)`, or `(..., players, K, n)` with the others' controls.
        R: `(..., players, k, k)`, symmetric positive definite, or `(..., players, K, K)`.
        L: `(..., n, m)`.
        horizon, steps: Common to the batch.
        initial_mean: `(..., n)`.
        initial_covariance: `(..., n, n)`.
        information_structure: `"open_loop"` or `"closed_loop"`.
        discount: Rate `ρ`, common to the batch.

    Returns:
        `DiscreteNashBatch`, in the arrays of the inputs' library. Values are not inspected, so that
        the function can be compiled; `exists` says which games have an equilibrium.
    """
    checks.one_of("information_structure", information_structure, INFORMATION)
    horizon, steps = checks.number("horizon", horizon, above=0.0), checks.integer("steps", steps, 1)
    named = {"A": A, "B": B, "Q": Q, "S": S, "R": R, "G": G, "L": L}
    named |= {"initial_mean": initial_mean, "initial_covariance": initial_covariance}
    xp = array_namespace(*named.values())
    named = {name: float64(xp, value) for name, value in named.items()}
    A, B, Q, S, R, G, L, initial_mean, initial_covariance = named.values()
    if B.ndim < 3 or A.ndim < 2:
        raise ValueError(
            "`A` must have the shape (..., n, n) and `B` (..., players, n, k). "
            f"Received: {A.shape} and {B.shape}"
        )
    players, n, k = B.shape[-3:]
    K = players * k
    whole = K if S.shape[-2] == K and R.shape[-1] == K else k
    expected = {
        "A": (n, n),
        "Q": (players, n, n),
        "S": (players, whole, n),
        "R": (players, whole, whole),
        "G": (players, n, n),
        "initial_mean": (n,),
        "initial_covariance": (n, n),
    }
    for name, shape in expected.items():
        if named[name].shape[-len(shape) :] != shape:
            raise ValueError(
                f"`{name}` must have the shape (..., {', '.join(map(str, shape))}). "
                f"Received: shape {named[name].shape}"
            )
    h, worth = (
        horizon / steps,
        float(np.exp(-checks.number("discount", discount) * horizon / steps)),
    )
    owner = np.repeat(np.arange(players), k)
    own = np.arange(K).reshape(players, k)
    each = np.arange(players)[:, None]
    if whole == k:
        same = float64(xp, np.eye(players))
        blocks = same[:, None, :, None] * R[..., :, :, None, :]
        S_rows, R_rows = S, xp.reshape(blocks, (*R.shape[:-3], players, k, K))
    else:
        S_rows, R_rows = S[..., each, own, :], R[..., each, own, :]
    step = TimeStep(
        A=A,
        B=xp.reshape(xp.moveaxis(B, -3, -2), (*B.shape[:-3], n, K)),
        Q=Q,
        S=xp.reshape(S_rows, (*S.shape[:-3], K, n)),
        R=xp.reshape(R_rows, (*R.shape[:-3], K, K)),
        L=L,
        S_all=None if whole == k else S,
        R_all=None if whole == k else R,
    )
    covariance = h * (L @ transpose(L))
    sign_R, log_R = xp.linalg.slogdet(step.R)
    A_hat = transition(xp, A, h)[..., None, :, :]
    # Of each player's own problem: its Riccati matrix and the curvature in her own controls.
    R_own = step.R[..., own[:, :, None], own[:, None, :]]
    P, value, alone = G, G, G
    cost = 0.0 * xp.sum(G, axis=(-1, -2))
    gains, determinants, convex = [], [], []
    for _ in range(steps):
        # In values of the step that begins.
        P, value, alone, cost = worth * P, worth * value, worth * alone, worth * cost
        M, rhs = step_matrices(xp, step, h, P, owner)
        F = -xp.linalg.solve(M, rhs)
        sign, log_M = xp.linalg.slogdet(M)
        curvature = M[..., own[:, :, None], own[:, None, :]]
        if information_structure == "open_loop":
            curvature = R_own + h * (transpose(B) @ alone @ B)
            row = S_rows + transpose(B) @ alone @ A_hat
            ahead = h * Q + transpose(A_hat) @ alone @ A_hat
            alone = ahead - h * (transpose(row) @ xp.linalg.solve(curvature, row))
        convex.append(xp.all(xp.linalg.eigvalsh(curvature) > 0.0, axis=(-1, -2)))
        cost = cost + 0.5 * xp.sum(value * covariance[..., None, :, :], axis=(-1, -2))
        value = backward_step(xp, step, h, value, F, owner, "closed_loop")
        P = backward_step(xp, step, h, P, F, owner, information_structure)
        gains.append(F)
        determinants.append(sign * sign_R * xp.exp(log_M - log_R))
    second = initial_covariance + initial_mean[..., :, None] * initial_mean[..., None, :]
    cost = cost + 0.5 * xp.sum(value * second[..., None, :, :], axis=(-1, -2))
    determinant = xp.stack(determinants[::-1], axis=-1)
    return DiscreteNashBatch(
        cost=cost,
        gains=xp.stack(gains[::-1], axis=-3),
        determinant=determinant,
        exists=xp.all((determinant != 0.0) & xp.stack(convex, axis=-1), axis=-1),
    )
