"""Parameters of the symmetric inter-bank game, for which closed forms exist."""

from dataclasses import dataclass, fields
from typing import Any

from fictitious_play.lq.general.namespace import array_namespace, float64


@dataclass(frozen=True, eq=False)
class SymmetricParameters:
    """The symmetric inter-bank game, or a whole batch of them.

    Every field is a number or an array, NumPy or JAX, and all of them broadcast. Values are not
    inspected, so that the formulas can be traced and compiled; `inter_bank_form` inspects them.
    `players=inf` is the mean-field limit.

    Attributes:
        players: `N`.
        horizon: `T`.
        a, q, epsilon, c: Rate of mean reversion and the costs' weights.
        sigma, rho: Volatility, and the common noise's share.
        initial_spread: `E (X̄_0 - X^i_0)²`, a number or one per player (players on the last axis,
            the other fields then with an axis of length one in that place).
    """

    players: Any
    horizon: Any
    a: Any
    q: Any
    epsilon: Any
    c: Any
    sigma: Any = 1.0
    rho: Any = 0.0
    initial_spread: Any = 0.0

    def arrays(self) -> tuple[Any, "SymmetricParameters"]:
        """The array namespace, and the same parameters as float64 arrays of it."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        xp = array_namespace(*values.values())
        return xp, SymmetricParameters(**{k: float64(xp, v) for k, v in values.items()})

    @property
    def kappa(self) -> Any:
        """`κ = 1 - 1/N`: how much of her own control a player sees in `X̄ - X^i`."""
        return 1.0 - 1.0 / self.players

    @property
    def D(self) -> Any:
        """`D = ε - q²`, the strength of the running cost beyond convexity."""
        return self.epsilon - self.q * self.q

    @property
    def noise_intensity(self) -> Any:
        """`σ² (1-ρ²) κ`, the variance rate of `X̄ - X^i`: the common noise cancels in it."""
        return self.sigma**2 * (1.0 - self.rho**2) * self.kappa
