"""Random linear-quadratic games, and the recursion's answers beside the exact ones."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Error:
    """How far one answer is from the exact one.

    Attributes:
        fact: what is compared.
        relative: largest difference over the largest exact entry.
        rounding: what double precision explains: ε times the stages times the largest condition
            number of a system that is solved on the way; of a cost after one step, see
            :func:`step_rounding`.
    """

    fact: str
    relative: float
    rounding: float


def random_game(rng: Any, size: int, players: int, horizon: int, controls: int = 2) -> Any:
    """An `LQGame` with A of norm about one, full costs of the state and diagonal ones of controls.

    Args:
        rng: a numpy generator.
        size: n, of the state.
        players: N.
        horizon: T.
        controls: p, of each player.
    """
    from linear_quadratic import LQGame

    A = rng.standard_normal((size, size)) / np.sqrt(size)
    B = [rng.standard_normal((size, controls)) for _ in range(players)]
    roots = rng.standard_normal((2, size, size))
    Q, Q_T = (root @ root.T / size for root in roots)
    R = [np.diag(rng.uniform(0.5, 2.0, controls)) for _ in range(players)]
    return LQGame(A, B, Q, R, Q_T, horizon)


def solve(game: Any, structure: str, rng: Any = None) -> tuple[np.ndarray, list, list]:
    """(x0, controls, the dense recursion's result) about a random trajectory.

    The structure "feedback_nash" is the simultaneous solve of the coupled Riccati equations.
    """
    import lq_simultaneous

    from dgn_tf.recursion import dense

    rng = np.random.default_rng(0) if rng is None else rng
    x0 = rng.standard_normal(len(game.A))
    controls = [[rng.standard_normal(B.shape[1]) for B in game.B] for _ in range(game.horizon)]
    stages, phi_x, phi_xx = game.expand(x0, controls)
    if structure == "feedback_nash":
        return x0, controls, lq_simultaneous.solve(stages, phi_x, phi_xx)
    return x0, controls, dense.solve(stages, phi_x, phi_xx, structure)


def condition(game: Any, values: list) -> float:
    """Largest condition number of R + B'P B over the stages, for all controls together."""
    team = game.team
    B, R = team.B[0], team.R[0]
    return max(float(np.linalg.cond(R + B.T @ P @ B)) for P in values)


def step_rounding(game: Any, values: list, nominal: float, optimum: float) -> float:
    """Rounding to be expected in the cost after one step from a nominal trajectory.

    The new controls are small differences of numbers as large as the nominal states, so each is
    wrong by ε times these: squared, in units of the optimum, ε² times nominal over optimal cost.
    Where A is unstable the nominal cost grows without bound with the horizon.

    Args:
        game, values: as in :func:`condition`.
        nominal, optimum: costs of the trajectory expanded about and of the best one.
    """
    exact_start = EPS * game.horizon * condition(game, values)
    return exact_start * (1.0 + EPS * nominal / optimum)


def relative(ours: Any, exact: Any) -> float:
    """Largest difference over the largest exact entry, of arrays or lists of them."""
    pairs = list(zip(ours, exact, strict=True))
    scale = max(float(np.max(np.abs(b))) for _, b in pairs)
    return max(float(np.max(np.abs(np.asarray(a) - b))) for a, b in pairs) / scale


def play(game: Any, x0: np.ndarray, controls: list, found: list) -> float:
    """The cost after θ ← θ - (k + K δx), stage by stage (lines 8 to 12 of Algorithm 1)."""
    states, x, updated = game.states(x0, controls), x0, []
    for t, stage in enumerate(controls):
        moved = [
            u - (g.k.numpy() + g.K.numpy() @ (x - states[t]))
            for u, g in zip(stage, found[t].players, strict=True)
        ]
        updated.append(moved)
        x = game.A @ x + sum(B @ u for B, u in zip(game.B, moved, strict=True))
    return float(game.cost(x0, updated))


def policy_cost(game: Any, x0: np.ndarray, gains: list) -> float:
    """The cost of u = -K x for `gains[t][n]`."""
    x, controls = x0, []
    for K in gains:
        controls.append([-gain @ x for gain in K])
        x = game.A @ x + sum(B @ u for B, u in zip(game.B, controls[-1], strict=True))
    return float(game.cost(x0, controls))


def _gains(found: list, player: int) -> list:
    return [stage[player].K.numpy() for stage in found]


def facts(game: Any, rng: Any) -> Iterator[Error]:
    """Every identity on one game of several players; single-player ones on its first player."""
    import linear_quadratic as lq

    T, players = game.horizon, range(len(game.B))

    def error(fact: str, ours: Any, exact: Any, solved: Any, values: list) -> Error:
        return Error(fact, relative(ours, exact), EPS * T * condition(solved, values))

    alone = [lq.riccati(game.only(n)) for n in players]
    one = game.only(0)
    x0, controls, found = solve(one, "feedback", rng)
    both = [*_gains(found, 0), *(stage[0].V_xx.numpy() for stage in found)]
    exact = [*(K[0] for K in alone[0].K), *alone[0].P[:-1]]
    yield error("one player: Riccati", both, exact, one, alone[0].P)
    yield _one_step("one player: optimal after one step", one, x0, controls, found, alone[0].P)

    team = lq.riccati(game)
    x0, controls, found = solve(game, "cooperative", rng)
    both = [K for n in players for K in _gains(found, n)]
    both += [stage.W_xx.numpy() for stage in found]
    exact = [*(K[n] for n in players for K in team.K), *team.P[:-1]]
    yield error("cooperative: team LQR", both, exact, game, team.P)
    yield _one_step("cooperative: optimal after one step", game, x0, controls, found, team.P)

    found = solve(game, "feedback", rng)[2]
    both, exact = [], []
    for n in players:
        both += [*_gains(found, n), *(stage[n].V_xx.numpy() for stage in found)]
        exact += [*(K[0] for K in alone[n].K), *alone[n].P[:-1]]
    worst = max(condition(game.only(n), alone[n].P) for n in players)
    yield Error("feedback: LQR of (A, B_n)", relative(both, exact), EPS * T * worst)

    nash = lq.feedback_nash(game)
    found = solve(game, "feedback_nash", rng)[2]
    both, exact = [], []
    for n in players:
        both += [*_gains(found, n), *(stage[n].V_xx.numpy() for stage in found)]
        exact += [*(K[n] for K in nash.K), *(P[n] for P in nash.P[:-1])]
    values = [P[n] for n in players for P in nash.P]
    yield error("simultaneous: coupled Riccati", both, exact, game, values)


def _one_step(
    fact: str, game: Any, x0: np.ndarray, controls: list, found: list, values: list
) -> Error:
    optimum = float(0.5 * x0 @ values[0] @ x0)
    rounding = step_rounding(game, values, float(game.cost(x0, controls)), optimum)
    return Error(fact, relative([play(game, x0, controls, found)], [optimum]), rounding)


def distances(game: Any, rng: Any) -> dict[str, float]:
    """How far the paper's feedback structure is from equilibrium and optimum.

    Returns:
        `gain`: largest difference between its gains and those of the feedback Nash equilibrium,
        over the largest of these; `feedback`, `nash`: the joint cost of the two policies from a
        random state over the team's optimum.
    """
    import linear_quadratic as lq

    players = range(len(game.B))
    found, nash, team = solve(game, "feedback", rng)[2], lq.feedback_nash(game), lq.riccati(game)
    ours = [[stage[n].K.numpy() for n in players] for stage in found]
    flat = [K for stage in ours for K in stage], [K for stage in nash.K for K in stage]
    x0 = rng.standard_normal(len(game.A))
    optimum = 0.5 * x0 @ team.P[0] @ x0
    return {
        "gain": relative(*flat),
        "feedback": policy_cost(game, x0, ours) / optimum,
        "nash": policy_cost(game, x0, nash.K) / optimum,
    }


def approach(game: Any) -> dict[str, Any]:
    """How the finite-horizon gain and value of one player tend to the algebraic Riccati equation.

    Returns:
        `error`: relative error of K with k = 1 … T stages to go; `value`: of V_xx at T; `rate`: the
        geometric rate fitted to `error`; `radius`: the squared spectral radius of the closed loop,
        which the rate tends to; `rounding`: as in :class:`Error`.
    """
    import linear_quadratic as lq

    P = lq.infinite_horizon(game)
    B, R = game.B[0], game.R[0]
    K = np.linalg.solve(R + B.T @ P @ B, B.T @ P @ game.A)
    found = solve(game, "feedback")[2]
    error = np.array([relative([stage[0].K], [K]) for stage in reversed(found)])
    above = np.flatnonzero(error < 1e-12)
    last = int(above[0]) if len(above) else len(error)
    fitted = np.arange(last // 3, last)
    rate = float(np.exp(np.polyfit(fitted, np.log(error[fitted]), 1)[0])) if last > 5 else None
    return {
        "error": error.tolist(),
        "value": relative([found[0][0].V_xx], [P]),
        "gain": float(error[-1]),
        "rate": rate,
        "radius": float(np.max(np.abs(np.linalg.eigvals(game.A - B @ K))) ** 2),
        "rounding": EPS * game.horizon * condition(game, [P]),
    }
