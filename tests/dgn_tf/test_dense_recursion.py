"""The exact recursion against reference solutions made by another program, and its identities."""

import networks
import numpy as np
import pytest
import tensorflow as tf
from networks import CASES, NETWORKS, linearise

from dgn_tf.recursion.dense import DenseStage, cooperative_value, solve, symmetric_solve

FILES = sorted(path.name for path in CASES.glob("*.npz"))


def read_case(name):
    case = np.load(CASES / name)
    stages = networks.chain() if name.startswith("chain") else networks.residual_late()
    for t, stage in enumerate(stages):
        stage.weights = [case[f"th_{t}_{n}"] for n in range(len(stage.inputs))]
    return case, stages


def terminal(logits, labels, gauss_newton=False):
    parts = [networks.softmax_cross_entropy(z, y) for z, y in zip(logits, labels, strict=True)]
    hessians = [np.outer(p[1], p[1]) if gauss_newton else p[2] for p in parts]
    B = len(labels)
    return (
        sum(p[0] for p in parts) / B,
        np.concatenate([p[1] for p in parts]) / B,
        networks.block_diagonal(hessians) / B,
    )


def game_of(stages, linearised, weight_decay):
    return [
        DenseStage(
            F_x=linearised.F_x[t],
            F_n=stage.in_slots(linearised.F_n[t]),
            l_u=stage.in_slots([weight_decay * w for w in stage.weights]),
            l_uu=stage.in_slots([weight_decay for _ in stage.weights]),
        )
        for t, stage in enumerate(stages)
    ]


def present(result):
    return [player for player in result.players if player is not None]


def roll_out(stages, x0, solution, states):
    """Algorithm 1, lines 8 to 12: the weights of every stage from the state so far updated."""
    weights, x = [], x0
    for t, stage in enumerate(stages):
        dx = (x - states[t]).reshape(-1)
        new = [
            w - (np.asarray(p.k) + np.asarray(p.K) @ dx)
            for w, p in zip(stage.weights, present(solution[t]), strict=True)
        ]
        weights.append(new)
        x = networks.forward([stage], x, [new])[-1]
    return weights, x


def close(ours, theirs, tolerance=1e-8):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    assert np.max(np.abs(ours - theirs)) <= tolerance * max(np.max(np.abs(theirs)), 1e-6)


@pytest.mark.parametrize("name", FILES)
def test_reference_cases(name):
    case, stages = read_case(name)
    wd = float(case["wd"])
    run = linearise(stages, case["x0"])
    phi, phi_x, phi_xx = terminal(run.logits, case["labels"], name.endswith("gn.npz"))
    decay = 0.5 * wd * sum(w @ w for stage in stages for w in stage.weights)
    close(phi + decay, case["loss"])
    game = game_of(stages, run, wd)
    solutions = {
        "fne": solve(game, phi_x, phi_xx, structure="feedback"),
        "gr": solve(game, phi_x, phi_xx, structure="cooperative"),
    }
    open_loop = solve(game, phi_x, phi_xx, structure="open_loop")
    for t, stage in enumerate(stages):
        close(run.states[t], case[f"X_{t}"])
        close(solutions["gr"][t].W_x, case[f"gr_Wx_{t}"])
        close(solutions["gr"][t].W_xx, case[f"gr_Wxx_{t}"])
        for n in range(len(stage.inputs)):
            fne = solutions["fne"][t][n]
            close(fne.V_x, case[f"fne_Vx_{t}_{n}"])
            close(fne.V_xx, case[f"fne_Vxx_{t}_{n}"])
            for structure, solution in solutions.items():
                close(solution[t][n].k, case[f"{structure}_k_{t}_{n}"])
                close(solution[t][n].K, case[f"{structure}_K_{t}_{n}"])
            # the co-state ahead gives the gradient of the loss (Proposition 2)
            ahead = phi_x if t + 1 == len(stages) else open_loop[t + 1][0].V_x
            gradient = run.F_n[t][n].T @ np.asarray(ahead) + wd * stage.weights[n]
            close(gradient, case[f"grad_{t}_{n}"])
    for structure, solution in solutions.items():
        new, logits = roll_out(stages, case["x0"], solution, run.states)
        for t, stage in enumerate(stages):
            for n in range(len(stage.inputs)):
                close(new[t][n], case[f"{structure}_new_{t}_{n}"])
        decay = 0.5 * wd * sum(w @ w for own in new for w in own)
        close(terminal(logits, case["labels"])[0] + decay, case[f"loss_{structure}"])


def make_game(name, B=3, seed=0, weight_decay=1e-2, classes=3):
    rng = np.random.default_rng(seed)
    stages = networks.initialise(NETWORKS[name](classes=classes), rng)
    x0 = rng.standard_normal((B, 3))
    labels = rng.integers(classes, size=B)
    run = linearise(stages, x0)
    return game_of(stages, run, weight_decay), *terminal(run.logits, labels)[1:]


@pytest.mark.parametrize("name", ["residual_late", "inception"])
def test_cooperative_gain_is_equation_11(name):
    """(11): player u's gain with the others as one team, by the Schur complement."""
    game, phi_x, phi_xx = make_game(name)
    solution = solve(game, phi_x, phi_xx, structure="cooperative")
    t = 2 if name == "residual_late" else 1
    W_x, W_xx = (np.asarray(v) for v in (solution[t + 1].W_x, solution[t + 1].W_xx))
    stage = game[t]
    for n in range(len(stage.F_n)):
        F = stage.F_n[n]
        others = [m for m in range(len(stage.F_n)) if m != n]
        E = np.concatenate([stage.F_n[m] for m in others], axis=1)
        P_uu = 1e-2 * np.eye(F.shape[1]) + F.T @ W_xx @ F
        P_vv = E.T @ W_xx @ E + 1e-2 * np.eye(E.shape[1])
        P_uv = F.T @ W_xx @ E
        P_u = stage.l_u[n] + F.T @ W_x
        P_v = np.concatenate([stage.l_u[m] for m in others]) + E.T @ W_x
        schur = P_uu - P_uv @ np.linalg.solve(P_vv, P_uv.T)
        k = np.linalg.solve(schur, P_u - P_uv @ np.linalg.solve(P_vv, P_v))
        close(solution[t][n].k, k)
        G = F.T @ W_xx @ stage.F_x - P_uv @ np.linalg.solve(P_vv, E.T @ W_xx @ stage.F_x)
        close(solution[t][n].K, np.linalg.solve(schur, G))


def test_explicit_identity_open_gain_is_the_gradient_and_theorem_6():
    """Theorem 6: (Q_ux, Q_uu) = (0, I) is SGD; (11) without P_uv is (9) at the last stages."""
    game, phi_x, phi_xx = make_game("residual_late")
    M = [[np.eye(len(u)) for u in s.l_u] for s in game]
    flat = 0 * phi_xx
    options = {"M": M, "form": "explicit", "lr": 0.3}
    sgd = solve(game, phi_x, flat, "feedback", **options)
    loop = solve(game, phi_x, phi_xx, "open_loop", **options)
    costate = phi_x
    for t in reversed(range(len(game))):
        for n, F in enumerate(game[t].F_n):
            gradient = game[t].l_u[n] + F.T @ costate
            close(sgd[t][n].k, 0.3 * gradient, 1e-12)
            close(loop[t][n].k, 0.3 * gradient, 1e-12)
            assert not np.any(np.asarray(sgd[t][n].K))
        costate = game[t].F_x.T @ costate
    fne = solve(game, phi_x, phi_xx, "feedback", absent_players="duplicated", **options)
    gr = solve(game, phi_x, phi_xx, "cooperative", **options)
    for t in (3, 2):  # copies of the lone last player: one value function at the two-player stage
        for n in range(len(game[t].F_n)):
            close(gr[t][n].k, fne[t][n].k, 1e-12)
            close(gr[t][n].K, fne[t][n].K, 1e-12)
    # upstream W has lost both players' terms, V^n its own only
    assert np.max(np.abs(gr[1][0].k - fne[1][0].k)) > 1e-3 * np.max(np.abs(fne[1][0].k))


@pytest.mark.parametrize("absent", ["dummy", "duplicated"])
def test_absent_players(absent):
    """A lone player's stage: passed on by dummies, answered in the player's weights by copies."""
    game, phi_x, phi_xx = make_game("residual_late")
    solution = solve(game, phi_x, phi_xx, absent_players=absent)
    last = game[-1]
    V_x, V_xx = (np.asarray(v) for v in (solution[3].V_x[1], solution[3].V_xx[1]))
    if absent == "dummy":
        close(V_xx, last.F_x.T @ phi_xx @ last.F_x, 1e-12)
        close(V_x, last.F_x.T @ phi_x, 1e-12)
    else:
        close(V_xx, solution[3][0].V_xx, 1e-12)
        close(V_x, solution[3][0].V_x, 1e-12)
    # two stages up the slots differ, and the copy answers with its own value function
    V_x, V_xx = (np.asarray(v) for v in (solution[2].V_x[1], solution[2].V_xx[1]))
    lone = game[1]
    Q_ux = lone.F_n[0].T @ V_xx @ lone.F_x
    Q_xx = lone.F_x.T @ V_xx @ lone.F_x
    if absent == "duplicated":
        Q_uu = 1e-2 * np.eye(20) + lone.F_n[0].T @ V_xx @ lone.F_n[0]
        Q_xx = Q_xx - Q_ux.T @ np.linalg.solve(Q_uu, Q_ux)
    close(solution[1].V_xx[1], Q_xx)


def test_cooperative_value_of_an_arbitrary_policy_is_its_cost():
    """(25) for gains that solve nothing: the quadratic of the policy, expanded by hand."""
    rng = np.random.default_rng(1)
    p, n = 5, 3
    root = rng.standard_normal((p + n, p + n))
    whole = root @ root.T
    H, G, P_xx = whole[:p, :p], whole[:p, p:], whole[p:, p:]
    g, P_x = rng.standard_normal(p), rng.standard_normal(n)
    k, K = rng.standard_normal(p), rng.standard_normal((p, n))

    def cost(dx):
        u = -(k + K @ dx)
        return P_x @ dx + g @ u + 0.5 * (dx @ P_xx @ dx + u @ H @ u) + u @ G @ dx

    W_x, W_xx = cooperative_value(*(tf.constant(v) for v in (P_x, P_xx, g, G, H, k, K)))
    for _ in range(3):
        dx = rng.standard_normal(n)
        expansion = cost(np.zeros(n)) + W_x.numpy() @ dx + 0.5 * dx @ W_xx.numpy() @ dx
        np.testing.assert_allclose(expansion, cost(dx), rtol=1e-12)


def test_open_loop_cooperative_solves_each_stage_jointly_and_keeps_the_costate():
    game, phi_x, phi_xx = make_game("cooperative_block")
    solution = solve(game, phi_x, phi_xx, structure="open_loop_cooperative")
    p_x, p_xx = phi_x, phi_xx
    for t in reversed(range(len(game))):
        F = np.concatenate(game[t].F_n, axis=1)
        H = F.T @ p_xx @ F + 1e-2 * np.eye(F.shape[1])
        k = np.linalg.solve(H, F.T @ p_x + np.concatenate(game[t].l_u))
        close(np.concatenate([p.k for p in present(solution[t])]), k)
        assert not any(np.any(np.asarray(p.K)) for p in present(solution[t]))
        p_x, p_xx = game[t].F_x.T @ p_x, game[t].F_x.T @ p_xx @ game[t].F_x
        close(solution[t].W_x, p_x, 1e-12)
        close(solution[t].W_xx, p_xx, 1e-12)


def test_symmetric_solve_is_the_pseudoinverse():
    rng = np.random.default_rng(2)
    root = rng.standard_normal((6, 3))
    H, b = root @ np.diag([1.0, 2.0, -0.5]) @ root.T, rng.standard_normal((6, 2))
    close(symmetric_solve(tf.constant(H), tf.constant(b)), np.linalg.pinv(H) @ b, 1e-10)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"structure": "closed"}, "structure"),
        ({"form": "implicit"}, "form"),
        ({"absent_players": "none"}, "absent_players"),
        ({"form": "proximal"}, "preconditioner M"),
    ],
)
def test_refusals(arguments, message):
    game, phi_x, phi_xx = make_game("chain", B=1)
    with pytest.raises(ValueError, match=message):
        solve(game, phi_x, phi_xx, **arguments)


def test_a_duplicated_player_is_the_stage_s_lowest_slot():
    """Two of three slots present: the third answers in slot 0's weights with its own value."""
    rng = np.random.default_rng(7)

    def stage(present):
        F_n = [rng.standard_normal((4, 3)) if n in present else None for n in range(3)]
        zero = [None if F is None else np.zeros(3) for F in F_n]
        return DenseStage(
            rng.standard_normal((4, 4)), F_n, zero, [1.0 if F is not None else None for F in F_n]
        )

    game = [stage((0, 1)), stage((0, 1, 2))]
    solution = solve(game, np.ones(4), np.eye(4), absent_players="duplicated")
    V_xx = solution[1].V_xx[2].numpy()
    F_x, F = game[0].F_x, game[0].F_n[0]
    Q_ux, Q_uu = F.T @ V_xx @ F_x, np.eye(3) + F.T @ V_xx @ F
    close(solution[0].V_xx[2], F_x.T @ V_xx @ F_x - Q_ux.T @ np.linalg.solve(Q_uu, Q_ux))
    assert solution[0][2] is None
