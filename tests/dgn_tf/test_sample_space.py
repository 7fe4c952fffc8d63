"""The sample-space recursion against the dense game, all cross-sample terms included."""

from itertools import chain

import networks
import numpy as np
import pytest
import tensorflow as tf
from networks import NETWORKS, linearise

from dgn_tf.recursion import dense, sample_space
from dgn_tf.recursion.stage_value import StageValue


class Game:
    """A random network on a random batch: dense stages, tangents, and preconditioners."""

    def __init__(self, name, B, terminal, weight_decay=1e-2, seed=0, copies=1):
        rng = np.random.default_rng(seed)
        self.stages = networks.initialise(NETWORKS[name](), rng)
        run = linearise(self.stages, rng.standard_normal((B, 3)))
        labels = rng.integers(3, size=B)
        parts = [
            networks.softmax_cross_entropy(z, y) for z, y in zip(run.logits, labels, strict=True)
        ]
        Z, v, C, hessians = [], [], [], []
        for _, gradient, hessian in parts:
            if terminal == "exact":
                p = np.diag(hessian) + (gradient + (gradient < 0)) ** 2  # p from diag(p) - pp'
                root = (np.eye(3) - np.outer(p, np.ones(3))) @ np.diag(np.sqrt(p))
                np.testing.assert_allclose(root @ root.T, hessian, atol=1e-14)
                Z.append(root)
                v.append(np.linalg.pinv(root) @ gradient)
                C.append(np.ones(3))
                hessians.append(hessian)
            else:
                h = gradient @ hessian @ gradient / (gradient @ gradient) ** 2
                Z.append(gradient[:, None])
                v.append(np.ones(1))
                C.append([h])
                hessians.append(h * np.outer(gradient, gradient))
        self.v, self.C = np.concatenate(v), np.concatenate(C)
        self.phi_x = np.concatenate([p[1] for p in parts]) / B
        self.phi_xx = networks.block_diagonal(hessians) / B
        self.B, self.wd = B, weight_decay
        self.M, self.dense, self.U, self.D = [], [], [], []
        D = networks.block_diagonal(Z)
        for t in reversed(range(len(self.stages))):
            stage = self.stages[t]
            F_n = [F for F in run.F_n[t] for _ in range(copies)]
            weights = [w for w in stage.weights for _ in range(copies)]
            slots = stage.in_slots if copies == 1 else list
            metrics = []
            for w in stage.weights:
                root = rng.standard_normal((len(w), len(w))) / np.sqrt(len(w))
                metrics += [root @ root.T + 0.3 * np.eye(len(w))] * copies
            self.dense.append(
                dense.DenseStage(
                    run.F_x[t],
                    slots(F_n),
                    slots([weight_decay * w for w in weights]),
                    slots([weight_decay for _ in weights]),
                )
            )
            self.M.append(slots(metrics))
            self.U.append(slots([F.T @ D for F in F_n]))
            D = run.F_x[t].T @ D
            self.D.append(D)
        for part in (self.M, self.dense, self.U, self.D):
            part.reverse()

    def metrics(self, form, lr):
        """M with l_uu where it joins: M / lr + wd I = (M + lr wd I) / lr."""
        shift = lr * self.wd if form == "proximal" else 0.0
        return [
            [None if M is None else M + shift * np.eye(len(M)) for M in stage] for stage in self.M
        ]

    def kernels(self, form, lr, dtype=np.float64):
        kernels, decay = [], []
        for t, stage in enumerate(self.metrics(form, lr)):
            kernels.append([])
            decay.append([])
            for n, M in enumerate(stage):
                if M is None:
                    kernels[-1].append(None)
                    decay[-1].append(None)
                    continue
                U = self.U[t][n]
                kernels[-1].append(tf.constant(U.T @ np.linalg.solve(M, U), dtype))
                l_u = self.dense[t].l_u[n]
                decay[-1].append(tf.constant(U.T @ np.linalg.solve(M, l_u), dtype))
        return kernels, decay

    def solve(self, form, structure, lr, dtype=np.float64, **options):
        kernels, decay = self.kernels(form, lr, dtype)
        return sample_space.solve(
            tf.constant(self.v, dtype),
            tf.constant(self.C, dtype),
            kernels,
            decay if self.wd else None,
            tf.constant(lr, dtype),
            tf.constant(self.B, dtype),
            form,
            structure,
            **options,
        )

    def reference(self, form, structure, lr, **options):
        return dense.solve(
            self.dense, self.phi_x, self.phi_xx, structure, M=self.M, form=form, lr=lr, **options
        )

    def gains(self, values, form, lr, t, n):
        """k and K of the player in slot n from its weights."""
        M, U, D = self.metrics(form, lr)[t][n], self.U[t][n], self.D[t]
        value = values[t][n]
        k = lr * np.linalg.solve(M, U @ value.weights().numpy() / self.B + self.dense[t].l_u[n])
        K = lr / self.B * np.linalg.solve(M, U @ value.C().numpy() @ D.T)
        return k, K

    def assert_equal(self, values, solution, form, lr, tolerance=1e-9):
        for t, stage in enumerate(self.dense):
            for n in range(len(values[t])):
                assert (values[t][n] is None) == (n not in stage.present)
            for n in stage.present:
                k, K = self.gains(values, form, lr, t, n)
                for ours, theirs in ((k, solution[t][n].k), (K, solution[t][n].K)):
                    theirs = np.asarray(theirs)
                    scale = max(np.max(np.abs(theirs)), 1e-8)
                    assert np.max(np.abs(ours - theirs)) <= tolerance * scale


def flat(values):
    return [value for stage in values for value in stage]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("structure", ["feedback", "cooperative"])
@pytest.mark.parametrize("terminal", ["rank_one", "exact"])
def test_equals_the_dense_game(name, structure, terminal):
    for B in (1, 3, 5):
        game = Game(name, B, terminal)
        for form in ("explicit", "proximal"):
            lr = 0.7
            solution = game.reference(form, structure, lr)
            game.assert_equal(game.solve(form, structure, lr), solution, form, lr)


@pytest.mark.parametrize("name", ["residual_late", "inception", "cooperative_block"])
@pytest.mark.parametrize("form", ["coupled", "feedback_only"])
@pytest.mark.parametrize("structure", ["feedback", "cooperative"])
def test_other_forms_equal_the_dense_game(name, form, structure):
    game = Game(name, 3, "exact")
    solution = game.reference(form, structure, 0.2)
    game.assert_equal(game.solve(form, structure, 0.2), solution, form, 0.2)


@pytest.mark.parametrize("form", ["explicit", "proximal"])
def test_duplicated_players_equal_the_dense_game(form):
    game = Game("inception", 3, "rank_one")
    options = {"absent_players": "duplicated"}
    solution = game.reference(form, "feedback", 0.7, **options)
    values = game.solve(form, "feedback", 0.7, **options)
    game.assert_equal(values, solution, form, 0.7)
    dummy = game.solve(form, "feedback", 0.7)
    assert np.max(np.abs(values[1][1].v - dummy[1][1].v)) > 1e-4


@pytest.mark.parametrize("form", ["explicit", "proximal", "coupled"])
@pytest.mark.parametrize("structure", ["open_loop", "open_loop_cooperative"])
def test_open_loop_structures_equal_the_dense_game(form, structure):
    """Open loop with a proximal or coupled form is the preconditioned gradient: no curvature."""
    game = Game("cooperative_block", 3, "exact", weight_decay=0.0)
    values = game.solve(form, structure, 0.4)
    assert all(value.is_open for stage in values for value in stage)
    form = "explicit" if structure == "open_loop" else form
    game.assert_equal(values, game.reference(form, structure, 0.4), form, 0.4)


@pytest.mark.parametrize("form", ["explicit", "proximal", "coupled"])
def test_agents_equal_that_many_players(form):
    """The counted form against a game in which every layer really is three players."""
    game, one = Game("residual_late", 3, "exact", copies=3), Game("residual_late", 3, "exact")
    lr = 0.05
    solution = game.reference(form, "cooperative", lr)
    values = one.solve(form, "cooperative", lr, agents=[3] * 4)
    for t in range(4):
        for n in one.dense[t].present:
            k, K = one.gains(values, form, lr, t, n)
            for m in range(3 * n, 3 * n + 3):
                np.testing.assert_allclose(k, solution[t][m].k, atol=1e-10)
                np.testing.assert_allclose(K, solution[t][m].K, atol=1e-10)


def test_coupled_agents_are_levenberg_marquardt():
    """One layer, N agents: the summed update is N (I/lr + (N-1) G)⁻¹ g."""
    game = Game("chain", 5, "exact", weight_decay=0.0)
    U, B, lr, N = game.U[2][0], game.B, 0.3, 4
    kernel = tf.constant(U.T @ U)
    value = sample_space.solve(
        tf.constant(game.v), tf.constant(game.C), [[kernel]], None, lr, B, "coupled", agents=[N]
    )[0][0]
    G, g = U @ U.T / B, U @ game.v / B
    exact = N * np.linalg.solve(np.eye(len(g)) / lr + (N - 1) * G, g)
    np.testing.assert_allclose(N * lr / B * U @ value.v.numpy(), exact, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("form", ["explicit", "proximal"])
def test_agents_are_a_larger_step_in_the_other_forms(form):
    game = Game("residual_early", 3, "rank_one", weight_decay=0.0)
    many = game.solve(form, "cooperative", 0.1, agents=[4] * 4)
    large = game.solve(form, "cooperative", 0.4)
    for t in range(4):
        np.testing.assert_allclose(many[t][0].v, large[t][0].v, atol=1e-12)
        np.testing.assert_allclose(many[t][0].C(), large[t][0].C(), atol=1e-12)


def test_proximal_contracts_and_explicit_does_not():
    game = Game("chain", 5, "exact", weight_decay=0.0)
    C = game.solve("proximal", "cooperative", 1e4)[0][0].C().numpy()
    assert -1e-12 <= np.linalg.eigvalsh(C).min() <= np.linalg.eigvalsh(C).max() <= 1 + 1e-12
    assert np.abs(game.solve("explicit", "cooperative", 1e4)[0][0].C()).max() > 1e6


def test_single_precision():
    """Within rounding of double precision at a moderate step; finite and contracting at any."""
    game = Game("inception", 5, "exact")
    for structure in ("feedback", "cooperative"):
        wide = game.solve("proximal", structure, 0.5)
        single = game.solve("proximal", structure, 0.5, np.float32)
        for ours, theirs in zip(flat(single), flat(wide), strict=True):
            if ours is not None:
                np.testing.assert_allclose(ours.v, theirs.v, atol=5e-5)
                np.testing.assert_allclose(ours.C(), theirs.C(), atol=5e-5)
        for lr in (1e3, 1e6, 1e9):
            for value in flat(game.solve("proximal", structure, lr, np.float32)):
                if value is not None:
                    assert np.isfinite(value.v).all()
                    assert np.abs(value.C()).max() <= 1.0 + 1e-5


def test_weights_add_the_feedback_and_dense_curvature_is_the_operator():
    game = Game("residual_late", 3, "exact")
    s = np.random.default_rng(3).standard_normal(9)
    for form in ("explicit", "proximal", "coupled", "feedback_only"):
        value = game.solve(form, "cooperative", 0.2)[1][0]
        np.testing.assert_allclose(value.apply(s), value.C().numpy() @ s, atol=1e-12)
        np.testing.assert_allclose(value.weights(s), value.v + value.C().numpy() @ s, atol=1e-12)
    loop = StageValue(tf.constant(game.v))
    assert loop.is_open
    assert not loop.apply(s).numpy().any()
    assert not loop.C().numpy().any()


def test_compiles():
    game = Game("residual_late", 3, "exact")
    eager = game.solve("proximal", "cooperative", 0.5)

    @tf.function(jit_compile=True)
    def compiled(s):
        values = game.solve("proximal", "cooperative", 0.5)
        return [stage[0].weights(s) for stage in values]

    s = tf.ones(9, tf.float64)
    for ours, stage in zip(compiled(s), eager, strict=True):
        np.testing.assert_allclose(ours, stage[0].weights(s), atol=1e-10)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"form": "implicit"}, "form"),
        ({"structure": "closed"}, "structure"),
        ({"absent_players": "none"}, "absent_players"),
        ({"kernels": [[None]]}, "Every stage needs a player"),
    ],
)
def test_refusals(arguments, message):
    kernels = arguments.pop("kernels", [[tf.eye(2)]])
    with pytest.raises(ValueError, match=message):
        sample_space.solve(tf.ones(2), tf.ones(2), kernels, None, 0.1, 2.0, **arguments)


def test_duplicated_players_use_the_lowest_slot_s_kernel():
    """Slot 2 is absent at the last stage and answers there with slot 0's kernel, not slot 1's."""
    rng = np.random.default_rng(8)
    roots = rng.standard_normal((4, 5, 5))
    first, second, third, other = (root @ root.T for root in roots)
    v, C = tf.ones(5, tf.float64), tf.ones(5, tf.float64)
    kernels = [[third, other, first], [second, third, None]]
    options = {"structure": "feedback", "absent_players": "duplicated"}
    game = sample_space.solve(v, C, kernels, None, 0.1, 1.0, "proximal", **options)
    alone = [[first], [second]]
    chain = sample_space.solve(v, C, alone, None, 0.1, 1.0, "proximal", "feedback")
    np.testing.assert_allclose(game[0][2].v, chain[0][0].v, rtol=1e-12)
    np.testing.assert_allclose(game[0][2].C(), chain[0][0].C(), atol=1e-12)


@pytest.mark.parametrize("structure", ["cooperative", "feedback", "open_loop_cooperative"])
def test_columns_without_curvature_need_no_row_of_the_factorisation(structure):
    rng = np.random.default_rng(4)
    samples, columns = 3, 4
    n = samples * columns
    roots = rng.standard_normal((3, 2, n, 7))
    kernels = [[tf.constant(X @ X.T) for X in stage] for stage in roots]
    decay = [[tf.constant(q) for q in stage] for stage in rng.standard_normal((3, 2, n))]
    C = rng.uniform(0.1, 1.0, (samples, columns))
    C[:, -1] = 0.0
    v, s = (tf.constant(x) for x in rng.standard_normal((2, n)))
    for q in (decay, None):
        whole, fewer = (
            sample_space.solve(
                v, tf.constant(C.ravel()), kernels, q, 0.3, samples, structure=structure, flat=flat
            )
            for flat in (None, (1, columns))
        )
        for all_rows, these in zip(*map(chain.from_iterable, (whole, fewer)), strict=True):
            np.testing.assert_allclose(these.weights(s), all_rows.weights(s), rtol=1e-12)
            np.testing.assert_allclose(these.C(), all_rows.C(), rtol=1e-12, atol=1e-14)
