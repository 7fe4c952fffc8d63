"""A flock: a game of vector states with costs that are not quadratic and noise that grows."""

from typing import Any

import keras
import numpy as np
from keras import ops

from fictitious_play import checks
from fictitious_play.games.base import Game, constant
from fictitious_play.tensors import Tensor


@keras.saving.register_keras_serializable(package="fictitious_play")
class FlockingGame(Game):
    """Birds that align their velocity with that of the birds near them, at the price of effort.

    Bird i has a position x^i and a velocity v^i in d dimensions and chooses her acceleration u^i:

        dx^i = v^i dt,      dv^i = u^i dt + σ √(1 + γ |v^i|²) dW^i
        m^i  = (1/N) Σ_j w(|x^j - x^i|) (v^j - v^i),      w(r) = (1 + r²/ℓ²)^{-β}
        f^i  = ½ |u^i|² + ½ κ |m^i|²,      g^i = ½ c |m^i|²

    That is the flocking model of Cucker and Smale (2007) as a game (Nourian, Caines and Malhamé
    2011), with the multiplicative noise of Ahn and Ha (2010). How much birds matter to each other
    depends on their distance, so costs are no quadratic functions and no closed form is known. For
    β = 0 and γ = 0 every coordinate of the velocities is an inter-bank game with a = q = 0.

    The state is (x^1, v^1, x^2, v^2, …), d numbers each; the noise has a common column 0, which no
    bird feels, and then d columns a bird.

    Args:
        players: number of birds N, at least 2.
        horizon, steps: T > 0 and the number of Euler steps.
        dimensions: d, at least 1.
        alignment: κ, ≥ 0, weight of the running cost of misalignment.
        terminal_alignment: c, ≥ 0.
        decay: β, ≥ 0.
        reach: ℓ > 0, in units of position.
        sigma: σ, ≥ 0.
        turbulence: γ, ≥ 0.
        initial_mean, initial_std: of the state; scalars or 2 d N values.

    Raises:
        ValueError, TypeError: where an argument breaks a rule above.
    """

    def __init__(
        self,
        players: int = 5,
        horizon: float = 1.0,
        steps: int = 20,
        dimensions: int = 2,
        alignment: float = 4.0,
        terminal_alignment: float = 4.0,
        decay: float = 1.0,
        reach: float = 1.0,
        sigma: float = 0.5,
        turbulence: float = 0.5,
        initial_mean: Any = 0.0,
        initial_std: Any = 1.0,
    ):
        players = checks.integer("players", players, least=2)
        self.dimensions = checks.integer("dimensions", dimensions, least=1)
        super().__init__(
            players,
            horizon,
            steps,
            state_size=2 * self.dimensions * players,
            control_size=self.dimensions,
            noise_size=1 + self.dimensions * players,
            initial_mean=initial_mean,
            initial_std=initial_std,
        )
        self.alignment = checks.number("alignment", alignment, least=0.0)
        self.terminal_alignment = checks.number("terminal_alignment", terminal_alignment, least=0.0)
        self.decay = checks.number("decay", decay, least=0.0)
        self.reach = checks.number("reach", reach, above=0.0)
        self.sigma = checks.number("sigma", sigma, least=0.0)
        self.turbulence = checks.number("turbulence", turbulence, least=0.0)

    def positions_and_velocities(self, states: Tensor) -> tuple:
        """Both as (..., players, dimensions)."""
        shape = (*ops.shape(states)[:-1], self.players, 2, self.dimensions)
        birds = ops.reshape(states, shape)
        return birds[..., 0, :], birds[..., 1, :]

    def misalignment(self, states: Tensor) -> Any:
        """m^i of every bird, (..., players, dimensions)."""
        position, velocity = self.positions_and_velocities(states)

        def differences(values: Any) -> Any:  # entry (i, j) is the value of j less that of i
            return ops.expand_dims(values, -3) - ops.expand_dims(values, -2)

        apart = ops.sum(ops.square(differences(position)), axis=-1, keepdims=True)
        weight = ops.exp(-self.decay * ops.log1p(apart / self.reach**2))
        return ops.mean(weight * differences(velocity), axis=-2)

    def drift(self, time: Tensor, states: Tensor, controls: Tensor) -> Tensor:
        _, velocity = self.positions_and_velocities(states)
        # Adding zeros brings both to their common leading axes.
        parts = [velocity + 0.0 * controls, controls + 0.0 * velocity]
        moved = ops.stack(parts, axis=-2)
        return ops.reshape(moved, (*ops.shape(moved)[:-3], self.state_size))

    def diffusion(self, time: Tensor, states: Tensor, controls: Tensor) -> Tensor:
        _, velocity = self.positions_and_velocities(states)
        speed = ops.sum(ops.square(velocity), axis=-1)
        volatility = self.sigma * ops.sqrt(1.0 + self.turbulence * speed)
        per_state = ops.repeat(volatility, 2 * self.dimensions, axis=-1)
        return ops.expand_dims(per_state, -1) * constant(self._places, states)

    def running_cost(self, time: Tensor, states: Tensor, controls: Tensor) -> Tensor:
        effort = 0.5 * ops.sum(ops.square(controls), axis=-1)
        return effort + 0.5 * self.alignment * self._squared_misalignment(states)

    def terminal_cost(self, states: Tensor) -> Tensor:
        return 0.5 * self.terminal_alignment * self._squared_misalignment(states)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for name in ("state_size", "control_size", "noise_size"):
            del config[name]
        names = ("dimensions", "alignment", "terminal_alignment", "decay", "reach", "sigma",
                 "turbulence")  # fmt: skip
        return {**config, **{name: getattr(self, name) for name in names}}

    def _squared_misalignment(self, states: Tensor) -> Any:
        return ops.sum(ops.square(self.misalignment(states)), axis=-1)

    @property
    def _places(self) -> np.ndarray:
        """(state_size, noise_size): which noise moves which velocity."""
        velocities = np.kron(np.eye(self.players), np.array([[0.0], [1.0]]))
        own = np.kron(velocities, np.eye(self.dimensions))
        return np.hstack([np.zeros((self.state_size, 1)), own])
