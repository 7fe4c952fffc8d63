"""Investors who compare themselves with each other: a game whose equilibrium is known otherwise."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from fictitious_play import checks
from fictitious_play.games.base import Game, constant
from fictitious_play.tensors import Tensor


@dataclass(frozen=True, eq=False)
class PortfolioEquilibrium:
    """The constant equilibrium of a `PortfolioGame`.

    Attributes:
        investment: (players,) π^i, the money in the risky asset at all times.
        cost: (players,) expected costs J^i.
        certainty_equivalent: (players,) -δ_i log J^i, in units of money.
    """

    investment: np.ndarray
    cost: np.ndarray
    certainty_equivalent: np.ndarray


@keras.saving.register_keras_serializable(package="fictitious_play")
class PortfolioGame(Game):
    """Portfolio choice under exponential utility of relative wealth.

    The game of Lacker and Zariphopoulou (2019, Section 2). Investor i holds π^i in an asset of her
    own, with a share of common noise, and cares about her wealth less θ_i times the average:

        dX^i = π^i (μ_i dt + ν_i dW^i + σ_i dW^0)
        J^i  = E exp(-(X^i_T - θ_i X̄_T)/δ_i)

    Controls enter the diffusion and costs are exponential. Where the others' investments are
    constant, J^i is a product over the steps, so the best response is constant too, whatever the
    step size: minimising the Gaussian exponent of a constant π^i gives

        (1 - θ_i/N) (ν_i² + σ_i²) π^i - (θ_i/N) σ_i Σ_{k≠i} σ_k π^k = δ_i μ_i.

    With S = (1/N) Σ_k σ_k π^k and D_i = σ_i² + (1 - θ_i/N) ν_i² this is
    π^i = (δ_i μ_i + θ_i σ_i S)/D_i, and S follows from a linear equation. As N → ∞ the θ_i/N
    vanish. The equilibrium is the same in discrete and in continuous time.

    Args:
        players: number of investors N, at least 2.
        horizon, steps: T > 0 and the number of Euler steps.
        mu: excess return μ, per unit of time.
        nu, sigma: volatility of the own and of the common noise, ≥ 0, not both zero.
        delta: risk tolerance δ > 0, in units of money.
        theta: weight of the comparison, 0 ≤ θ ≤ 1.
        initial_mean, initial_std: of the wealth.

        mu, nu, sigma, delta, theta and the initial law are scalars or hold one value per player.

    Raises:
        ValueError, TypeError: where an argument breaks a rule above, or no equilibrium exists
            because (1/N) Σ θ_k σ_k²/D_k = 1: everybody copies the others and nobody has noise of
            her own.
    """

    def __init__(
        self,
        players: int = 5,
        horizon: float = 1.0,
        steps: int = 10,
        mu: Any = 0.3,
        nu: Any = 0.5,
        sigma: Any = 0.5,
        delta: Any = 1.0,
        theta: Any = 0.7,
        initial_mean: Any = 0.0,
        initial_std: Any = 0.0,
    ):
        players = checks.integer("players", players, least=2)
        super().__init__(
            players, horizon, steps, initial_mean=initial_mean, initial_std=initial_std
        )
        self.mu = checks.per_item("mu", mu, players)
        self.nu = checks.per_item("nu", nu, players, least=0.0)
        self.sigma = checks.per_item("sigma", sigma, players, least=0.0)
        self.delta = checks.per_item("delta", delta, players, least=0.0)
        self.theta = checks.per_item("theta", theta, players, least=0.0)
        if np.any(self.delta == 0.0):
            raise ValueError(f"`delta` must be greater than 0. Received: delta={delta!r}")
        if np.any(self.theta > 1.0):
            raise ValueError(f"`theta` must be at most 1. Received: theta={theta!r}")
        if np.any(self.nu + self.sigma == 0.0):
            raise ValueError(
                "`nu` and `sigma` must not both be 0, or there is no risk to weigh. "
                f"Received: nu={nu!r}, sigma={sigma!r}"
            )
        self.equilibrium()

    def drift(self, time: Tensor, states: Tensor, controls: Tensor) -> Tensor:
        return constant(self.mu, states) * controls[..., 0]

    def diffusion(self, time: Tensor, states: Tensor, controls: Tensor) -> Tensor:
        investment = controls[..., 0]
        own = constant(np.diag(self.nu), states) * ops.expand_dims(investment, -1)
        common = ops.expand_dims(constant(self.sigma, states) * investment, -1)
        return ops.concatenate([common, own], axis=-1)

    def running_cost(self, time: Tensor, states: Tensor, controls: Tensor) -> Tensor:
        return 0.0 * controls[..., 0]

    def terminal_cost(self, states: Tensor) -> Tensor:
        theta, delta = constant(self.theta, states), constant(self.delta, states)
        average = ops.mean(states, axis=-1, keepdims=True)
        return ops.exp((theta * average - states) / delta)

    def equilibrium(self, mean_field: bool = False) -> PortfolioEquilibrium:
        """The equilibrium with constant investments.

        Args:
            mean_field: whether to take the investments of the limit N → ∞ with the players' types
                as the population, in place of those of the N players.
        """
        share = 0.0 if mean_field else self.theta / self.players
        D = self.sigma**2 + (1.0 - share) * self.nu**2
        slope = 1.0 if np.any(D <= 0.0) else np.mean(self.theta * self.sigma**2 / D)
        if slope >= 1.0 - 1e-12:
            raise ValueError(
                "(1/N) Σ θ σ²/(σ² + (1 - θ/N) ν²) must be below 1, or there is no equilibrium. "
                f"Received: {slope}"
            )
        S = np.mean(self.sigma * self.delta * self.mu / D) / (1.0 - slope)
        return self.constant_profile((self.delta * self.mu + self.theta * self.sigma * S) / D)

    def constant_profile(self, investment: Any) -> PortfolioEquilibrium:
        """What constant investments (players,) cost: J^i is the mean of a log-normal variable."""
        investment = checks.shaped("investment", investment, (self.players,))
        weights = np.eye(self.players) - self.theta[:, None] / self.players
        mean = weights @ (self.initial_mean + self.horizon * self.mu * investment)
        common = weights @ (self.sigma * investment)
        variance = self.horizon * (weights**2 @ (self.nu * investment) ** 2 + common**2)
        variance = variance + weights**2 @ self.initial_std**2
        exponent = variance / (2.0 * self.delta**2) - mean / self.delta
        return PortfolioEquilibrium(investment, np.exp(exponent), -self.delta * exponent)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for name in ("state_size", "control_size", "noise_size"):
            del config[name]
        names = ("mu", "nu", "sigma", "delta", "theta")
        return {**config, **{name: getattr(self, name).tolist() for name in names}}
