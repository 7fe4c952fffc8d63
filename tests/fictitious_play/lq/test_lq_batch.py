"""Many games at once: the same as one after another, on NumPy and on JAX."""

import dataclasses

import numpy as np
import pytest
from lq_games import general, signed_game, vector_game

from fictitious_play import lq

INFORMATION = ["open_loop", "closed_loop"]


def stacked(games):
    """Arrays of a batch of games whose players have equally many controls."""
    fields = {"A": [], "B": [], "Q": [], "S": [], "R": [], "G": [], "L": []}
    for game in games:
        for name, values in fields.items():
            values.append(np.stack(getattr(game, name)))
    arrays = {name: np.stack(values) for name, values in fields.items()}
    arrays["initial_mean"] = np.stack([game.initial_mean for game in games])
    arrays["initial_covariance"] = np.stack([game.initial_covariance for game in games])
    return arrays


@pytest.mark.parametrize("coupled", [False, True])
@pytest.mark.parametrize("structure", INFORMATION)
def test_batch_of_general_games_is_the_loop(structure, coupled):
    kind = {"sizes": (2, 2, 2), "coupled": coupled, "discount": 0.5 * coupled}
    games = [vector_game(**kind, seed=seed) for seed in range(10, 16)]
    arrays = stacked(games)
    options = {
        "horizon": 0.9,
        "steps": 4,
        "information_structure": structure,
        "discount": 0.5 * coupled,
    }
    batch = lq.discrete_nash_batch(**arrays, **options)
    assert batch.gains.shape == (6, 4, 6, 3)
    assert np.all(batch.exists)
    for i, game in enumerate(games):
        one = lq.nash(game, structure)
        np.testing.assert_allclose(batch.cost[i], one.cost, rtol=1e-12)
        np.testing.assert_allclose(batch.gains[i], one.gains, rtol=0, atol=1e-12)
    shaped = {k: v.reshape(2, 3, *v.shape[1:]) for k, v in arrays.items()}
    np.testing.assert_allclose(
        lq.discrete_nash_batch(**shaped, **options).cost.reshape(6, 3), batch.cost, rtol=1e-13
    )
    jax = pytest.importorskip("jax")

    def solve(arrays):
        solved = lq.discrete_nash_batch(**arrays, **options)
        return solved.cost, solved.gains

    with jax.enable_x64(True):
        on_jax = {k: jax.numpy.asarray(v) for k, v in arrays.items()}
        cost, gains = jax.jit(solve)(on_jax)
        np.testing.assert_allclose(cost, batch.cost, rtol=1e-12)
        np.testing.assert_allclose(gains, batch.gains, rtol=0, atol=1e-12)


@pytest.mark.release  # the same numbers; JAX compiles every operation
def test_a_batch_on_jax_needs_no_compiled_function():
    jax = pytest.importorskip("jax")
    arrays = stacked([vector_game(sizes=(2, 2, 2), seed=seed) for seed in range(10, 16)])
    options = {"horizon": 0.9, "steps": 4, "information_structure": "open_loop"}
    expected = lq.discrete_nash_batch(**arrays, **options)
    with jax.enable_x64(True):
        on_jax = {k: jax.numpy.asarray(v) for k, v in arrays.items()}
        found = lq.discrete_nash_batch(**on_jax, **options)
        np.testing.assert_allclose(found.cost, expected.cost, rtol=1e-12)
        np.testing.assert_allclose(found.gains, expected.gains, rtol=0, atol=1e-12)


def test_batch_says_which_games_have_an_equilibrium():
    games = [signed_game(1.5, 2.0), signed_game(-3.0, 2.0)]
    batch = lq.discrete_nash_batch(**stacked(games), horizon=2.0, steps=40)
    np.testing.assert_array_equal(batch.exists, [True, True])
    # Where the continuous-time solution escapes.
    assert np.nonzero(batch.determinant[0] <= 0.0)[0].max() == 7
    np.testing.assert_allclose(batch.cost, [lq.nash(game).cost for game in games], rtol=1e-9)
    arrays = stacked([games[1]] * 3)
    arrays["G"] = arrays["G"] * np.array([1.0, 1.0, -30.0])[:, None, None, None]
    arrays["Q"] = arrays["Q"] * np.array([1.0, -2.0, 1.0])[:, None, None, None]
    for structure in INFORMATION:
        batch = lq.discrete_nash_batch(
            **arrays, horizon=2.0, steps=40, information_structure=structure
        )
        np.testing.assert_array_equal(batch.exists, [True, False, False])
        for q, g in ((-2.0, 1.0), (1.0, -30.0)):
            changed = dataclasses.replace(
                general(games[1]), Q=[q * x for x in games[1].Q], G=[g * x for x in games[1].G]
            )
            with pytest.raises(lq.NoEquilibriumError, match="curvature"):
                lq.nash(changed, structure)
