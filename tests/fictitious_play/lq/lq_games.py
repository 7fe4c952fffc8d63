"""Games that several test files use."""

import dataclasses

import numpy as np
from scipy.integrate import solve_ivp

from fictitious_play import lq


def reference_game(steps=20, **changes):
    """Five players on a line, with common noise: the case with tabulated values."""
    settings = {
        "players": 5,
        "horizon": 1.0,
        "steps": steps,
        "a": 1.0,
        "q": 0.5,
        "epsilon": 1.5,
        "c": 1.0,
        "sigma": 1.0,
        "rho": 0.3,
        "initial_mean": np.linspace(-1.0, 1.0, 5),
    }
    return lq.inter_bank_form(**(settings | changes))


def signed_game(coupling, horizon, steps=40, epsilon=4.0):
    """Two players, `W = [[0, 1], [coupling, 0]]`: the second one's row does not sum to one."""
    return lq.inter_bank_form(
        2, horizon, steps, 0.1, 0.1, epsilon, 1.0, 1.0, 0.0, [[0, 1], [coupling, 0]], [-1.0, 1.0]
    )


def singular_game():
    """One step, two players who gain from a common sum: each convex, both together undetermined."""
    one = np.eye(1)
    return lq.LinearQuadraticForm(
        A=0 * one, B=[one, one], Q=[0 * one] * 2, S=None, R=None, G=[-0.5 * one] * 2, L=None,
        horizon=1.0, steps=1, initial_mean=[1.0], initial_covariance=0 * one,
    )  # fmt: skip


def asymmetric_game(steps=6, players=4, seed=0):
    """Inter-bank game with its own parameters and weights for every player, and common noise."""
    generator = np.random.default_rng(seed)
    q = generator.uniform(0.1, 0.6, players)
    return lq.inter_bank_form(
        players=players,
        horizon=0.8,
        steps=steps,
        a=generator.uniform(0.1, 1.0, players),
        q=q,
        epsilon=q**2 + generator.uniform(0.1, 1.0, players),
        c=generator.uniform(0.1, 1.0, players),
        sigma=generator.uniform(0.3, 1.2, players),
        rho=0.4,
        weights=generator.uniform(0.0, 2.0 / players, (players, players)),
        initial_mean=generator.normal(size=players),
        initial_std=generator.uniform(0.1, 0.8, players),
    )


def vector_game(
    steps=4,
    sizes=(2, 1, 2),
    n=3,
    m=2,
    seed=1,
    varying=False,
    horizon=0.9,
    scale=0.4,
    coupled=False,
    discount=0.0,
):
    """Random game with vector states and controls of unequal sizes and correlated `x_0`.

    `coupled`: every player pays for everybody's controls, in squares and in products with states.
    """
    generator = np.random.default_rng(seed)
    lead = (steps,) if varying else ()

    def random(*shape):
        return scale * generator.normal(size=shape)

    def positive(k, *lead):
        root = random(*lead, k, k)
        return root @ np.swapaxes(root, -1, -2) + 0.05 * np.eye(k)

    root = random(n, n)
    S = [0.1 * random(*lead, k, n) for k in sizes]
    R = [positive(k, *lead) + np.eye(k) for k in sizes]
    if coupled:
        S = [0.1 * random(*lead, sum(sizes), n) for _ in sizes]
        R = [
            np.eye(sum(sizes)) + 0.5 * (block + np.swapaxes(block, -1, -2))
            for block in (random(*lead, sum(sizes), sum(sizes)) for _ in sizes)
        ]
        # Positive in her own controls only.
        for i, matrix in enumerate(R):
            where = slice(sum(sizes[:i]), sum(sizes[: i + 1]))
            matrix[..., where, where] = positive(sizes[i], *lead) + np.eye(sizes[i])
    return lq.LinearQuadraticForm(
        A=random(*lead, n, n),
        B=[random(*lead, n, k) for k in sizes],
        Q=[positive(n, *lead) for _ in sizes],
        S=S,
        R=R,
        G=[positive(n) for _ in sizes],
        L=random(*lead, n, m),
        horizon=horizon,
        steps=steps,
        initial_mean=random(n),
        initial_covariance=root @ root.T,
        discount=discount,
    )


def general(form):
    """The same game, its closed forms forgotten."""
    return dataclasses.replace(form, symmetric_parameters=None)


def scalar_riccati(b, C, D, c, horizon, a=0.0, q=0.0, epsilon=0.0, kappa=1.0):
    """`(η, P, ∫P)` at time zero by scipy's ODE solver, `φ = q + κ η`; backwards in `s = T - t`."""

    def backward(_, y):
        eta, P, _ = y
        phi = q + kappa * eta
        return [
            -2.0 * b * eta - C * eta**2 + D,
            -2.0 * (a + phi) * P + phi**2 - 2.0 * q * phi + epsilon,
            P,
        ]

    solution = solve_ivp(
        backward, (0.0, horizon), [c, c, 0.0], method="DOP853", rtol=1e-13, atol=1e-15
    )
    return solution.y[:, -1]


def random_coefficients(form, seed, scale=0.3):
    """A random adapted linear profile."""
    generator = np.random.default_rng(seed)
    start, m = 1 + form.state_size, form.noise_size
    coefficients = np.zeros((form.steps, form.control_size, start + m * form.steps))
    for t in range(form.steps):
        known = start + m * t
        coefficients[t, :, :known] = scale * generator.normal(size=(form.control_size, known))
    return coefficients
