"""The Khatri-Rao system and Proposition 5 against dense solutions of the joint matrix."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from captures import dense, joint_matrix, patches

from dgn_tf.curvature import KFACBlock
from dgn_tf.curvature.kfac import kronecker
from dgn_tf.recursion import khatri_rao, prop5

SAMPLES = 32


def players(correlation=0.5, count=2, has_bias=True, samples=SAMPLES):
    """Dense players whose inputs and cotangents share a part of the given correlation."""
    rng = np.random.default_rng(0)
    shared_a, shared_g = rng.standard_normal((samples, 6)), rng.standard_normal((samples, 1, 6))
    own = np.sqrt(1 - correlation**2)
    captures = []
    for inputs, outputs in ((5, 3), (4, 2), (3, 3))[:count]:
        x = correlation * shared_a[:, :inputs] + own * rng.standard_normal((samples, inputs))
        g = correlation * shared_g[..., :outputs]
        g = g + own * rng.standard_normal((samples, 1, outputs))
        captures.append(dense(tf.constant(x), tf.constant(g), has_bias))
    right = [tf.constant(rng.standard_normal((cap.rows, cap.outputs))) for cap in captures]
    return captures, right


def solve(captures, right, damping, iterations=6):
    factors = khatri_rao.joint_factors(captures, damping)
    return khatri_rao.conjugate_gradients(factors, right, iterations)


def dense_solution(factors, right):
    H = joint_matrix(factors).numpy()
    return np.linalg.solve(H, np.concatenate([y.numpy().ravel() for y in right]))


def stacked(X):
    return np.concatenate([x.numpy().ravel() for x in X])


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_six_iterations_suffice(count, correlation):
    captures, right = players(correlation, count)
    factors = khatri_rao.joint_factors(captures, 1e-2)
    exact = dense_solution(factors, right)
    errors = []
    for iterations in (0, 3, 6):
        solution = khatri_rao.conjugate_gradients(factors, right, iterations)
        errors.append(np.linalg.norm(stacked(solution) - exact) / np.linalg.norm(exact))
    assert errors[2] <= (2e-4 if correlation <= 0.5 else 2e-2)
    if count > 1:
        assert errors[0] > errors[1] > errors[2]
    np.testing.assert_allclose(stacked(solve(captures, right, 1e-2)), stacked(solution), atol=1e-12)


def test_enough_iterations_are_exact():
    captures, right = players(0.9, 3)
    factors = khatri_rao.joint_factors(captures, 1e-2)
    solution = khatri_rao.conjugate_gradients(factors, right, 60)
    np.testing.assert_allclose(stacked(solution), dense_solution(factors, right), rtol=1e-8)
    left = stacked(right) - joint_matrix(factors).numpy() @ stacked(solution)
    assert np.linalg.norm(left) < 1e-10 * np.linalg.norm(stacked(right))


def test_zero_iterations_are_each_players_own_kfac():
    captures, right = players(0.5)
    solution = solve(captures, right, 1e-2, iterations=0)
    for cap, y, x in zip(captures, right, solution, strict=True):
        block = KFACBlock(1e-2)
        state = {
            name: tf.Variable(np.full(shape, 0.0 if isinstance(initial, str) else initial))
            for name, (shape, initial) in block.state_spec(cap.layout).items()
        }
        block.observe(state, cap, cap.weighted(cap.c), 0)
        own = block.on(state, cap, 1).solve(cap.tensors(y))
        np.testing.assert_allclose(cap.matrix(own), x, rtol=1e-9)


def test_the_joint_matrix_is_positive_definite_and_its_blocks_are_the_factors():
    captures, _ = players(0.9, 3)
    H = joint_matrix(khatri_rao.joint_factors(captures, 1e-2)).numpy()
    np.testing.assert_allclose(H, H.T, atol=1e-12)
    assert np.linalg.eigvalsh(H).min() > 1e-3
    a = [cap.a[:, 0].numpy() for cap in captures]
    g = [cap.g[:, 0, 0].numpy() for cap in captures]
    block = np.kron(a[0].T @ a[1] / SAMPLES, g[0].T @ g[1] / SAMPLES)
    np.testing.assert_allclose(
        H[: len(block), len(H[:18]) : 18 + block.shape[1]], block, atol=1e-12
    )


def test_with_positions_and_single_precision():
    rng = np.random.default_rng(4)
    captures = [
        patches(
            tf.constant(rng.standard_normal((8, 5, 3)), tf.float32),
            tf.constant(rng.standard_normal((8, 5, 2, 2)), tf.float32),
        )
        for _ in range(2)
    ]
    right = [tf.constant(rng.standard_normal((4, 2)), tf.float32) for _ in range(2)]
    factors = khatri_rao.joint_factors(captures, 1e-2)
    A, B = factors.A[0][1].numpy(), factors.B[0][1].numpy()
    a, g = [c.a.numpy() for c in captures], [c.g.numpy() for c in captures]
    np.testing.assert_allclose(A, np.einsum("bpi,bpj->ij", *a) / 8, atol=1e-5)
    np.testing.assert_allclose(B, np.einsum("bpro,bprq->oq", *g) / 40, atol=1e-5)
    solution = solve(captures, right, 1e-2, 12)
    np.testing.assert_allclose(stacked(solution), dense_solution(factors, right), atol=2e-3)


def schur_complement(factors):
    H = joint_matrix(factors).numpy()
    size = int(factors.A[0][0].shape[0] * factors.B[0][0].shape[0])
    H_uv = H[:size, size:]
    return H[:size, :size] - H_uv @ np.linalg.solve(H[size:, size:], H_uv.T)


def over_step(correlation, damping=1e-4, has_bias=False):
    """Mean factor by which Proposition 5's matrix falls short of the Schur complement."""
    captures = players(correlation, 2, has_bias, samples=4096)[0]
    factors = khatri_rao.joint_factors(captures, damping)
    exact, theirs = (
        schur_complement(factors),
        kronecker(*prop5.schur_factors(factors, 0, 1)).numpy(),
    )
    assert np.linalg.eigvalsh(exact - theirs).min() > -1e-10
    return np.trace(np.linalg.solve(theirs, exact)) / len(exact)


def test_proposition_5_under_estimates_the_schur_complement():
    """Always in the positive semidefinite order; the over-step grows with the correlation."""
    steps = [over_step(correlation) for correlation in (0.0, 0.5, 0.9, 0.99)]
    assert all(earlier < later for earlier, later in itertools.pairwise(steps))
    assert 1.0 < steps[0] < 1.02
    assert 2.0 < steps[2] < 20.0


def test_proposition_5_and_biases():
    """Two players with biases share an input, the constant 1: independent or not, no limit."""
    assert over_step(0.0, 1e-2, has_bias=True) > 1.2
    assert over_step(0.0, 1e-6, has_bias=True) > 50.0


def test_proposition_5_has_no_limit_where_players_share_their_input():
    """Fictitious agents and cooperative blocks: the over-step is of the order 1 / √damping."""
    captures, _ = players(0.5)
    twin = dense(captures[0].plain_inputs[:, 0], captures[0].g[:, 0] + 0.0)
    ratios = []
    for damping in (1e-2, 1e-4, 1e-6):
        factors = khatri_rao.joint_factors([captures[0], twin], damping)
        exact, theirs = (
            schur_complement(factors),
            kronecker(*prop5.schur_factors(factors, 0, 1)).numpy(),
        )
        ratios.append(np.linalg.eigvalsh(exact).max() / np.linalg.eigvalsh(theirs).max())
    np.testing.assert_allclose(np.log10(ratios[1:]) - np.log10(ratios[:-1]), 1.0, atol=0.15)


def test_proposition_5_solves_its_own_equation():
    captures, right = players(0.5)
    factors = khatri_rao.joint_factors(captures, 1e-2)
    X = prop5.solve(captures, right, 1e-2)
    H = joint_matrix(factors).numpy()
    u, v = (y.numpy().ravel() for y in right)
    size = len(u)
    reduced = u - H[:size, size:] @ np.linalg.solve(H[size:, size:], v)
    matrix = kronecker(*prop5.schur_factors(factors, 0, 1)).numpy()
    np.testing.assert_allclose(X[0].numpy().ravel(), np.linalg.solve(matrix, reduced), rtol=1e-8)


def test_refusals():
    captures, right = players(0.5, 3)
    with pytest.raises(ValueError, match="two players"):
        prop5.solve(captures, right, 1e-2)
    with pytest.raises(ValueError, match="iterations"):
        solve(captures, right, 1e-2, -1)
    g = tf.repeat(captures[0].g, 2, axis=1)
    other = patches(tf.ones((SAMPLES, 2, 3), tf.float64), g)
    with pytest.raises(ValueError, match="number of positions"):
        solve([captures[0], other], right[:2], 1e-2)
