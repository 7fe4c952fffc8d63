"""The base class of stochastic differential games in Euler's time discretisation."""

from typing import Any

import numpy as np
from keras import ops

from fictitious_play import checks, rollout
from fictitious_play.games.frozen import Frozen, kept
from fictitious_play.tensors import Tensor


class Game(metaclass=Frozen):
    """N players who steer one state, each at a cost of her own.

    In continuous time (Hu 2019, Section 2)

        dX = b(t, X, α) dt + σ(t, X, α) dW,
        J^i(α) = E[ ∫_0^T f^i(t, X, α) dt + g^i(X_T) ],

    and in Euler's discretisation with `steps` steps of length h = horizon / steps
    X_{t+1} = X_t + h b + σ ΔW_t, the running cost summed at the left points.

    A game of one's own overrides `drift`, `diffusion`, `running_cost` and `terminal_cost`, written
    in `keras.ops` so that they run on every backend, and `get_config` where its constructor takes
    other arguments. All four take arrays with any leading axes, written `...` below; the arrays of
    one call broadcast against each other.

    | array | shape |
    |---|---|
    | `time` | t = 0, h, …, horizon - h: a Python float, or a scalar tensor in long roll-outs |
    | `states` | (..., state_size), the states of all players in one vector |
    | `controls` | (..., players, control_size) |
    | Brownian increments | (..., noise_size), variance h, column 0 the common noise |

    A game does not change once its constructor has returned: arrays, lists and dictionaries are
    read-only copies, and setting an attribute raises. Another game is made by the constructor. What
    is worth computing once is a `functools.cached_property`, which still works.

    Args:
        players: number of players N, at least 1.
        horizon: T > 0, in the game's unit of time.
        steps: number N_T of Euler steps, at least 1.
        state_size: size n of the joint state. Defaults to one state per player.
        control_size: size of one player's control.
        noise_size: number of Brownian motions. Defaults to players + 1: one for all, then one per
            player.
        initial_mean, initial_std: X_0 ~ N(initial_mean, diag(initial_std²)); scalars or one value
            per state.
        control_bounds: (low, high) of the controls, scalars or arrays that broadcast to
            (players, control_size), infinite where there is no bound; None for no bounds at all.
            The networks meet them, so that controls are what was played. The exact theory of
            linear-quadratic games knows no bounds: with them, a game has no exact solution.
        control_unit: what a typical control is: a scalar, one value per player, or an array
            (players, control_size). The networks learn in this unit, and hands tremble by it; it
            changes nothing else. None leaves it to the solver, which measures it.

    Raises:
        ValueError, TypeError: for sizes, times, bounds or an initial law that make no game.
    """

    def __init__(
        self,
        players: int,
        horizon: float,
        steps: int,
        state_size: int | None = None,
        control_size: int = 1,
        noise_size: int | None = None,
        initial_mean: Any = 0.0,
        initial_std: Any = 0.0,
        control_bounds: Any = None,
        control_unit: Any = None,
    ):
        self.players = checks.integer("players", players, least=1)
        self.horizon = checks.number("horizon", horizon, above=0.0)
        self.steps = checks.integer("steps", steps, least=1)
        state_size = self.players if state_size is None else state_size
        noise_size = self.players + 1 if noise_size is None else noise_size
        self.state_size = checks.integer("state_size", state_size, least=1)
        self.control_size = checks.integer("control_size", control_size, least=1)
        self.noise_size = checks.integer("noise_size", noise_size, least=1)
        self.initial_mean = checks.per_item("initial_mean", initial_mean, self.state_size, "state")
        self.initial_std = checks.per_item(
            "initial_std", initial_std, self.state_size, "state", least=0.0
        )
        self.control_bounds = checks.bounds(
            "control_bounds", control_bounds, (self.players, self.control_size)
        )
        self.control_unit = checks.control_unit(control_unit, (self.players, self.control_size))

    def __setattr__(self, name: str, value: Any) -> None:
        self._refuse_change(name)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        self._refuse_change(name)
        super().__delattr__(name)

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Copies and pickles come back with arrays that could be written to.
        vars(self).update(kept(state))

    def _refuse_change(self, name: str) -> None:
        if vars(self).get("_is_built", False):
            kind = type(self).__name__
            raise AttributeError(
                "A game must stay as it was built: networks and exact solutions may have used it. "
                f"Received: a change of `{name}` of a {kind}. Make another game with the "
                f"constructor, for example {kind}.from_config({{**game.get_config(), "
                f"{name!r}: ...}}); for a value to compute once, use functools.cached_property."
            )

    @property
    def step_size(self) -> float:
        """h = horizon / steps."""
        return self.horizon / self.steps

    @property
    def controls_shape(self) -> tuple[int, ...]:
        """Shape of one path of everybody's controls, as users see it: (steps, players), with a
        last axis control_size where that is more than 1."""
        last = () if self.control_size == 1 else (self.control_size,)
        return (self.steps, self.players, *last)

    # What a game is

    def drift(self, time: Tensor, states: Tensor, controls: Tensor) -> Tensor:
        """b(t, X, α), (..., state_size)."""
        raise NotImplementedError(f"{type(self).__name__} must define `drift`.")

    def diffusion(self, time: Tensor, states: Tensor, controls: Tensor) -> Tensor:
        """σ(t, X, α), (..., state_size, noise_size); without leading axes where it is constant."""
        raise NotImplementedError(f"{type(self).__name__} must define `diffusion`.")

    def running_cost(self, time: Tensor, states: Tensor, controls: Tensor) -> Tensor:
        """f^i(t, X, α) of every player, (..., players)."""
        raise NotImplementedError(f"{type(self).__name__} must define `running_cost`.")

    def terminal_cost(self, states: Tensor) -> Tensor:
        """g^i(X_T) of every player, (..., players)."""
        raise NotImplementedError(f"{type(self).__name__} must define `terminal_cost`.")

    def initial_states(self, normals: np.ndarray) -> np.ndarray:
        """Turns independent standard normals (batch, state_size) into initial states of the same
        shape. Another initial law overrides this; the units in which networks see X_0 are measured
        on it."""
        return self.initial_mean + self.initial_std * normals

    def mean_weights(self) -> np.ndarray | None:
        """The weights W_ij with which player i sees the mean Σ_j W_ij of everybody's paths, for
        networks with `features="own_and_mean"`: (players, players), or None for 1/N each. A game
        whose players matter to each other through other means than that overrides this."""
        return None

    def linear_quadratic_form(self) -> Any:
        """The game as a `fictitious_play.lq.LinearQuadraticForm`, or None where it is not one."""
        return None

    @property
    def is_linear_quadratic(self) -> bool:
        """Whether `linear_quadratic_form` gives a form; cheaper than asking for it where the
        form is large."""
        return self.linear_quadratic_form() is not None

    # What follows from it

    def euler_step(self, time: Tensor, states: Tensor, controls: Tensor, noise: Tensor) -> Tensor:
        """X_t → X_{t+1}: (..., state_size), with ΔW_t in `noise`, (..., noise_size)."""
        diffusion = self.diffusion(time, states, controls)
        if len(diffusion.shape) == 2:
            shock = ops.matmul(noise, ops.transpose(diffusion))
        else:
            shock = ops.sum(diffusion * ops.expand_dims(noise, -2), axis=-1)
        return states + self.step_size * self.drift(time, states, controls) + shock

    def deviation_costs(
        self, initial_state: Tensor, own: Tensor, others: Tensor, noise: Tensor
    ) -> Tensor:
        """Cost of every player when she alone leaves the others' controls, path by path.

        A game whose structure allows something cheaper than N simulations overrides this.

        Args:
            initial_state: (batch, state_size).
            own, others: (batch, steps, players, control_size); entry i of `own` is what player i
                plays while the others play `others`.
            noise: (batch, steps, noise_size) Brownian increments.

        Returns:
            (batch, players): entry i is J^i(own^i; others^{-i}) along the path.
        """
        return rollout.deviation_costs(self, initial_state, own, others, noise)

    def project(self, controls: Tensor) -> Tensor:
        """The nearest controls within `control_bounds`, (..., players, control_size); the same
        ones where there are no bounds."""
        if self.control_bounds is None:
            return controls
        largest = np.finfo(np.float32).max
        low, high = (np.clip(bound, -largest, largest) for bound in self.control_bounds)
        if isinstance(controls, np.ndarray):
            return np.clip(controls, low.astype(controls.dtype), high.astype(controls.dtype))
        return ops.minimum(ops.maximum(controls, constant(low, controls)), constant(high, controls))

    def stacked_controls(self, controls: Any) -> np.ndarray:
        """Everybody's controls side by side, (batch, steps, Σ k_i), as `fictitious_play.lq` has
        them; of (batch, *controls_shape) or (batch, steps, players, control_size)."""
        array = checks.real_array("controls", controls)
        full = (self.steps, self.players, self.control_size)
        if array.shape[1:] not in (full, self.controls_shape):
            raise ValueError(
                f"`controls` must have the shape (batch, {', '.join(map(str, full))}). "
                f"Received: shape {array.shape}"
            )
        return array.reshape(-1, self.steps, self.players * self.control_size)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, JSON-serialisable."""
        config: dict[str, Any] = {
            "players": self.players,
            "horizon": self.horizon,
            "steps": self.steps,
            "state_size": self.state_size,
            "control_size": self.control_size,
            "noise_size": self.noise_size,
            "initial_mean": self.initial_mean.tolist(),
            "initial_std": self.initial_std.tolist(),
        }
        if self.control_bounds is not None:
            config["control_bounds"] = [bound.tolist() for bound in self.control_bounds]
        if self.control_unit is not None:
            config["control_unit"] = self.control_unit.tolist()
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Game":
        return cls(**config)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(players={self.players}, horizon={self.horizon:g}, "
            f"steps={self.steps})"
        )


def constant(value: np.ndarray, like: Any) -> Any:
    """A numpy constant as a tensor of the dtype of `like`."""
    return ops.convert_to_tensor(value, dtype=ops.dtype(like))
