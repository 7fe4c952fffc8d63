"""Equilibrium of one symmetric inter-bank game without its matrices, for any number of players.

The general form of an N-player game holds N matrices of size N², the symmetric equilibrium a single
number per step: the control of every player is φ_t (X̄ - X^i).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fictitious_play import renamed
from fictitious_play.lq.general.rollout import Rollout
from fictitious_play.lq.inter_bank.parameters import SymmetricParameters
from fictitious_play.lq.inter_bank.symmetric import symmetric_nash

#: With more players than this, `nash` does not build the matrices of a symmetric game.
LARGEST_FORM = 150


def without_matrices(game: Any) -> SymmetricParameters | None:
    """The parameters of a symmetric game with too many players for its matrices, or `None`."""
    parameters = getattr(game, "symmetric_parameters", None)
    many = isinstance(parameters, SymmetricParameters) and parameters.players > LARGEST_FORM
    return parameters if many else None


@dataclass(frozen=True, eq=False)
class SymmetricProfile:
    """A Nash equilibrium, with the attributes and methods of `Equilibrium` but for `form`.

    Attributes:
        cost: `(players,)`, expected equilibrium costs.
        phi: `(steps,)`, the gain on `X̄ - X^i`.
        information_structure: `"open_loop"` or `"closed_loop"`.
        time: `"discrete"` or `"continuous"`.
        parameters: The game's parameters.
        exists: True; these games always have an equilibrium.
    """

    cost: np.ndarray
    phi: np.ndarray
    information_structure: str
    time: str
    parameters: SymmetricParameters
    exists: bool = True

    information = renamed.attribute("information", "information_structure")

    @cached_property
    def gains(self) -> np.ndarray:
        """`(steps, players, players)`; large where the players are many."""
        players = int(self.parameters.players)
        return self.phi[:, None, None] * (1.0 / players - np.eye(players))

    def simulate(self, initial_state: Any, noise: Any) -> Rollout:
        """States, controls and path costs along `(batch, n)` and `(batch, steps, m)` increments,
        column 0 of them the common noise."""
        p, steps = self.parameters, len(self.phi)
        h = p.horizon / steps
        x = np.array(initial_state, np.float64)
        states, controls = [x], []
        cost = np.zeros_like(x)
        for t, phi in enumerate(self.phi):
            z = x.mean(axis=1, keepdims=True) - x
            u = phi * z
            cost += h * (0.5 * u * u - p.q * u * z + 0.5 * p.epsilon * z * z)
            increment = np.asarray(noise[:, t], np.float64)
            shock = p.rho * increment[:, :1] + np.sqrt(1.0 - p.rho**2) * increment[:, 1:]
            x = x + h * (p.a * z + u) + p.sigma * shock
            states.append(x)
            controls.append(u)
        z = x.mean(axis=1, keepdims=True) - x
        return Rollout(
            np.stack(states, axis=1), np.stack(controls, axis=1), cost + 0.5 * p.c * z * z
        )

    def controls(self, initial_state: Any, noise: Any) -> np.ndarray:
        """The open-loop controls `(batch, steps, players)` along a noise."""
        return self.simulate(initial_state, noise).controls


def symmetric_profile(
    parameters: SymmetricParameters, steps: int, structure: str, time: str
) -> SymmetricProfile:
    """The equilibrium of one symmetric game; arguments as in `symmetric_nash`."""
    solution = symmetric_nash(parameters, steps, structure, time)
    players = int(parameters.players)
    cost = np.broadcast_to(np.asarray(solution.cost), (players,)).copy()
    phi = np.asarray(solution.phi).reshape(-1)[:steps]
    return SymmetricProfile(cost, phi, structure, time, parameters)
