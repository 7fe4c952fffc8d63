"""The recursions on linear-quadratic games, against solutions that are found otherwise."""

import linear_quadratic as lq
import lq_simultaneous
import numpy as np
import pytest
import scipy.optimize
from linear_quadratic import LQGame

from dgn_tf.recursion import dense


def make(players=1, horizon=6, n=4, p=2, seed=0):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n)) / np.sqrt(n)
    B = [rng.standard_normal((n, p)) for _ in range(players)]
    roots = rng.standard_normal((2, n, n))
    R = [np.diag(rng.uniform(0.5, 2.0, p)) for _ in range(players)]
    return LQGame(A, B, roots[0] @ roots[0].T / n, R, roots[1] @ roots[1].T / n, horizon)


def trajectory(game, seed=1):
    rng = np.random.default_rng(seed)
    controls = [[rng.standard_normal(B.shape[1]) for B in game.B] for _ in range(game.horizon)]
    return rng.standard_normal(len(game.A)), controls


def solved(game, structure, seed=1):
    x0, controls = trajectory(game, seed)
    stages, phi_x, phi_xx = game.expand(x0, controls)
    if structure == "feedback_nash":
        return x0, controls, lq_simultaneous.solve(stages, phi_x, phi_xx)
    return x0, controls, dense.solve(stages, phi_x, phi_xx, structure)


def one_iteration(game, structure):
    """Algorithm 1, lines 8 to 12, once."""
    x0, controls, solution = solved(game, structure)
    states = game.states(x0, controls)
    x, updated = x0, []
    for t, stage in enumerate(controls):
        dx = x - states[t]
        new = [
            u - (g.k.numpy() + g.K.numpy() @ dx)
            for u, g in zip(stage, solution[t].players, strict=True)
        ]
        updated.append(new)
        x = game.A @ x + sum(B @ u for B, u in zip(game.B, new, strict=True))
    return x0, updated


def close(ours, theirs):
    theirs = np.asarray(theirs)
    assert np.max(np.abs(np.asarray(ours) - theirs)) <= 1e-10 * max(1.0, np.max(np.abs(theirs)))


@pytest.mark.parametrize("structure", ["feedback", "cooperative", "feedback_nash"])
def test_one_player_is_the_riccati_recursion(structure):
    game = make()
    solution, exact = solved(game, structure)[2], lq.riccati(game)
    for t in range(game.horizon):
        close(solution[t][0].K, exact.K[t][0])
        close(solution[t].W_xx if structure == "cooperative" else solution[t][0].V_xx, exact.P[t])


def test_long_horizon_is_the_algebraic_riccati_equation():
    game = make(horizon=200)
    solution = solved(game, "feedback")[2]
    close(solution[0][0].V_xx, lq.infinite_horizon(game))
    close(lq.riccati(game).P[0], lq.infinite_horizon(game))


@pytest.mark.parametrize("players", [2, 3])
def test_cooperative_is_the_team_regulator(players):
    game = make(players)
    solution, exact = solved(game, "cooperative")[2], lq.riccati(game)
    for t in range(game.horizon):
        close(solution[t].W_xx, exact.P[t])
        for n in range(players):
            close(solution[t][n].K, exact.K[t][n])


@pytest.mark.parametrize("players, structure", [(1, "feedback"), (2, "cooperative")])
def test_one_iteration_reaches_the_optimum(players, structure):
    """From any controls; checked against the Riccati policy and a general-purpose minimiser."""
    game = make(players)
    x0, updated = one_iteration(game, structure)
    exact = lq.riccati(game)
    x = x0
    for t, stage in enumerate(updated):
        for u, K in zip(stage, exact.K[t], strict=True):
            close(u, -K @ x)
        x = game.A @ x + sum(B @ u for B, u in zip(game.B, stage, strict=True))
    optimum = 0.5 * x0 @ exact.P[0] @ x0
    close(game.cost(x0, updated), optimum)
    sizes = np.cumsum([u.size for stage in updated for u in stage])[:-1]

    def total(flat):
        parts = iter(np.split(flat, sizes))
        return game.cost(x0, [[next(parts) for _ in stage] for stage in updated])

    found = scipy.optimize.minimize(total, np.zeros(sum(u.size for s in updated for u in s)))
    assert game.cost(x0, updated) <= found.fun + 1e-12
    np.testing.assert_allclose(found.fun, optimum, rtol=1e-8)


def test_feedback_structure_is_the_single_player_regulator_and_not_nash():
    """(9)-(10) leave the others out: the gain of (A, B_n) alone, for every player."""
    game = make(2)
    solution = solved(game, "feedback")[2]
    nash = lq.feedback_nash(game)
    for n in range(2):
        alone = lq.riccati(game.only(n))
        for t in range(game.horizon):
            close(solution[t][n].K, alone.K[t][0])
            close(solution[t][n].V_xx, alone.P[t])
        assert np.max(np.abs(solution[0][n].K.numpy() - nash.K[0][n])) > 1e-2
    x0, updated = one_iteration(game, "feedback")
    assert game.cost(x0, updated) > 1.01 * 0.5 * x0 @ lq.riccati(game).P[0] @ x0


@pytest.mark.parametrize("players", [2, 3])
def test_simultaneous_solve_is_the_feedback_nash_equilibrium(players):
    game = make(players)
    solution, exact = solved(game, "feedback_nash")[2], lq.feedback_nash(game)
    for t in range(game.horizon):
        for n in range(players):
            close(solution[t][n].K, exact.K[t][n])
            close(solution[t][n].V_xx, exact.P[t][n])


def test_nash_policies_are_best_responses():
    """With the others' policies in the dynamics, each player's Riccati gain is its own policy."""
    game = make(2, horizon=5)
    nash = lq.feedback_nash(game)
    for n in range(2):
        P = np.asarray(game.Q_T)
        for t in reversed(range(game.horizon)):
            closed = game.A - game.B[1 - n] @ nash.K[t][1 - n]
            B, R = game.B[n], game.R[n]
            K = np.linalg.solve(R + B.T @ P @ B, B.T @ P @ closed)
            P = game.Q + closed.T @ P @ (closed - B @ K)
            close(K, nash.K[t][n])
        close(P, nash.P[0][n])


def test_nash_value_along_a_trajectory_is_its_expansion():
    """V_x of the simultaneous solve about any trajectory: finite differences of the cost-to-go."""
    game = make(2, horizon=3)
    x0, controls, solution = solved(game, "feedback_nash")
    states = game.states(x0, controls)

    def payoff(x, n):
        total = 0.0
        for t, stage in enumerate(controls):
            dx = x - states[t]
            moved = [
                u - (g.k.numpy() + g.K.numpy() @ dx)
                for u, g in zip(stage, solution[t].players, strict=True)
            ]
            total += 0.5 * x @ game.Q @ x + 0.5 * moved[n] @ game.R[n] @ moved[n]
            x = game.A @ x + sum(B @ u for B, u in zip(game.B, moved, strict=True))
        return total + 0.5 * x @ game.Q_T @ x

    for n in range(2):
        for i in range(4):
            e = np.eye(4)[i]
            slope = (payoff(x0 + e, n) - payoff(x0 - e, n)) / 2  # exact for a quadratic
            close(solution[0][n].V_x.numpy()[i], slope)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"Q": np.eye(3)}, "one size"),
        ({"R": []}, "one R per player"),
        ({"B": [np.ones((3, 2))]}, r"B \(n, p\)"),
        ({"horizon": 0}, "horizon"),
    ],
)
def test_refusals(change, message):
    game = make()
    arguments = {name: getattr(game, name) for name in ("A", "B", "Q", "R", "Q_T", "horizon")}
    with pytest.raises(ValueError, match=message):
        LQGame(**{**arguments, **change})
