"""Any linear-quadratic stochastic differential game, written down as matrices."""

import dataclasses
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops

from fictitious_play import checks, lq, rollout
from fictitious_play.games import superposition
from fictitious_play.games.base import Game, constant
from fictitious_play.tensors import Tensor

#: Directions of the state whose weight in a player's costs is below this, relative to the largest,
#: are round-off.
_TOLERANCE = 1e-12
#: What a product costs among the small operations of a simulation, in products of one large matrix
#: product; measured on CPUs, where 2 to 10 players and 20 to 100 steps break even at about 40.
_SMALL_PRODUCT = 40


@keras.saving.register_keras_serializable(package="fictitious_play")
class LinearQuadraticGame(Game):
    """N players, at least one, with linear dynamics of one state and quadratic costs.

        dX  = (A X + Σ_i B_i u_i) dt + L dW
        f^i = e^{-ρt} (½ x'Q_i x + u_i'S_i x + ½ u_i'R_i u_i),      g^i = e^{-ρT} ½ x'G_i x

    A player may also pay for the others' controls; `u` is then everybody's, stacked, in place of
    `u_i`. States have size n, player i's control has size k_i. `control_size` is the largest k_i;
    smaller controls are padded with entries that enter nothing: no dynamics, no cost, no gradient.
    Networks start with controls of zero and so leave them at exactly zero.

    Args:
        A: (n, n).
        B: one (n, k_i) matrix per player; their number is the number of players.
        Q: one (n, n) matrix per player.
        S: one (k_i, n) matrix per player, or (Σ k_i, n) on the controls of all; None means zero.
        R: one positive definite (k_i, k_i) matrix per player, or (Σ k_i, Σ k_i) on the controls of
            all, positive definite in her own; None means the identity.
        G: one (n, n) matrix per player.
        L: (n, m), volatilities of m Brownian motions; None means no noise.
        horizon, steps: T > 0 and the number of Euler steps. Every matrix but G may have a leading
            axis of length `steps`.
        initial_mean, initial_std: X_0 ~ N(initial_mean, diag(initial_std²)); scalars or one value
            per state.
        initial_covariance: (n, n), in place of `initial_std` where initial states are correlated.
        discount: ρ, the rate at which costs are discounted.
        control_bounds: as in `Game`; the game then has no exact solution.
        control_unit: as in `Game`.

    Raises:
        ValueError, TypeError: where a shape does not fit, a number is not finite, an R_i is not
            positive definite or a covariance is not positive semidefinite.
    """

    def __init__(
        self,
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
        control_bounds: Any = None,
        control_unit: Any = None,
    ):
        A = checks.finite_array("A", A)
        size = A.shape[-1] if A.ndim else 0
        form = lq.LinearQuadraticForm(
            A, B, Q, S, R, G, L, horizon, steps, np.zeros(size), np.zeros((size, size)),
            discount=discount,
        )  # fmt: skip
        std = initial_std
        if initial_covariance is not None:
            if np.any(checks.finite_array("initial_std", initial_std)):
                raise ValueError(
                    "`initial_std` must be left out where there is an `initial_covariance`. "
                    f"Received: initial_std={initial_std!r}"
                )
            initial_covariance = checks.shaped(
                "initial_covariance", initial_covariance, (size,) * 2
            )
            std = np.sqrt(np.maximum(np.diagonal(initial_covariance), 0.0))
        super().__init__(
            form.players,
            form.horizon,
            form.steps,
            state_size=form.state_size,
            control_size=max(form.control_sizes),
            noise_size=form.noise_size,
            initial_mean=initial_mean,
            initial_std=std,
            control_bounds=control_bounds,
            control_unit=control_unit,
        )
        self.initial_covariance = initial_covariance
        covariance = np.diag(self.initial_std**2)
        self._form = dataclasses.replace(
            form,
            initial_mean=self.initial_mean,
            initial_covariance=covariance if initial_covariance is None else initial_covariance,
        )

    @classmethod
    def from_form(cls, form: Any) -> "LinearQuadraticGame":
        """The game of a `fictitious_play.lq.LinearQuadraticForm`, or of anything that has one."""
        form = lq.as_form(form)
        covariance = form.initial_covariance
        diagonal = np.array_equal(covariance, np.diag(np.diagonal(covariance)))
        law = {"initial_std": np.sqrt(np.diagonal(covariance))}
        return cls(
            form.A, form.B, form.Q, form.S, form.R, form.G, form.L, form.horizon, form.steps,
            form.initial_mean, **(law if diagonal else {"initial_covariance": covariance}),
            discount=form.discount,
        )  # fmt: skip

    # The game

    def drift(self, time: Tensor, states: Tensor, controls: Tensor) -> Tensor:
        A, B = (self._at(matrix, time, states) for matrix in (self._A, self._B))
        stacked = _merged(controls, self.players * self.control_size)
        return ops.matmul(states, ops.transpose(A)) + ops.matmul(stacked, B)

    def diffusion(self, time: Tensor, states: Tensor, controls: Tensor) -> Tensor:
        return self._at(self._L, time, states)

    def running_cost(self, time: Tensor, states: Tensor, controls: Tensor) -> Tensor:
        weights = self._coupled_weights if self._form.coupled else self._running_weights
        Q, S, R = (self._at(each, time, states) for each in weights)
        if not self._form.coupled:
            return _running(self._view(states), controls, Q, S, R)
        everybody = _merged(controls, self.players * self.control_size)
        row = ops.matmul(states, S) + 0.5 * ops.matmul(everybody, R)
        row = ops.reshape(row, (*ops.shape(everybody)[:-1], self.players, -1))
        own = _quadratic(self._view(states), Q)
        return own + ops.sum(ops.expand_dims(everybody, -2) * row, axis=-1)

    def terminal_cost(self, states: Tensor) -> Tensor:
        return _quadratic(self._view(states), constant(self._terminal_weights, states))

    def initial_states(self, normals: Any) -> Any:
        if self.initial_covariance is None:
            return super().initial_states(normals)
        return self.initial_mean + normals @ self._initial_root

    def linear_quadratic_form(self) -> Any:
        exact = self.control_bounds is None and self._is_plain and self._has_its_initial_law
        return self._form if exact else None

    def deviation_costs(
        self, initial_state: Tensor, own: Tensor, others: Tensor, noise: Tensor
    ) -> Tensor:
        """As in `Game.deviation_costs`; by superposition where that takes fewer products."""
        if self._form.coupled or not (self._is_plain and self._superposition_pays):
            return super().deviation_costs(initial_state, own, others, noise)
        states = rollout.joint_states(self, initial_state, others, noise)
        views = superposition.deviated_views(self._view(states), self._responses, own - others)
        shape = (self.steps, self.players)
        Q, S, R = (
            constant(np.broadcast_to(each, (*shape, *each.shape[-2:])), own)
            for each in self._running_weights
        )
        running = ops.sum(_running(views[:, :-1], own, Q, S, R), axis=1)
        last = _quadratic(views[:, -1], constant(self._terminal_weights, own))
        return self.step_size * running + last

    def get_config(self) -> dict[str, Any]:
        form, config = self._form, super().get_config()
        for name in ("players", "state_size", "control_size", "noise_size"):
            del config[name]
        if self.initial_covariance is not None:
            del config["initial_std"]
            config["initial_covariance"] = self.initial_covariance.tolist()
        config["discount"] = form.discount
        matrices = {name: getattr(form, name).tolist() for name in ("A", "L", "G")}
        for name in ("B", "Q", "S", "R"):
            matrices[name] = [matrix.tolist() for matrix in getattr(form, name)]
        return {**matrices, **config}

    # Controls of unequal sizes

    def stacked_controls(self, controls: Any) -> Any:
        return super().stacked_controls(controls)[..., self._entries]

    def padded_controls(self, controls: Any) -> np.ndarray:
        """The inverse of `stacked_controls`: (batch, *controls_shape), padded with zeros."""
        shape = (None, self.steps, self._form.control_size)
        controls = checks.shaped("controls", controls, shape)
        padded = np.zeros((len(controls), self.steps, self.players * self.control_size))
        padded[..., self._entries] = controls
        return padded.reshape(-1, *self.controls_shape)

    @cached_property
    def _entries(self) -> np.ndarray:
        """Where the entries of the stacked controls lie among the padded ones, (Σ k_i,)."""
        sizes = self._form.control_sizes
        return np.concatenate(
            [player * self.control_size + np.arange(size) for player, size in enumerate(sizes)]
        )

    # Constants: a leading axis is 1, or `steps` where something varies in time

    def _at(self, matrix: np.ndarray, time: Tensor, like: Any) -> Any:
        """The matrix of the step that begins at `time`, a float or a tensor, as a tensor of the
        dtype of `like`."""
        if len(matrix) == 1:
            return constant(matrix[0], like)
        if ops.is_tensor(time):
            step = ops.clip(ops.cast(ops.round(time / self.step_size), "int32"), 0, self.steps - 1)
            return ops.take(constant(matrix, like), step, axis=0)
        return constant(matrix[min(self.steps - 1, max(0, round(time / self.step_size)))], like)

    def _view(self, states: Tensor) -> Any:
        """What each player's costs see of the state, (..., players, r)."""
        players, r, n = self._views.shape
        views = ops.matmul(states, constant(self._views.reshape(players * r, n).T, states))
        return ops.reshape(views, (*ops.shape(views)[:-1], players, r))

    @cached_property
    def _steps(self) -> Any:
        return self._form.time_steps if self._form.time_varying else self._form.time_steps[:1]

    @cached_property
    def _A(self) -> np.ndarray:
        return np.stack([step.A for step in self._steps])

    @cached_property
    def _L(self) -> np.ndarray:
        return np.stack([step.L for step in self._steps])

    @cached_property
    def _B(self) -> np.ndarray:
        """(…, players · control_size, n): padded rows are zero."""
        padded = np.zeros((len(self._steps), self.players * self.control_size, self.state_size))
        padded[:, self._entries] = np.stack([step.B.T for step in self._steps])
        return padded

    @cached_property
    def _views(self) -> np.ndarray:
        """(players, r, n): orthonormal rows V_i that hold the rows of Q_i, S_i and G_i; zero rows
        for players who see less than others."""
        spaces = []
        for player, where in enumerate(self._form.control_slices):
            blocks = [self._form.G[player]]
            for step in self._steps:
                blocks += [step.Q[player], step.S[where]]
            scaled = [block / np.abs(block).max() for block in blocks if np.any(block)]
            if scaled:
                _, sizes, rows = np.linalg.svd(np.concatenate(scaled), full_matrices=False)
                spaces.append(rows[sizes > _TOLERANCE * sizes[0]])
            else:
                spaces.append(np.zeros((0, self.state_size)))
        views = np.zeros((self.players, max(1, *map(len, spaces)), self.state_size))
        for view, space in zip(views, spaces, strict=True):
            view[: len(space)] = space
        return views

    @cached_property
    def _running_weights(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """V_i Q_i V_i' (…, players, r, r), S_i V_i' (…, players, k, r) and R_i
        (…, players, k, k)."""
        k, views = self.control_size, self._views
        lead = (len(self._steps), self.players)
        S, R = np.zeros((*lead, k, views.shape[1])), np.zeros((*lead, k, k))
        Q = np.stack([views @ step.Q @ np.swapaxes(views, 1, 2) for step in self._steps])
        for number, step in enumerate(self._steps):
            for player, where in enumerate(self._form.control_slices):
                size = where.stop - where.start
                S[number, player, :size] = step.S[where] @ views[player].T
                R[number, player, :size, :size] = step.R[where, where]
        return Q, S, R

    @cached_property
    def _coupled_weights(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """V_i Q_i V_i', and side by side the S_i' (…, n, players · K) and R_i (…, K, players · K)
        on everybody's K padded controls."""
        K, rows = self.players * self.control_size, self._entries
        lead = (len(self._steps), self.players, K)
        S, R = np.zeros((*lead, self.state_size)), np.zeros((*lead, K))
        S[:, :, rows] = np.stack([step.S_all for step in self._steps])
        R[:, :, rows[:, None], rows] = np.stack([step.R_all for step in self._steps])
        shape = (len(self._steps), self.players * K, -1)
        sides = [np.swapaxes(x.reshape(shape), 1, 2) for x in (S, R)]
        return self._running_weights[0], sides[0], sides[1]

    @cached_property
    def _terminal_weights(self) -> np.ndarray:
        """V_i G_i V_i', (players, r, r)."""
        return self._views @ self._form.terminal @ np.swapaxes(self._views, 1, 2)

    @cached_property
    def _responses(self) -> np.ndarray:
        B = self._B.reshape(-1, self.players, self.control_size, self.state_size)
        A, B = self._A, np.swapaxes(B, 2, 3)
        if not self._form.time_varying:
            A, B = A[0], B[0]
        return superposition.impulse_responses(A, B, self._views, self.step_size, self.steps)

    @cached_property
    def _initial_root(self) -> np.ndarray:
        """Symmetric root of the initial covariance."""
        spectrum, vectors = np.linalg.eigh(self._form.initial_covariance)
        return (vectors * np.sqrt(np.maximum(spectrum, 0.0))) @ vectors.T

    @property
    def _superposition_pays(self) -> bool:
        """Products per path and player: of the impulse responses, and of simulating the state."""
        n, size = self.state_size, self._views.shape[1]
        impulses = (self.steps + 1) * size * self.control_size
        simulated = n * (n + self.players * (self.control_size + size))
        return self.players > 1 and impulses <= _SMALL_PRODUCT * simulated

    @property
    def _is_plain(self) -> bool:
        names = ("drift", "diffusion", "running_cost", "terminal_cost", "euler_step", "_view")
        return superposition.keeps(self, LinearQuadraticGame, names)

    @property
    def _has_its_initial_law(self) -> bool:
        return superposition.keeps(self, LinearQuadraticGame, ("initial_states",))


def _merged(controls: Tensor, size: int) -> Any:
    """(..., players, control_size) → (..., players · control_size)."""
    return ops.reshape(controls, (*ops.shape(controls)[:-2], size))


def _quadratic(views: Any, weights: Any) -> Any:
    """½ y'M y of every player, (..., players)."""
    return 0.5 * ops.sum(views * _product(weights, views), axis=-1)


def _running(views: Any, controls: Tensor, Q: Any, S: Any, R: Any) -> Any:
    """½ y'Q y + u'(S y + ½ R u) of every player, (..., players)."""
    row = _product(S, views) + 0.5 * _product(R, controls)
    return _quadratic(views, Q) + ops.sum(controls * row, axis=-1)


def _product(matrices: Any, vectors: Any) -> Any:
    """Matrix times vector, batched: (..., a, b) and (..., b) give (..., a)."""
    return ops.sum(matrices * ops.expand_dims(vectors, -2), axis=-1)
