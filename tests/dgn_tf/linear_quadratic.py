"""Linear-quadratic games with known solutions.

The dynamics are ``x_{t+1} = A x_t + Σ_n B_n u_{t,n}``, the cost that all players pay is

    ½ Σ_{t<T} (x_t'Q x_t + Σ_n u_{t,n}'R_n u_{t,n}) + ½ x_T'Q_T x_T

and policies read ``u_{t,n} = -K_{t,n} x_t``. The controls stand for a network's weights, Q for a
running cost of the state and R_n for weight decay, so that the recursions of
:mod:`dgn_tf.recursion.dense` can be held against solutions that are found otherwise: the Riccati
difference equation, scipy's algebraic Riccati equation, and the coupled Riccati equations of the
feedback Nash game (Başar and Olsder, *Dynamic Noncooperative Game Theory*, chapter 6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import tensorflow as tf

from dgn_tf.recursion.linear_game import DenseStage


@dataclass(frozen=True)
class LQGame:
    """A time-invariant linear-quadratic game with one cost.

    Attributes:
        A: ``(n, n)``.
        B: for every player ``(n, p)``.
        Q: ``(n, n)``, cost of the state, positive semidefinite.
        R: for every player ``(p, p)``, cost of its controls, positive definite.
        Q_T: ``(n, n)``, cost of the final state.
        horizon: T, the number of stages.

    Raises:
        ValueError: for shapes that do not fit, or a horizon below one.
    """

    A: np.ndarray
    B: Sequence[np.ndarray]
    Q: np.ndarray
    R: Sequence[np.ndarray]
    Q_T: np.ndarray
    horizon: int

    def __post_init__(self):
        n = np.shape(self.A)[0]
        square = all(np.shape(matrix) == (n, n) for matrix in (self.A, self.Q, self.Q_T))
        if not square or len(self.B) != len(self.R) or not self.B:
            raise ValueError(
                "A, Q and Q_T must be square matrices of one size, with one B and one R "
                f"per player. Received: A {np.shape(self.A)}, "
                f"Q {np.shape(self.Q)}, Q_T {np.shape(self.Q_T)}, "
                f"{len(self.B)} B, {len(self.R)} R."
            )
        for B, R in zip(self.B, self.R, strict=True):
            if np.shape(B)[0] != n or np.shape(R) != (np.shape(B)[1],) * 2:
                raise ValueError(
                    "Every player needs B (n, p) and R (p, p). Received: "
                    f"B {np.shape(B)}, R {np.shape(R)}, n = {n}."
                )
        if self.horizon < 1:
            raise ValueError(f"`horizon` must be at least 1. Received: {self.horizon}.")

    @property
    def team(self) -> LQGame:
        """The same problem for one player who holds all controls: B = [B_1 … B_N]."""
        B, R = np.concatenate(self.B, axis=1), scipy.linalg.block_diag(*self.R)
        return LQGame(self.A, [B], self.Q, [R], self.Q_T, self.horizon)

    def only(self, player: int) -> LQGame:
        """The single-player problem (A, B_n), the others' controls held at zero."""
        return LQGame(self.A, [self.B[player]], self.Q, [self.R[player]], self.Q_T, self.horizon)

    def cost(self, x0: np.ndarray, controls: Sequence[Sequence[np.ndarray]]) -> float:
        """The cost of ``controls[t][n]`` from ``(n,)`` x0."""
        x, total = np.asarray(x0, float), 0.0
        for stage in controls:
            total += 0.5 * x @ self.Q @ x
            total += 0.5 * sum(u @ R @ u for u, R in zip(stage, self.R, strict=True))
            x = self.A @ x + sum(B @ u for B, u in zip(self.B, stage, strict=True))
        return float(total + 0.5 * x @ self.Q_T @ x)

    def states(self, x0, controls) -> list[np.ndarray]:
        """The T + 1 states under ``controls[t][n]``."""
        states = [np.asarray(x0, float)]
        for stage in controls:
            moved = sum(B @ u for B, u in zip(self.B, stage, strict=True))
            states.append(self.A @ states[-1] + moved)
        return states

    def expand(self, x0, controls) -> tuple[list[DenseStage], tf.Tensor, tf.Tensor]:
        """The game about a trajectory, as the dense recursion takes it.

        Returns:
            The stages, and the gradient and Hessian of the terminal cost.
        """
        states = self.states(x0, controls)
        stages = [
            DenseStage(
                F_x=tf.constant(self.A),
                F_n=[tf.constant(B) for B in self.B],
                l_u=[tf.constant(R @ u) for R, u in zip(self.R, stage, strict=True)],
                l_uu=[tf.constant(R) for R in self.R],
                l_x=tf.constant(self.Q @ x),
                l_xx=tf.constant(self.Q),
            )
            for x, stage in zip(states, controls, strict=False)
        ]
        return stages, tf.constant(self.Q_T @ states[-1]), tf.constant(self.Q_T)


@dataclass(frozen=True)
class LQSolution:
    """Gains and value functions of a linear-quadratic game.

    Attributes:
        K: ``K[t][n]`` of shape ``(p, n)``.
        P: ``P[t]`` of shape ``(n, n)`` for t = 0 … T, the common value function ``½ x'P x`` (one a
            player for the feedback Nash equilibrium, in a list).
    """

    K: list[list[np.ndarray]]
    P: list


def riccati(game: LQGame) -> LQSolution:
    """The team optimum by the finite-horizon Riccati difference equation.

    ``K = (R + B'P B)⁻¹ B'P A``, ``P ← Q + A'P (A - B K)`` on the stacked controls.
    """
    team = game.team
    B, R = team.B[0], team.R[0]
    sizes = np.cumsum([b.shape[1] for b in game.B])[:-1]
    P, gains = [np.asarray(game.Q_T, float)], []
    for _ in range(game.horizon):
        ahead = P[-1]
        K = np.linalg.solve(R + B.T @ ahead @ B, B.T @ ahead @ game.A)
        P.append(game.Q + game.A.T @ ahead @ (game.A - B @ K))
        gains.append(np.split(K, sizes))
    return LQSolution(gains[::-1], P[::-1])


def infinite_horizon(game: LQGame) -> np.ndarray:
    """P of the team problem without end, ``(n, n)``: scipy's algebraic Riccati equation."""
    team = game.team
    return scipy.linalg.solve_discrete_are(game.A, team.B[0], game.Q, team.R[0])


def feedback_nash(game: LQGame) -> LQSolution:
    """The feedback Nash equilibrium of players who each minimise their own share of the cost.

    Player n pays for the state and for its own controls, not for the others'. Stage by stage the
    gains solve ``(R_n + B_n'P_n B_n) K_n + B_n'P_n Σ_{m≠n} B_m K_m = B_n'P_n A`` together, and
    ``P_n ← Q + K_n'R_n K_n + F'P_n F`` with ``F = A - Σ B_m K_m`` (Başar and Olsder, corollary
    6.1).
    """
    players = range(len(game.B))
    P = [[np.asarray(game.Q_T, float)] * len(game.B)]
    gains = []
    sizes = np.cumsum([b.shape[1] for b in game.B])[:-1]
    for _ in range(game.horizon):
        ahead = P[-1]
        rows = [
            np.concatenate(
                [
                    game.B[n].T @ ahead[n] @ game.B[m] + (game.R[n] if m == n else 0.0)
                    for m in players
                ],
                axis=1,
            )
            for n in players
        ]
        right = np.concatenate([game.B[n].T @ ahead[n] @ game.A for n in players])
        K = np.split(np.linalg.solve(np.concatenate(rows), right), sizes)
        closed = game.A - sum(B @ gain for B, gain in zip(game.B, K, strict=True))
        P.append(
            [game.Q + K[n].T @ game.R[n] @ K[n] + closed.T @ ahead[n] @ closed for n in players]
        )
        gains.append(K)
    return LQSolution(gains[::-1], P[::-1])
