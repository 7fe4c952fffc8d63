"""Zero-sum games against their saddle: the Riccati equation of the minimax problem."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fictitious_play import lq

INFORMATION = ["open_loop", "closed_loop"]


def pursuit(a, rp, re, horizon, steps, discount=0.0):
    """Ho, Bryson and Baron (1965), by relative position: `dx = (u - v) dt + .3 dW`."""
    return lq.zero_sum_form(
        A=[[0.0]], B=[[[1.0]], [[-1.0]]], Q=[[0.0]], S=None, R=[[[rp]], [[re]]], G=[[a]],
        L=[[0.3]], horizon=horizon, steps=steps, initial_mean=[1.0], initial_covariance=[[0.1]],
        discount=discount,
    )  # fmt: skip


@pytest.mark.parametrize("structure", INFORMATION)
def test_pursuit_and_evasion_have_the_published_gains(structure):
    a, rp, re, T = 2.0, 1.0, 2.5, 1.0
    K = 1.0 / (1.0 / a + (1.0 / rp - 1.0 / re) * T)
    exact = lq.nash(pursuit(a, rp, re, T, 50), structure, "continuous")
    np.testing.assert_allclose(exact.gains[0].ravel(), [-K / rp, -K / re], rtol=1e-10)
    # ½ K(0) E x_0² + ½ σ² ∫ K dt, and K = 1/(1/a + c s) has the integral ln(1 + a c T)/c.
    c = 1.0 / rp - 1.0 / re
    value = 0.5 * K * 1.1 + 0.5 * 0.09 * np.log1p(a * c * T) / c
    np.testing.assert_allclose(exact.cost, [value, -value], rtol=1e-10)
    errors = [
        abs(lq.nash(pursuit(a, rp, re, T, steps), structure).cost[0] - value)
        for steps in (100, 200)
    ]
    assert errors[0] / errors[1] == pytest.approx(2.0, abs=0.05)


def test_an_evader_who_can_gain_without_bound_leaves_no_open_loop_saddle():
    # Her own problem, v against a given u: conjugate point at a T/re = 1; the pursuer's answer in
    # closed loop takes it away.
    assert lq.nash(pursuit(2.0, 1.0, 2.1, 1.0, 1000)).cost[0] > 0.0
    with pytest.raises(lq.NoEquilibriumError, match="player 1 is not convex"):
        lq.nash(pursuit(2.0, 1.0, 1.9, 1.0, 1000))
    assert lq.nash(pursuit(2.0, 1.0, 1.9, 1.0, 1000), "closed_loop").cost[0] > 0.0


def random_saddle(seed, steps, discount):
    generator = np.random.default_rng(seed)

    def symmetric(n):
        root = generator.normal(size=(n, n))
        return 0.5 * (root + root.T)

    return {
        "A": generator.normal(size=(3, 3)),
        "B": [generator.normal(size=(3, 2)), generator.normal(size=(3, 1))],
        "Q": symmetric(3),
        "S": [0.3 * generator.normal(size=(k, 3)) for k in (2, 1)],
        "R": [2.0 * np.eye(2), 2.5 * np.eye(1)],
        "G": symmetric(3),
        "L": generator.normal(size=(3, 2)),
        "horizon": 0.4,
        "steps": steps,
        "initial_mean": np.ones(3),
        "initial_covariance": 0.3 * np.eye(3),
        "discount": discount,
    }


def minimax(A, B, Q, S, R, G, L, horizon, steps, initial_mean, initial_covariance, discount):
    """Gains and value from the one Riccati equation of the minimax problem (Başar, Bernhard)."""
    h, B, S = horizon / steps, np.hstack(B), np.vstack(S)
    R = np.block([[R[0], np.zeros((2, 1))], [np.zeros((1, 2)), -R[1]]])
    A_hat, P, gains, noise = np.eye(3) + h * A, G, [], 0.0
    worth = np.exp(-discount * h)
    for _ in range(steps):
        P, noise = worth * P, worth * noise
        noise += 0.5 * h * np.trace(P @ L @ L.T)
        M, row = R + h * B.T @ P @ B, S + B.T @ P @ A_hat
        gains.insert(0, -np.linalg.solve(M, row))
        P = h * Q + A_hat.T @ P @ A_hat + h * row.T @ gains[0]
    second = initial_covariance + np.outer(initial_mean, initial_mean)
    return np.array(gains), 0.5 * np.trace(P @ second) + noise


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.sampled_from([0.0, 0.8]))
def test_saddles_of_random_games(seed, steps, discount):
    matrices = random_saddle(seed, steps, discount)
    form = lq.zero_sum_form(**matrices)
    gains, value = minimax(**matrices)
    found = 0
    for structure in INFORMATION:
        try:
            exact = lq.nash(form, structure)
        except lq.NoEquilibriumError as error:
            assert error.curvature <= 0.0  # noqa: PT017
            continue
        found += 1
        scale = np.abs(gains).max()
        np.testing.assert_allclose(exact.gains, gains, rtol=0, atol=1e-9 * scale)
        np.testing.assert_allclose(exact.cost, [value, -value], rtol=1e-8, atol=1e-9 * scale)
        left = lq.profile_exploitability(form, exact.gains, structure)
        np.testing.assert_allclose(left.gain, 0.0, atol=1e-12 * scale**2)
        assert np.all(np.isfinite(left.relative))
    # What an open-loop player can do against a process she could do against a feedback.
    if found == 1:
        lq.nash(form, "closed_loop")


def test_bad_sides():
    good = random_saddle(0, 2, 0.0)
    for change, words in (
        ({"B": good["B"][:1]}, "`B` must have one matrix for each of the two players"),
        ({"B": [np.ones(3)] * 2}, "`B` must have matrices of the shape"),
        ({"S": good["S"][::-1]}, r"`S\[0\]` must have the shape \(2, 3\)"),
        ({"R": [np.eye(2), -np.eye(1)]}, "positive definite in the player's own controls"),
        ({"G": np.eye(2)}, r"`G\[0\]` must have the shape"),
    ):
        with pytest.raises(ValueError, match=words) as caught:
            lq.zero_sum_form(**(good | change))
        assert "Received" in str(caught.value)
