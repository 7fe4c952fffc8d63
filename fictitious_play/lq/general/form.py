"""The general finite-horizon linear-quadratic stochastic differential game, as arrays.

    dX  = (A X + Σ_i B_i u_i) dt + L dW,      X_0 with given mean and covariance
    f^i = ½ x'Q_i x + u_i'S_i x + ½ u_i'R_i u_i,      g^i = ½ x'G_i x
    J^i = E[ ∫_0^T e^{-ρt} f^i dt + e^{-ρT} g^i(X_T) ]

A player's running cost may also contain the others' controls: with `u` all controls stacked,
`f^i = ½ x'Q_i x + u'S_i x + ½ u'R_i u` with `S_i` of shape `(K, n)` and `R_i` of `(K, K)`.

and its Euler game, which is what a network plays: `X_{t+1} = X_t + h (A X_t + Σ B_i u_i) + L ΔW_t`
with `ΔW_t ~ N(0, h I)` and the running cost summed at the left point of every step.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from fictitious_play import checks

#: Most that a discount rate may come to over the horizon.
_DISCOUNTED = 200.0


class TimeStep(NamedTuple):
    """The matrices of one time step, with the controls of all players stacked in one vector.

    Costs are discounted to time zero.

    Attributes:
        A: `(n, n)`.
        B: `(n, K)`, the `B_i` side by side.
        Q: `(players, n, n)`.
        S: `(K, n)`; row block i is that of `S_i` which belongs to player i's own controls.
        R: `(K, K)`; row block i is that of `R_i`: block diagonal without costs on others' controls.
        L: `(n, m)`.
        S_all: `(players, K, n)`, or `None` where nobody pays for another's controls.
        R_all: `(players, K, K)`, or `None` likewise.
    """

    A: np.ndarray
    B: np.ndarray
    Q: np.ndarray
    S: np.ndarray
    R: np.ndarray
    L: np.ndarray
    S_all: Any = None
    R_all: Any = None


@dataclass(frozen=True, eq=False)
class LinearQuadraticForm:
    """Matrices of a linear-quadratic game. Arrays are float64 and read-only.

    Any of `A`, `B`, `Q`, `S`, `R`, `L` may have a leading axis of length `steps`; the matrices of
    step `t` then hold on `[t h, (t + 1) h)`. Only the symmetric parts of `Q`, `R` and `G` matter,
    and only they are kept.

    Args:
        A: `(n, n)`.
        B: One `(n, k_i)` matrix per player. Their number is the number of players.
        Q: One `(n, n)` matrix per player.
        S: One `(k_i, n)` matrix per player, or `(K, n)` on the controls of all players, stacked,
            with `K = Σ k_i`; `None` for zero.
        R: One positive definite `(k_i, k_i)` matrix per player, or `(K, K)` on the controls of all,
            whose block of her own is positive definite; `None` for the identity.
        G: One `(n, n)` matrix per player.
        L: `(n, m)`, or `None` for a game without noise (`m = 1`, zero).
        horizon: `T > 0`.
        steps: Number of Euler steps, at least one.
        initial_mean: `(n,)`.
        initial_covariance: `(n, n)`, positive semidefinite.
        symmetric_parameters: `SymmetricParameters` where the game is the symmetric inter-bank game,
            whose continuous-time equilibria then come from closed forms. `None` otherwise.
        discount: `ρ`, the rate at which costs are discounted: `e^{-ρt}` at the left point of every
            step and `e^{-ρT}` at the end.

    Raises:
        ValueError: Where a shape does not fit, an entry is not finite, an `R_i` is not positive
            definite in her own controls or the initial covariance is not positive semidefinite.
    """

    A: Any
    B: Any
    Q: Any
    S: Any
    R: Any
    G: Any
    L: Any
    horizon: float
    steps: int
    initial_mean: Any
    initial_covariance: Any
    symmetric_parameters: Any = None
    discount: float = 0.0

    def __post_init__(self) -> None:
        horizon, steps = (
            checks.number("horizon", self.horizon, above=0.0),
            checks.integer("steps", self.steps, 1),
        )
        discount = checks.number("discount", self.discount)
        if abs(discount) * horizon > _DISCOUNTED:
            raise ValueError(
                f"`discount` times `horizon` must be at most {_DISCOUNTED:g}, beyond which costs "
                f"at one end are nothing beside those at the other. Received: discount={discount}, "
                f"horizon={horizon}"
            )
        if discount and self.symmetric_parameters is not None:
            raise ValueError(
                "The closed forms of `symmetric_parameters` know no discount rate. "
                f"Received: discount={discount}; pass `symmetric_parameters=None`"
            )
        A = checks.real_array("A", self.A)
        if A.ndim not in (2, 3) or A.shape[-1] != A.shape[-2] or A.shape[-1] == 0:
            raise ValueError(
                f"`A` must have the shape (n, n) or (steps, n, n). Received: shape {A.shape}"
            )
        n = A.shape[-1]
        A = _checked("A", A, (n, n), steps)
        B = _per_player("B", self.B)
        players = len(B)
        if players < 1:
            raise ValueError("`B` must have one matrix per player, at least one. Received: none")
        for i, b in enumerate(B):
            if b.ndim not in (2, 3) or b.shape[-1] == 0:
                raise ValueError(f"`B[{i}]` must have the shape (n, k). Received: shape {b.shape}")
        sizes = tuple(b.shape[-1] for b in B)
        S = [np.zeros((k, n)) for k in sizes] if self.S is None else _per_player("S", self.S)
        R = [np.eye(k) for k in sizes] if self.R is None else _per_player("R", self.R)
        Q, G = _per_player("Q", self.Q), _per_player("G", self.G)
        K = sum(sizes)
        ends = np.cumsum(sizes)
        shapes: dict[str, tuple[list, list]] = {
            "B": (B, [[(n, k)] for k in sizes]),
            "Q": (Q, [[(n, n)]] * players),
            "S": (S, [[(k, n), (K, n)] for k in sizes]),
            "R": (R, [[(k, k), (K, K)] for k in sizes]),
            "G": (G, [[(n, n)]] * players),
        }
        for name, (matrices, expected) in shapes.items():
            if len(matrices) != players:
                raise ValueError(
                    f"`{name}` must have one matrix for each of the {players} players. "
                    f"Received: {len(matrices)}"
                )
            varying = None if name == "G" else steps
            for i, allowed in enumerate(expected):
                matrix = _checked(f"{name}[{i}]", matrices[i], allowed[0], varying, *allowed[1:])
                if name in ("Q", "R", "G"):
                    matrix = 0.5 * (matrix + np.swapaxes(matrix, -1, -2))
                if name == "R":
                    k, full = sizes[i], matrix.shape[-1] != sizes[i]
                    own = slice(ends[i] - k, ends[i]) if full else slice(k)
                    if np.linalg.eigvalsh(matrix[..., own, own]).min() <= 0.0:
                        where = " in the player's own controls" if full else ""
                        raise ValueError(
                            f"`R[{i}]` must be positive definite{where}. Received: {matrix}"
                        )
                matrices[i] = _frozen(matrix)
        L = np.zeros((n, 1)) if self.L is None else checks.real_array("L", self.L)
        if L.ndim not in (2, 3) or L.shape[-1] == 0:
            raise ValueError(f"`L` must have the shape (n, m). Received: shape {L.shape}")
        L = _checked("L", L, (n, L.shape[-1]), steps)
        mean = _checked(
            "initial_mean", checks.real_array("initial_mean", self.initial_mean), (n,), None
        )
        covariance = checks.real_array("initial_covariance", self.initial_covariance)
        covariance = _checked("initial_covariance", covariance, (n, n), None)
        covariance = 0.5 * (covariance + covariance.T)
        spectrum = np.linalg.eigvalsh(covariance)
        if spectrum[0] < -1e-12 * max(1.0, spectrum[-1]):
            raise ValueError(
                "`initial_covariance` must be positive semidefinite. "
                f"Received: smallest eigenvalue {spectrum[0]}"
            )
        values = {
            "A": _frozen(A),
            "B": tuple(B),
            "Q": tuple(Q),
            "S": tuple(S),
            "R": tuple(R),
            "G": _frozen(np.stack(G)),
            "L": _frozen(L),
            "horizon": horizon,
            "steps": steps,
            "initial_mean": _frozen(mean),
            "initial_covariance": _frozen(covariance),
            "discount": discount,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def linear_quadratic_form(self) -> "LinearQuadraticForm":
        """The form is itself a game."""
        return self

    @property
    def players(self) -> int:
        return len(self.B)

    @property
    def state_size(self) -> int:
        """`n`."""
        return self.A.shape[-1]

    @property
    def control_sizes(self) -> tuple[int, ...]:
        """`k_i` of every player."""
        return tuple(b.shape[-1] for b in self.B)

    @property
    def control_size(self) -> int:
        """`K`, the sum of the `k_i`."""
        return sum(self.control_sizes)

    @property
    def noise_size(self) -> int:
        """`m`."""
        return self.L.shape[-1]

    @property
    def step_size(self) -> float:
        """`h`."""
        return self.horizon / self.steps

    @cached_property
    def owner(self) -> np.ndarray:
        """`(K,)`, the player to whom each entry of the stacked control belongs."""
        return np.repeat(np.arange(self.players), self.control_sizes)

    @cached_property
    def control_slices(self) -> tuple[slice, ...]:
        """Where each player's controls lie in the stacked vector."""
        ends = np.cumsum(self.control_sizes)
        return tuple(
            slice(int(end) - k, int(end)) for end, k in zip(ends, self.control_sizes, strict=True)
        )

    @property
    def time_varying(self) -> bool:
        """Whether any matrix has a `steps` axis, or costs are discounted."""
        matrices = (self.A, self.L, *self.B, *self.Q, *self.S, *self.R)
        return self.discount != 0.0 or any(matrix.ndim == 3 for matrix in matrices)

    @cached_property
    def coupled(self) -> bool:
        """Whether a player's cost contains the controls of others."""
        sizes = self.control_sizes
        own = zip(self.S, self.R, sizes, strict=True)
        return any(s.shape[-2] != k or r.shape[-1] != k for s, r, k in own)

    @cached_property
    def terminal(self) -> np.ndarray:
        """`(players, n, n)`, `e^{-ρT} G_i`."""
        return self.G * np.exp(-self.discount * self.horizon) if self.discount else self.G

    @cached_property
    def time_steps(self) -> tuple[TimeStep, ...]:
        """The matrices of every step; one and the same object where nothing varies in time."""
        if not self.time_varying:
            return (self._time_step(0),) * self.steps
        return tuple(self._time_step(t) for t in range(self.steps))

    def _time_step(self, t: int) -> TimeStep:
        def at(matrix: Any) -> Any:
            return matrix[t] if matrix.ndim == 3 else matrix

        worth = np.exp(-self.discount * t * self.step_size)
        players, n, K = self.players, self.state_size, self.control_size
        S_all, R_all = np.zeros((players, K, n)), np.zeros((players, K, K))
        S, R = np.zeros((K, n)), np.zeros((K, K))
        for i, where in enumerate(self.control_slices):
            cross, square = worth * at(self.S[i]), worth * at(self.R[i])
            rows = slice(None) if len(cross) == K else where
            both = slice(None) if len(square) == K else where
            S_all[i, rows], R_all[i, both, both] = cross, square
            S[where], R[where] = S_all[i, where], R_all[i, where]
        return TimeStep(
            A=at(self.A),
            B=np.concatenate([at(b) for b in self.B], axis=1),
            Q=worth * np.stack([at(q) for q in self.Q]),
            S=S,
            R=R,
            L=at(self.L),
            S_all=S_all if self.coupled else None,
            R_all=R_all if self.coupled else None,
        )

    def sample(self, paths: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Gaussian initial states `(paths, n)` and Brownian increments `(paths, steps, m)`."""
        generator = np.random.default_rng(seed)
        spectrum, vectors = np.linalg.eigh(self.initial_covariance)
        root = vectors * np.sqrt(np.maximum(spectrum, 0.0))
        initial = self.initial_mean + generator.standard_normal((paths, self.state_size)) @ root.T
        noise = generator.standard_normal((paths, self.steps, self.noise_size))
        return initial, np.sqrt(self.step_size) * noise


def as_form(game: Any) -> LinearQuadraticForm:
    """The matrices of a game: a `LinearQuadraticForm`, or anything that can give one.

    Raises:
        TypeError: Where the game has no `linear_quadratic_form()` method, or a wrong one.
    """
    if isinstance(game, LinearQuadraticForm):
        return game
    method = getattr(game, "linear_quadratic_form", None)
    if isinstance(game, type) or not callable(method):
        raise TypeError(
            "The exact theory needs a linear-quadratic game: a `LinearQuadraticForm` or an object "
            f"with a `linear_quadratic_form()` method. Received: {type(game).__name__}"
        )
    form = method()
    if not isinstance(form, LinearQuadraticForm):
        raise TypeError(
            "`linear_quadratic_form()` must return a `LinearQuadraticForm`. "
            f"Received: {type(form).__name__}"
        )
    return form


def _per_player(name: str, value: Any) -> list[np.ndarray]:
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        raise TypeError(f"`{name}` must be a sequence of matrices. Received: {value!r}")
    return [checks.real_array(f"{name}[{i}]", matrix) for i, matrix in enumerate(value)]


def _checked(
    name: str, value: np.ndarray, shape: tuple, steps: int | None, *others: tuple
) -> np.ndarray:
    allowed = [shape, *others]
    if steps is not None:
        allowed += [(steps, *shape) for shape in allowed]
    if value.shape not in allowed:
        options = " or ".join(str(option) for option in dict.fromkeys(allowed))
        raise ValueError(f"`{name}` must have the shape {options}. Received: shape {value.shape}")
    checks.finite(name, value)
    return value


def _frozen(value: np.ndarray) -> np.ndarray:
    value.setflags(write=False)
    return value
