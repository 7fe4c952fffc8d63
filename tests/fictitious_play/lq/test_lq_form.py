"""What a linear-quadratic form accepts, and what it refuses and why."""

import dataclasses
import pathlib
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lq_games import reference_game, vector_game

from fictitious_play import lq


def matrices(**changes):
    one, two = np.eye(1), np.eye(2)
    usual = {
        "A": two,
        "B": [two[:, :1], two],
        "Q": [two, two],
        "S": [np.zeros((1, 2)), np.zeros((2, 2))],
        "R": [one, two],
        "G": [two, two],
        "L": two,
        "horizon": 1.0,
        "steps": 3,
        "initial_mean": [0.0, 1.0],
        "initial_covariance": two,
    }
    return usual | changes


def test_sizes_and_read_only_arrays():
    form = lq.LinearQuadraticForm(**matrices())
    assert (form.players, form.state_size, form.noise_size) == (2, 2, 2)
    assert form.control_sizes == (1, 2)
    assert form.control_size == 3
    assert form.step_size == pytest.approx(1 / 3)
    np.testing.assert_array_equal(form.owner, [0, 1, 1])
    with pytest.raises(ValueError, match="read-only"):
        form.A[0, 0] = 2.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        form.steps = 4


def test_it_does_not_keep_the_callers_arrays():
    A = np.eye(2)
    form = lq.LinearQuadraticForm(**matrices(A=A))
    A[0, 0] = 7.0
    assert form.A[0, 0] == 1.0


def test_only_symmetric_parts_count():
    skew = np.array([[0.0, 3.0], [-3.0, 0.0]])
    tilted = matrices(
        Q=[np.eye(2) + skew] * 2, G=[np.eye(2) - skew] * 2, R=[[[1]], np.eye(2) + skew]
    )
    plain = lq.nash(lq.LinearQuadraticForm(**matrices()))
    np.testing.assert_array_equal(lq.nash(lq.LinearQuadraticForm(**tilted)).cost, plain.cost)


def test_constant_matrices_may_be_spelled_out_in_time():
    form = vector_game()
    repeat = {
        name: [np.repeat(x[None], form.steps, axis=0) for x in getattr(form, name)]
        for name in "BQSR"
    }
    repeat |= {name: np.repeat(getattr(form, name)[None], form.steps, axis=0) for name in "AL"}
    spelled = dataclasses.replace(form, **repeat)
    assert spelled.time_varying
    for structure in ("open_loop", "closed_loop"):
        for time in ("discrete", "continuous"):
            expected, result = (lq.nash(g, structure, time) for g in (form, spelled))
            np.testing.assert_allclose(result.gains, expected.gains, rtol=0, atol=1e-12)
            np.testing.assert_allclose(result.cost, expected.cost, rtol=1e-11)
    np.testing.assert_allclose(lq.contraction(spelled), lq.contraction(form), rtol=1e-12)


def test_inter_bank_matrices():
    weights = np.array([[0.1, 0.9], [0.4, 0.5]])
    form = lq.inter_bank_form(
        2, 1.0, 4, [0.1, 0.2], [0.3, 0.4], [1, 2], [3, 4], [5, 6], 0.6, weights, [7, 8], [9, 10]
    )
    zeta = weights - np.eye(2)
    np.testing.assert_allclose(form.A, [0.1 * zeta[0], 0.2 * zeta[1]])
    np.testing.assert_allclose(form.Q[1], 2 * np.outer(zeta[1], zeta[1]))
    np.testing.assert_allclose(form.G[0], 3 * np.outer(zeta[0], zeta[0]))
    np.testing.assert_allclose(form.S[1], [-0.4 * zeta[1]])
    np.testing.assert_allclose(form.L, [[3.0, 4.0, 0.0], [3.6, 0.0, 4.8]])
    np.testing.assert_allclose(form.initial_covariance, np.diag([81, 100]))
    assert form.symmetric_parameters is None
    assert reference_game().symmetric_parameters.players == 5


def test_initial_spread_is_that_of_samples():
    form = reference_game(initial_std=np.arange(5) / 5)
    initial, noise = form.sample(100_000, seed=3)
    z = initial.mean(axis=1, keepdims=True) - initial
    spread = form.symmetric_parameters.initial_spread
    np.testing.assert_allclose((z**2).mean(axis=0), spread, rtol=0.02)
    assert noise.var() == pytest.approx(form.step_size, rel=0.01)


def test_the_boundary_of_convexity_is_met_up_to_round_off():
    form = lq.inter_bank_form(2, 1.0, 4, 0.1, 0.4, 0.16, 0.0)
    assert form.symmetric_parameters.D == 0.0
    assert lq.symmetric_contraction(2, 1.0, 0.1, 0.4, 0.16, 0.0) == 0.0
    with pytest.raises(ValueError, match="`epsilon` must be at least q²"):
        lq.inter_bank_form(2, 1.0, 4, 0.1, 0.4, 0.1599999, 0.0)


INDEFINITE = np.array([[1.0, 2.0], [2.0, 1.0]])


@pytest.mark.parametrize(
    "change, error, words",
    [
        ({"A": np.eye(3)[:2]}, ValueError, "`A` must have the shape"),
        ({"A": np.full((2, 2), np.inf)}, ValueError, "`A` must be finite"),
        ({"A": np.zeros((4, 2, 2))}, ValueError, "`A` must have the shape"),
        ({"A": "matrix"}, TypeError, "`A` must be a number or an array"),
        ({"A": [[1j, 0], [0, 1]]}, TypeError, "array of numbers"),
        ({"B": []}, ValueError, "at least one"),
        ({"B": 3.0}, TypeError, "sequence of matrices"),
        ({"B": [np.ones(2), np.eye(2)]}, ValueError, r"`B\[0\]`"),
        ({"B": [np.ones((3, 1)), np.eye(2)]}, ValueError, r"`B\[0\]`"),
        ({"Q": [np.eye(2)]}, ValueError, "each of the 2 players"),
        ({"S": [np.zeros((2, 1)), np.zeros((2, 2))]}, ValueError, r"`S\[0\]`"),
        ({"R": [np.eye(1), INDEFINITE]}, ValueError, r"`R\[1\]` must be positive definite"),
        ({"R": [[[0.0]], np.eye(2)]}, ValueError, r"`R\[0\]` must be positive definite"),
        ({"G": [np.eye(2), np.zeros((3, 2, 2))]}, ValueError, r"`G\[1\]` must have the shape"),
        ({"L": np.eye(3)}, ValueError, "`L` must have the shape"),
        ({"L": np.zeros((2, 0))}, ValueError, "`L` must have the shape"),
        ({"horizon": 0.0}, ValueError, "`horizon` must be greater than 0"),
        ({"horizon": np.nan}, ValueError, "`horizon` must be finite"),
        ({"horizon": "1"}, TypeError, "`horizon` must be a number"),
        ({"steps": 0}, ValueError, "`steps` must be at least 1"),
        ({"steps": 2.0}, TypeError, "`steps` must be an integer"),
        ({"steps": True}, TypeError, "`steps` must be an integer"),
        ({"initial_mean": [0.0]}, ValueError, "`initial_mean`"),
        ({"initial_covariance": INDEFINITE}, ValueError, "positive semidefinite"),
    ],
)
def test_bad_forms(change, error, words):
    with pytest.raises(error, match=words) as caught:
        lq.LinearQuadraticForm(**matrices(**change))
    assert "Received: " in str(caught.value)


BANK = {"players": 3, "horizon": 1.0, "steps": 4, "a": 0.1, "q": 0.1, "epsilon": 0.5, "c": 0.5}
NAN, INF = float("nan"), float("inf")
bad_number = st.sampled_from([-1.0, NAN, INF, -INF, "x", None, 1j, [1.0, 2.0], [[1.0]]])
BAD = {
    "players": st.sampled_from([1, 0, -3, 2.5, "3", None, True]),
    "steps": st.sampled_from([0, -1, 1.5, "4", None, NAN]),
    "horizon": st.sampled_from([0.0, -1.0, NAN, INF, "1", None, [1.0]]),
    "a": bad_number,
    "q": bad_number,
    "epsilon": st.one_of(bad_number, st.floats(0.0, 0.009)),
    "c": bad_number,
    "sigma": bad_number,
    "initial_std": bad_number,
    "initial_mean": st.sampled_from([NAN, INF, "x", [0.0], [[0.0]], {}]),
    "rho": st.sampled_from([1.01, -2.0, NAN, INF, "0", None, [0.1, 0.1]]),
    "weights": st.sampled_from(
        [np.eye(2), np.ones(3), np.full((3, 3), NAN), "uniform", [[1, 2], [3]], 1.0]
    ),
}


@settings(max_examples=150, deadline=1000, derandomize=True)
@given(st.sampled_from(sorted(BAD)).flatmap(lambda k: st.tuples(st.just(k), BAD[k])))
def test_bad_inter_bank_games(change):
    name, value = change
    with pytest.raises((ValueError, TypeError), match=rf"`{name}`.*(\n|.)*Received: "):
        lq.inter_bank_form(**(BANK | {name: value}))


def test_non_existence_survives_pickling():
    error = pickle.loads(pickle.dumps(lq.NoEquilibriumError("none", 0.5)))
    assert (str(error), error.time) == ("none", 0.5)


def test_the_package_needs_numpy_and_scipy_only():
    program = (
        "import sys; import fictitious_play.lq; "
        "assert not {'tensorflow', 'keras', 'jax', 'matplotlib'} & set(sys.modules)"
    )
    root = pathlib.Path(lq.__file__).parents[2]
    subprocess.run([sys.executable, "-c", program], cwd=root, check=True)
