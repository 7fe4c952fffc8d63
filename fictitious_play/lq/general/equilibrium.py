"""Nash equilibria of linear-quadratic games: open and closed loop, discrete and continuous time."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fictitious_play import checks, renamed
from fictitious_play.lq.general.affine import for_gains
from fictitious_play.lq.general.continuous import continuous_nash, is_convex
from fictitious_play.lq.general.errors import SingularGameError, not_convex, smallest_curvature
from fictitious_play.lq.general.form import LinearQuadraticForm, TimeStep, as_form
from fictitious_play.lq.general.recursion import (
    INFORMATION,
    backward_step,
    step_matrices,
    transition,
)
from fictitious_play.lq.general.rollout import Rollout, simulate_gains
from fictitious_play.lq.inter_bank.profile import (
    SymmetricProfile,
    symmetric_profile,
    without_matrices,
)
from fictitious_play.lq.inter_bank.symmetric import symmetric_nash


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """A Nash equilibrium.

    Attributes:
        cost: `(players,)`, expected equilibrium costs `V_i`.
        gains: `(steps, K, n)`; `gains[t]` acts on the column `X_t`, `t = 0, h, ..., T - h`. In
            continuous time the gain function sampled at those times.
        information_structure: `"open_loop"` or `"closed_loop"`.
        time: `"discrete"` or `"continuous"`.
        form: The game.
        exists: True; a game without an equilibrium raises `NoEquilibriumError` instead.
        escape: In discrete time the latest `t` with `det(R + h Π_t B)/det R ≤ 0`, else `None`. The
            continuous-time solution has escaped to infinity in that step: the equilibrium of the
            Euler game is one all the same, but there is none in continuous time that it is near.
    """

    cost: np.ndarray
    gains: np.ndarray
    information_structure: str
    time: str
    form: LinearQuadraticForm
    exists: bool = True
    escape: float | None = None

    information = renamed.attribute("information", "information_structure")

    def simulate(self, initial_state: Any, noise: Any) -> Rollout:
        """States, controls and path costs along `(batch, n)` and `(batch, steps, m)` increments.

        Paths are those of the Euler game also where the gains are those of continuous time.
        """
        return simulate_gains(self.form, self.gains, initial_state, noise)

    def controls(self, initial_state: Any, noise: Any) -> np.ndarray:
        """The open-loop controls `(batch, steps, K)` that the equilibrium makes of a noise."""
        return self.simulate(initial_state, noise).controls


@renamed.argument("information", "information_structure")
def nash(
    game: Any, information_structure: str = "open_loop", time: str = "discrete"
) -> Equilibrium | SymmetricProfile:
    """The Nash equilibrium of a linear-quadratic game.

    Args:
        game: A `LinearQuadraticForm`, or an object with a `linear_quadratic_form()` method.
        information_structure: `"open_loop"`, controls adapted to the noise; `"closed_loop"`,
            controls that are functions of `(t, X_t)`.
        time: `"discrete"`, the Euler game; `"continuous"`, by closed form for the symmetric
            inter-bank game and by ODE for all others.

    Raises:
        NoEquilibriumError: Where there is none because a player's own problem is not convex in her
            controls: which player, at which step, with what curvature.
        SingularGameError: Where the linear equations for everybody's controls are singular, or a
            player's problem is flat, in the game that begins at some step: it has no equilibrium,
            or many. A subclass.
        FiniteEscapeError: In continuous time, where the Riccati equations escape to infinity
            before `t = 0`; `time` says when. A subclass.
    """
    checks.one_of("information_structure", information_structure, INFORMATION)
    checks.one_of("time", time, ("discrete", "continuous"))
    symmetric = without_matrices(game)
    if symmetric is not None:
        return symmetric_profile(symmetric, game.steps, information_structure, time)
    form = as_form(game)
    if time == "discrete":
        gains, escape = _discrete_gains(form, information_structure)
        cost = profile_cost(form, gains)
        return Equilibrium(cost, gains, information_structure, time, form, escape=escape)
    parameters = form.symmetric_parameters
    if parameters is None:
        cost, gains = continuous_nash(form, information_structure)
    else:
        solution = symmetric_nash(parameters, form.steps, information_structure, "continuous")
        zeta = 1.0 / form.players - np.eye(form.players)
        cost, gains = solution.cost, np.asarray(solution.phi)[:, None, None] * zeta
    return Equilibrium(cost, gains, information_structure, time, form)


def profile_cost(game: Any, gains: Any) -> np.ndarray:
    """Expected costs `(players,)` of the feedback profile `u_t = F_t X_t` in the Euler game.

    `P_i(t) = h (Q_i + S_i'F_i + F_i'S_i + F_i'R_i F_i) + A_cl'P_i(t+1)A_cl` and
    `V_i = ½ E[x_0'P_i(0)x_0] + ½ h Σ_t tr(P_i(t+1) L L')`. Gains of zero give the cost of doing
    nothing.

    Args:
        game: The game.
        gains: `(steps, K, n)`, or affine `(steps, K, n + 1)` with constants in the last column.
    """
    form, gains = for_gains(game, gains)
    h = form.step_size
    P, cost = form.terminal, np.zeros(form.players)
    for t in reversed(range(form.steps)):
        step = form.time_steps[t]
        cost += 0.5 * h * np.einsum("ijk,jk->i", P, step.L @ step.L.T)
        P = backward_step(np, step, h, P, gains[t], form.owner, "closed_loop")
    second = form.initial_covariance + np.outer(form.initial_mean, form.initial_mean)
    return cost + 0.5 * np.einsum("ijk,jk->i", P, second)


def _discrete_gains(form: LinearQuadraticForm, structure: str) -> tuple[np.ndarray, float | None]:
    """Gains backward over the steps, and the latest time at which `det(R + hΠB)/det R ≤ 0`."""
    h, owner, open_loop = form.step_size, form.owner, structure == "open_loop"
    # Sufficient for convexity under open loop; under closed loop the others' reaction counts.
    convex = open_loop and is_convex(form)
    P = K = form.terminal
    gains = np.zeros((form.steps, form.control_size, form.state_size))
    escape = None
    for t in reversed(range(form.steps)):
        step = form.time_steps[t]
        if not convex:
            weights = K if open_loop else P
            for i, where in enumerate(form.control_slices):
                B, R = step.B[:, where], step.R[where, where]
                curvature = R + h * B.T @ weights[i] @ B
                least = smallest_curvature(curvature, R)
                if least <= 0.0:
                    flat = least == 0.0 and not (open_loop and _tilted(form, t, i, K, curvature))
                    raise not_convex(form, i, t, least, flat)
                if open_loop:
                    K = _single_player_step(form, t, i, K, curvature)
        M, rhs = step_matrices(np, step, h, P, owner)
        sizes = np.linalg.svd(_in_own_units(form, step, M), compute_uv=False)
        if sizes[-1] <= 1e-14 * form.control_size * sizes[0]:
            raise SingularGameError(
                f"The equations of all players' controls are singular at t = {t * h:.9g} (step {t} "
                f"of {form.steps}; smallest over largest singular value "
                f"{sizes[-1] / sizes[0]:.3g}): the game that begins there has no "
                f"{structure.replace('_', '-')} equilibrium, or many",
                t * h,
                t,
            )
        if escape is None and np.linalg.slogdet(M)[0] != np.linalg.slogdet(step.R)[0]:
            escape = t * h
        F = gains[t] = -np.linalg.solve(M, rhs)
        P = backward_step(np, step, h, P, F, owner, structure)
    return gains, escape


def _tilted(form: LinearQuadraticForm, t: int, i: int, K: np.ndarray, curvature: Any) -> bool:
    """Whether an earlier control of player `i` tilts her cost along a flat direction of step `t`.

    A quadratic with zero curvature in one variable and a product with another is not convex.
    """
    h, step, where = form.step_size, form.time_steps[t], form.control_slices[i]
    direction = np.linalg.eigh(curvature)[1][:, 0]
    row = step.S[where] + step.B[:, where].T @ K[i] @ transition(np, step.A, h)
    slope, size = direction @ row, np.abs(row).max()
    for before in reversed(form.time_steps[:t]):
        if np.abs(slope @ before.B[:, where]).max() > 1e-12 * size * np.abs(before.B).max():
            return True
        slope = slope @ transition(np, before.A, h)
    return False


def _in_own_units(form: LinearQuadraticForm, step: TimeStep, M: np.ndarray) -> np.ndarray:
    """`M` in controls whose own costs are `½|u_i|²`, so that units do not decide what is small."""
    scale = np.zeros_like(M)
    for where in form.control_slices:
        scale[where, where] = np.linalg.inv(np.linalg.cholesky(step.R[where, where]))
    return scale @ M @ scale.T


def _single_player_step(
    form: LinearQuadraticForm, t: int, i: int, K: np.ndarray, curvature: np.ndarray
) -> np.ndarray:
    """One step back of player `i`'s own Riccati matrix, the others' left as they are."""
    h, step, where = form.step_size, form.time_steps[t], form.control_slices[i]
    A_hat = transition(np, step.A, h)
    row = step.S[where] + step.B[:, where].T @ K[i] @ A_hat
    K = K.copy()
    K[i] = h * step.Q[i] + A_hat.T @ K[i] @ A_hat - h * row.T @ np.linalg.solve(curvature, row)
    return K
