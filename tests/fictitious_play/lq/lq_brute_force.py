"""Open-loop equilibria of small games as one linear system, written independently."""

import numpy as np


def lifted(form):
    """The whole horizon as one system, written independently: `X_t = a_t x_0 + b_t u + c_t w`.

    `u` stacks the controls of all steps, `w` the noises of all steps.
    """
    h, n, K, m = form.step_size, form.state_size, form.control_size, form.noise_size
    a, b = [np.eye(n)], [np.zeros((n, form.steps * K))]
    c = [np.zeros((n, form.steps * m))]
    for t in range(form.steps):
        varying = [x[t] if np.ndim(x) == 3 else x for x in (form.A, form.L, *form.B)]
        A, L, B = varying[0], varying[1], np.hstack(varying[2:])
        step = np.eye(n) + h * A
        a.append(step @ a[-1])
        b.append(step @ b[-1])
        c.append(step @ c[-1])
        b[-1][:, t * K : (t + 1) * K] += h * B
        c[-1][:, t * m : (t + 1) * m] += L
    return a, b, c


def weights(form, i, t):
    """`Q`, `S` and `R` of player `i` on everybody's controls, discounted, written independently."""
    Q, S, R = (x[i][t] if np.ndim(x[i]) == 3 else x[i] for x in (form.Q, form.S, form.R))
    ends = np.cumsum(form.control_sizes)
    pick = np.eye(form.control_size)[ends[i] - form.control_sizes[i] : ends[i]]
    S = S if len(S) == form.control_size else pick.T @ S
    R = R if len(R) == form.control_size else pick.T @ R @ pick
    worth = np.exp(-form.discount * form.horizon * t / form.steps)
    return worth * Q, worth * S, worth * R


def stationarity(form):
    """Hessians of every player's cost in all stacked controls, and their slopes in the basis."""
    h, n, m = form.step_size, form.state_size, form.noise_size
    K, size = form.control_size, form.steps * form.control_size
    a, b, c = lifted(form)
    hessians = np.zeros((form.players, size, size))
    slopes = np.zeros((form.players, size, 1 + n + form.steps * m))
    for i in range(form.players):
        for t in range(form.steps + 1):
            state = np.hstack([np.zeros((n, 1)), a[t], c[t]])
            if t == form.steps:
                G = np.exp(-form.discount * form.horizon) * form.G[i]
                hessians[i] += b[t].T @ G @ b[t]
                slopes[i] += b[t].T @ G @ state
                continue
            Q, S, R = weights(form, i, t)
            pick = np.eye(size)[t * K : (t + 1) * K]
            cross = pick.T @ S @ b[t]
            hessians[i] += h * (b[t].T @ Q @ b[t] + cross + cross.T + pick.T @ R @ pick)
            slopes[i] += h * (b[t].T @ Q + pick.T @ S) @ state
    return hessians, slopes


def brute_force(form):
    """Open-loop equilibrium by one linear system over all linear functionals of (1, x_0, noise).

    Each player's cost is a quadratic in the stacked controls; column by column of the basis the
    stationarity of every player's cost in her own controls, those that are allowed to see the
    column, is one linear equation.
    """
    n, K, m = form.state_size, form.control_size, form.noise_size
    size, whose = form.steps * K, np.tile(form.owner, form.steps)
    hessians, slopes = stationarity(form)
    curvature, slope = hessians[whose, np.arange(size)], slopes[whose, np.arange(size)]
    result = np.zeros((size, slope.shape[1]))
    for column in range(slope.shape[1]):
        first = 0 if column <= n else (column - 1 - n) // m + 1
        free = slice(first * K, size)
        result[free, column] = -np.linalg.solve(curvature[free, free], slope[free, column])
    return result.reshape(form.steps, K, -1)


def brute_cost(form, coefficients):
    """Expected costs of a linear profile, from the lifted system."""
    h, n, K = form.step_size, form.state_size, form.control_size
    a, b, c = lifted(form)
    mean = np.concatenate([[1.0], form.initial_mean])
    moment = h * np.eye(coefficients.shape[-1])
    moment[: 1 + n, : 1 + n] = np.outer(mean, mean)
    moment[1 : 1 + n, 1 : 1 + n] += form.initial_covariance
    u = coefficients.reshape(-1, coefficients.shape[-1])
    costs = []
    for i in range(form.players):
        total = 0.0
        for t in range(form.steps + 1):
            x = np.hstack([np.zeros((n, 1)), a[t], c[t]]) + b[t] @ u
            if t == form.steps:
                worth = np.exp(-form.discount * form.horizon)
                total += 0.5 * worth * np.trace(form.G[i] @ x @ moment @ x.T)
                continue
            Q, S, R = weights(form, i, t)
            v = u[t * K : (t + 1) * K]
            total += 0.5 * h * np.trace(Q @ x @ moment @ x.T)
            total += h * np.trace((S @ x + 0.5 * R @ v) @ moment @ v.T)
        costs.append(total)
    return np.array(costs)
