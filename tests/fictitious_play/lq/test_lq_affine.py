"""Affine feedback: games with constants and linear costs, and the affine profile in a policy."""

import dataclasses

import numpy as np
import pytest
from lq_games import asymmetric_game, random_coefficients, vector_game

from fictitious_play import lq


def affine_game(seed=0, **changes):
    """`vector_game` with a constant in the drift and linear terms in the costs."""
    form = lq.with_constant(vector_game(seed=seed, **changes))
    generator = np.random.default_rng(seed + 50)
    A, n = form.A.copy(), form.state_size - 1
    A[..., :n, n] = generator.normal(size=n)
    Q, G, S = [q.copy() for q in form.Q], form.G.copy(), [s.copy() for s in form.S]
    for matrix in (*Q, *G):
        matrix[..., n, :n] = generator.normal(size=n)
        matrix[..., :n, n] = matrix[..., n, :n]
    for matrix in S:
        matrix[..., n] = generator.normal(size=matrix.shape[-2])
    return dataclasses.replace(form, A=A, Q=Q, S=S, G=list(G))


def random_profile(game, seed=1, scale=0.4):
    shape = (game.steps, game.control_size, game.state_size + 1)
    return scale * np.random.default_rng(seed).normal(size=shape)


def played(game, gains, own=None, where=None):
    """Costs of one noiseless path from the initial mean, written out; own controls replaced."""
    x, h, n = game.initial_mean, game.step_size, game.state_size
    cost = np.zeros(game.players)
    for t, step in enumerate(game.time_steps):
        u = gains[t, :, :n] @ x + gains[t, :, n]
        if own is not None:
            u[where] = own[t]
        for i, mine in enumerate(game.control_slices):
            v, R = u[mine], step.R[mine, mine]
            cost[i] += h * (0.5 * x @ step.Q[i] @ x + v @ step.S[mine] @ x + 0.5 * v @ R @ v)
        x = x + h * (step.A @ x + step.B @ u)
    return cost + 0.5 * np.einsum("i,kij,j->k", x, game.G, x)


@pytest.mark.parametrize("varying", [False, True])
def test_gain_of_leaving_an_affine_profile_against_minimising_over_control_sequences(varying):
    game = affine_game(varying=varying)
    still = dataclasses.replace(game, L=None, initial_covariance=np.zeros((4, 4)))
    gains = random_profile(still)
    found = lq.profile_exploitability(still, gains, "closed_loop")
    cost = lq.profile_cost(still, gains)
    np.testing.assert_allclose(cost, played(still, gains), rtol=1e-12)
    for i, where in enumerate(still.control_slices):
        shape = (still.steps, where.stop - where.start)
        size = shape[0] * shape[1]

        def value(u, i=i, where=where, shape=shape):
            return played(still, gains, u.reshape(shape), where)[i]

        # A quadratic in her controls: its coefficients from its values, its minimum from them.
        eye, base = np.eye(size), value(np.zeros(size))
        single = np.array([value(e) for e in eye])
        minus = np.array([value(-e) for e in eye])
        slope = 0.5 * (single - minus)
        hessian = np.array([[value(e + f) for f in eye] for e in eye])
        hessian += base - single[:, None] - single[None, :]
        best = value(-np.linalg.solve(hessian, slope))
        assert found.gain[i] == pytest.approx(cost[i] - best, rel=1e-9)


@pytest.mark.parametrize("game", [affine_game(), asymmetric_game()])
def test_gain_is_what_the_best_response_saves(game):
    gains = random_profile(game)
    found = lq.profile_exploitability(game, gains, "closed_loop").gain
    cost, answers = lq.profile_cost(game, gains), lq.feedback_response(game, gains)
    for i, where in enumerate(game.control_slices):
        changed = gains.copy()
        changed[:, where] = lq.feedback_response(game, gains, i)
        np.testing.assert_array_equal(changed[:, where], answers[:, where])
        assert found[i] == pytest.approx(cost[i] - lq.profile_cost(game, changed)[i], rel=1e-9)
        changed[:, where] *= 1.01
        assert lq.profile_cost(game, changed)[i] > cost[i] - found[i]


def test_an_equilibrium_in_affine_form_has_nothing_to_gain():
    game = affine_game()
    gains = lq.nash(game, "closed_loop").gains
    # The constant state's column, moved to where affine profiles have theirs.
    split = np.concatenate([gains, gains[:, :, -1:]], axis=2)
    split[:, :, -2] = 0.0
    np.testing.assert_allclose(
        lq.profile_exploitability(game, split, "closed_loop").gain, 0.0, atol=1e-20
    )
    np.testing.assert_allclose(lq.profile_cost(game, split), lq.profile_cost(game, gains))


def test_affine_feedback_as_a_process_and_along_paths():
    game = asymmetric_game(steps=4)
    gains, (initial, noise) = random_profile(game), game.sample(500)
    path = lq.simulate_gains(game, gains, initial, noise)
    coefficients = lq.feedback_coefficients(game, gains)
    np.testing.assert_allclose(
        lq.evaluate(game, coefficients, initial, noise), path.controls, atol=1e-12
    )
    np.testing.assert_allclose(
        lq.coefficient_cost(game, coefficients), lq.profile_cost(game, gains), rtol=1e-12
    )
    as_process = lq.profile_exploitability(game, coefficients).gain
    np.testing.assert_allclose(lq.profile_exploitability(game, gains).gain, as_process)
    np.testing.assert_allclose(lq.affine_gains(path.controls, path.states), gains, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_states_that_rest_or_move_together_and_units(dtype):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(400, 1, 3)) * [1e-4, 1.0, 1e3] + [0.0, 5.0, 0.0]
    states = np.concatenate([x, x[:, :, 1:2], np.full((400, 1, 1), 1.0 / 3.0)], axis=2)
    controls = 2e4 * x[:, :, :1] + 3.0 * x[:, :, 1:2] - 1e-3 * x[:, :, 2:] + 7.0
    found = lq.affine_gains(controls.astype(dtype), states.astype(dtype))[0, 0]
    # The two that are one share the gain; the one that rests gets none.
    np.testing.assert_allclose(found, [2e4, 1.5, -1e-3, 1.5, 0.0, 7.0], rtol=1e-4, atol=1e-9)


def test_bad_gains():
    game = asymmetric_game()
    for wrong in (random_profile(game)[:, :, :-2], random_coefficients(game, 0)):
        with pytest.raises(ValueError, match="constants in the last column"):
            lq.profile_exploitability(game, wrong, "closed_loop")
    with pytest.raises(ValueError, match="below 4"):
        lq.feedback_response(game, random_profile(game), 4)
    with pytest.raises(ValueError, match="tolerance"):
        lq.affine_gains(np.zeros((9, 3, 1)), np.zeros((9, 3, 2)), tolerance=0.0)
