"""The linear-quadratic inter-bank game of Carmona, Fouque and Sun (2015)."""

from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops

from fictitious_play import checks, lq, rollout
from fictitious_play.games import superposition
from fictitious_play.games.base import Game, constant
from fictitious_play.tensors import Tensor


@keras.saving.register_keras_serializable(package="fictitious_play")
class InterBankGame(Game):
    """Banks that lend to and borrow from each other at a controlled rate.

    With m^i = Σ_j W_ij X^j, the mean that bank i looks at (Hu 2019, Section 3):

        dX^i = [a_i (m^i - X^i) + α^i] dt + σ_i (ρ dW^0 + √(1-ρ²) dW^i)
        f^i  = ½ (α^i)² - q_i α^i (m^i - X^i) + ½ ε_i (m^i - X^i)²
        g^i  = ½ c_i (m^i - X^i)²

    Args:
        players: number of banks N, at least 2.
        horizon, steps: T > 0 and the number of Euler steps.
        a: rate of mean reversion, ≥ 0, per unit of time.
        q: incentive to borrow or lend, ≥ 0, with q² ≤ ε.
        epsilon, c: running and terminal weight on the distance from the mean, ≥ 0.
        sigma: volatility of the log-reserves, ≥ 0, per square root of the unit of time.
        rho: weight of the common noise, |ρ| ≤ 1.
        weights: W, (players, players); None means 1/N everywhere.
        initial_mean, initial_std: X_0^i ~ N(initial_mean_i, initial_std_i²), independent.
        control_bounds: as in `Game`; the game then has no exact solution.

        a, q, epsilon, c, sigma and the initial law are scalars or hold one value per player.

    Raises:
        ValueError, TypeError: where an argument breaks a rule above.
    """

    def __init__(
        self,
        players: int = 10,
        horizon: float = 1.0,
        steps: int = 20,
        a: Any = 0.1,
        q: Any = 0.1,
        epsilon: Any = 0.5,
        c: Any = 0.5,
        sigma: Any = 1.0,
        rho: float = 0.0,
        weights: Any = None,
        initial_mean: Any = 0.0,
        initial_std: Any = 0.5,
        control_bounds: Any = None,
    ):
        players = checks.integer("players", players, least=2)
        super().__init__(
            players,
            horizon,
            steps,
            initial_mean=initial_mean,
            initial_std=initial_std,
            control_bounds=control_bounds,
        )
        for name, value in (
            ("a", a), ("q", q), ("epsilon", epsilon), ("c", c), ("sigma", sigma)
        ):  # fmt: skip
            setattr(self, name, checks.per_item(name, value, players, least=0.0))
        if np.any(self.epsilon < self.q**2 * (1.0 - 1e-14)):  # 0.4² is not 0.16 in floats
            raise ValueError(
                "`epsilon` must be at least q², or the running cost is not convex. "
                f"Received: epsilon={epsilon!r}, q={q!r}"
            )
        self.epsilon = np.maximum(self.epsilon, self.q**2)
        self.rho = checks.number("rho", rho, least=-1.0, most=1.0)
        self.uniform_weights = weights is None
        if weights is None:
            self.weights = np.full((players, players), 1.0 / players)
        else:
            self.weights = checks.shaped("weights", weights, (players, players))

    a: np.ndarray
    q: np.ndarray
    epsilon: np.ndarray
    c: np.ndarray
    sigma: np.ndarray

    def mean_weights(self) -> Any:
        return None if self.uniform_weights else self.weights

    def distance(self, states: Tensor) -> Any:
        """m^i - X^i of every player, (..., players)."""
        if self.uniform_weights:
            return ops.mean(states, axis=-1, keepdims=True) - states
        return ops.matmul(states, constant(self.weights.T, states)) - states

    def drift(self, time: Tensor, states: Tensor, controls: Tensor) -> Tensor:
        return constant(self.a, states) * self.distance(states) + controls[..., 0]

    def diffusion(self, time: Tensor, states: Tensor, controls: Tensor) -> Tensor:
        return constant(self._diffusion, states)

    def running_cost(self, time: Tensor, states: Tensor, controls: Tensor) -> Tensor:
        return self._running(self.distance(states), controls[..., 0])

    def terminal_cost(self, states: Tensor) -> Tensor:
        return self._terminal(self.distance(states))

    @property
    def is_linear_quadratic(self) -> bool:
        law = superposition.keeps(self, InterBankGame, ("initial_states",))
        return self.control_bounds is None and self._is_plain and law

    @property
    def symmetric_parameters(self) -> lq.SymmetricParameters | None:
        """The parameters of the symmetric game, whose exact solution needs no matrices; None
        where players or weights differ."""
        vectors = (self.a, self.q, self.epsilon, self.c, self.sigma)
        if not (self.uniform_weights and self.is_linear_quadratic) or any(map(np.ptp, vectors)):
            return None
        mean, variance = self.initial_mean, self.initial_std**2
        spread = (mean.mean() - mean) ** 2 + variance.sum() / self.players**2
        spread = spread + (1.0 - 2.0 / self.players) * variance
        a, q, epsilon, c, sigma = (float(vector[0]) for vector in vectors)
        return lq.SymmetricParameters(
            self.players, self.horizon, a, q, epsilon, c, sigma, self.rho, spread
        )

    def linear_quadratic_form(self) -> Any:
        if not self.is_linear_quadratic:
            return None
        return lq.inter_bank_form(
            players=self.players,
            horizon=self.horizon,
            steps=self.steps,
            a=self.a,
            q=self.q,
            epsilon=self.epsilon,
            c=self.c,
            sigma=self.sigma,
            rho=self.rho,
            weights=None if self.uniform_weights else self.weights,
            initial_mean=self.initial_mean,
            initial_std=self.initial_std,
        )

    def deviation_costs(
        self, initial_state: Tensor, own: Tensor, others: Tensor, noise: Tensor
    ) -> Tensor:
        """As in `Game.deviation_costs`, by superposition: player i's cost sees the state through
        m^i - X^i only."""
        if not self._is_plain:
            return super().deviation_costs(initial_state, own, others, noise)
        states = rollout.joint_states(self, initial_state, others, noise)
        distance = superposition.deviated_views(
            self.distance(states)[..., None], self._responses, own - others
        )[..., 0]
        running = self._running(distance[:, :-1], own[..., 0])
        return self.step_size * ops.sum(running, axis=1) + self._terminal(distance[:, -1])

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for name in ("state_size", "control_size", "noise_size"):
            del config[name]
        for name in ("a", "q", "epsilon", "c", "sigma"):
            config[name] = getattr(self, name).tolist()
        weights = None if self.uniform_weights else self.weights.tolist()
        return {**config, "rho": self.rho, "weights": weights}

    def _running(self, distance: Any, control: Any) -> Any:
        q, epsilon = constant(self.q, distance), constant(self.epsilon, distance)
        return 0.5 * ops.square(control) + distance * (0.5 * epsilon * distance - q * control)

    def _terminal(self, distance: Any) -> Any:
        return 0.5 * constant(self.c, distance) * ops.square(distance)

    @cached_property
    def _diffusion(self) -> np.ndarray:
        common = np.full((self.players, 1), self.rho)
        own = np.sqrt(1.0 - self.rho**2) * np.eye(self.players)
        return self.sigma[:, None] * np.hstack([common, own])

    @cached_property
    def _responses(self) -> np.ndarray:
        """Impulse responses in m^i - X^i = ζ_i X with ζ = W - I, where dX = diag(a) ζ X dt + …"""
        eye = np.eye(self.players)
        zeta = self.weights - eye
        return superposition.impulse_responses(
            self.a[:, None] * zeta, eye[:, :, None], zeta[:, None], self.step_size, self.steps
        )

    @property
    def _is_plain(self) -> bool:
        names = ("distance", "drift", "diffusion", "running_cost", "terminal_cost", "euler_step",
                 "_running", "_terminal")  # fmt: skip
        return superposition.keeps(self, InterBankGame, names)
