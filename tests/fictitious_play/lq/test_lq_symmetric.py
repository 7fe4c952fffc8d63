"""The closed form, the symmetric recursions, and both of them in batches on NumPy and JAX."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lq_games import general, reference_game, scalar_riccati

from fictitious_play import lq
from fictitious_play.lq.inter_bank.closed_form import tanh_ratio

KINDS = ("open_loop", "closed_loop", "best_response", "mean_field")


@pytest.fixture
def jnp():
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        yield jax.numpy


def parameter_batch(count=7, seed=0):
    generator = np.random.default_rng(seed)
    q = generator.uniform(0.0, 1.0, count)
    return lq.SymmetricParameters(
        players=generator.integers(2, 30, count).astype(float),
        horizon=generator.uniform(0.1, 3.0, count),
        a=generator.uniform(0.0, 2.0, count),
        q=q,
        epsilon=q**2 + generator.uniform(0.0, 2.0, count),
        c=generator.uniform(0.0, 2.0, count),
        sigma=generator.uniform(0.1, 2.0, count),
        rho=generator.uniform(-1.0, 1.0, count),
        initial_spread=generator.uniform(0.0, 2.0, count),
    )


def entry(parameters, i):
    names = [field.name for field in dataclasses.fields(parameters)]
    return lq.SymmetricParameters(**{k: float(getattr(parameters, k)[i]) for k in names})


@pytest.mark.parametrize("kind", KINDS)
def test_closed_form_against_an_ode_solver(kind):
    for i in range(7):
        p = entry(parameter_batch(), i)
        b, C = lq.riccati_coefficients(p, kind)
        eta, _, _ = scalar_riccati(b, C, p.D, p.c, p.horizon)
        assert lq.riccati(p.horizon, b, C, p.D, p.c) == pytest.approx(eta, abs=1e-11)


@pytest.mark.parametrize("kind", ["open_loop", "closed_loop"])
def test_cost_against_an_ode_solver(kind):
    for i in range(7):
        p = entry(parameter_batch(), i)
        b, C = lq.riccati_coefficients(p, kind)
        _, P, integral = scalar_riccati(b, C, p.D, p.c, p.horizon, p.a, p.q, p.epsilon, p.kappa)
        exact = lq.symmetric_nash(p, 4, kind, "continuous")
        assert pytest.approx(P, abs=1e-11) == exact.P
        assert exact.noise_integral == pytest.approx(integral, abs=1e-11)
        cost = 0.5 * P * p.initial_spread + 0.5 * p.noise_intensity * integral
        assert exact.cost == pytest.approx(cost, abs=1e-11)


def test_half_eta_is_the_closed_loop_cost_only():
    p = reference_game().symmetric_parameters
    closed = lq.symmetric_nash(p, 4, "closed_loop", "continuous")
    assert pytest.approx(closed.eta[0], rel=1e-14) == closed.P
    opened = lq.symmetric_nash(p, 4, "open_loop", "continuous")
    assert abs(opened.P / opened.eta[0] - 1.0) > 0.01


def test_closed_form_solves_its_equation_at_the_ends_of_the_parameter_range():
    # Long horizons must not overflow, and R = 0 is the series' own case.
    assert lq.riccati(1e6, 2.0, 0.9, 3.0, 1.0) == pytest.approx(
        (-2.0 + np.sqrt(4.0 + 2.7)) / 0.9, rel=1e-12
    )
    assert lq.riccati(3.0, 0.0, 0.5, 0.0, 2.0) == pytest.approx(2.0 / (1.0 + 0.5 * 2.0 * 3.0))
    assert lq.riccati(3.0, 0.0, 0.5, 0.0, 0.0) == 0.0
    integral = lq.riccati_integral(1e5, 1.0, 0.5, 1.0, 1.0)
    assert integral == pytest.approx((np.sqrt(1.5) - 1.0) * 1e5, rel=1e-4)


def test_series_and_hyperbolic_tangent_meet_at_round_off():
    roots = np.geomspace(1e-6, 1e-1, 400)
    wide = roots.astype(np.longdouble)
    np.testing.assert_allclose(tanh_ratio(1.0, roots), np.tanh(wide) / wide, rtol=1e-15)


def test_integral_is_that_of_the_closed_form():
    nodes, weights = np.polynomial.legendre.leggauss(60)
    s = 1.5 * (nodes + 1.0)
    expected = 0.7 * 1.5 * weights @ lq.riccati(s, 0.4, 0.7, 0.9, 1.3)
    assert lq.riccati_integral(3.0, 0.4, 0.7, 0.9, 1.3) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("horizon", [1e-3, 16.0])
@pytest.mark.parametrize("structure", ["open_loop", "closed_loop"])
def test_closed_forms_and_odes_agree_on_extreme_horizons(structure, horizon):
    game = reference_game(horizon=horizon, steps=5)
    closed = lq.nash(game, structure, "continuous")
    ode = lq.nash(general(game), structure, "continuous")
    np.testing.assert_allclose(closed.cost, ode.cost, rtol=1e-10)
    np.testing.assert_allclose(closed.gains, ode.gains, rtol=0, atol=1e-10)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    players=st.integers(2, 5),
    steps=st.integers(1, 6),
    horizon=st.floats(0.01, 2.0),
    a=st.floats(0.0, 2.0),
    q=st.floats(0.0, 1.0),
    D=st.floats(0.0, 2.0),
    c=st.floats(0.0, 2.0),
    rho=st.floats(-1.0, 1.0),
    structure=st.sampled_from(["open_loop", "closed_loop"]),
)
def test_general_code_on_symmetric_games(players, steps, horizon, a, q, D, c, rho, structure):
    mean = np.linspace(-1.0, 2.0, players)
    game = lq.inter_bank_form(
        players, horizon, steps, a, q, q * q + D, c, 0.7, rho, None, mean, 0.3
    )
    exact = lq.nash(general(game), structure)
    scalar = lq.symmetric_nash(game.symmetric_parameters, steps, structure)
    np.testing.assert_allclose(exact.cost, scalar.cost, rtol=1e-11, atol=1e-13)
    zeta = 1.0 / players - np.eye(players)
    expected = scalar.phi[:, None, None] * zeta
    np.testing.assert_allclose(exact.gains, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("time", ["discrete", "continuous"])
@pytest.mark.parametrize("structure", ["open_loop", "closed_loop", "mean_field"])
def test_batch_is_the_loop(structure, time):
    parameters = parameter_batch()
    batch = lq.symmetric_nash(parameters, 6, structure, time)
    assert batch.phi.shape == (7, 6)
    assert batch.eta.shape == (7, 7)
    for i in range(7):
        one = lq.symmetric_nash(entry(parameters, i), 6, structure, time)
        for name in ("cost", "phi", "eta", "P", "noise_integral"):
            np.testing.assert_allclose(getattr(batch, name)[i], getattr(one, name), rtol=1e-13)


@pytest.mark.parametrize("time", ["discrete", "continuous"])
@pytest.mark.parametrize("structure", ["open_loop", "closed_loop", "mean_field"])
def test_jax_agrees_with_numpy(jnp, structure, time):
    parameters = parameter_batch()
    values = {f.name: getattr(parameters, f.name) for f in dataclasses.fields(parameters)}
    on_jax = lq.SymmetricParameters(**{k: jnp.asarray(v) for k, v in values.items()})
    expected = lq.symmetric_nash(parameters, 6, structure, time)
    result = lq.symmetric_nash(on_jax, 6, structure, time)
    for name in ("cost", "phi", "eta", "P", "noise_integral"):
        array = getattr(result, name)
        assert not isinstance(array, np.ndarray)
        np.testing.assert_allclose(array, getattr(expected, name), rtol=1e-12, atol=1e-12)


def test_compiles_under_jax(jnp):
    import jax

    @jax.jit
    def cost(a, spread):
        p = lq.SymmetricParameters(5, 1.0, a, 0.5, 1.5, 1.0, 1.0, 0.3, spread)
        return lq.symmetric_nash(p, 20, "open_loop", "discrete").cost

    spread = reference_game().symmetric_parameters.initial_spread
    result = cost(jnp.asarray(1.0), jnp.asarray(spread))
    np.testing.assert_allclose(result, lq.nash(reference_game()).cost, rtol=1e-12)


def test_jax_in_single_precision_is_refused():
    jax = pytest.importorskip("jax")
    with jax.enable_x64(False), pytest.raises(ValueError, match="float64"):
        lq.riccati(jax.numpy.asarray(1.0), 1.0, 1.0, 1.0, 1.0)


def test_finite_games_approach_the_mean_field_limit_like_one_over_n():
    def gap(players, time):
        game = lq.inter_bank_form(players, 1.0, 10, 0.5, 0.3, 1.0, 0.8, 1.0, 0.2, None, 0.0, 0.6)
        return lq.nash(game, time=time).cost[0] - lq.mean_field_cost(game, time)[0]

    for time in ("discrete", "continuous"):
        assert gap(40, time) / gap(80, time) == pytest.approx(2.0, abs=0.05)


def test_mean_field_limit_is_the_same_from_open_and_closed_loop():
    infinite = dataclasses.replace(parameter_batch(), players=np.inf)
    for time in ("discrete", "continuous"):
        opened = lq.symmetric_nash(infinite, 5, "open_loop", time)
        closed = lq.symmetric_nash(infinite, 5, "closed_loop", time)
        np.testing.assert_allclose(opened.cost, closed.cost, rtol=1e-12, atol=1e-14)


def test_mean_field_needs_the_symmetric_game():
    with pytest.raises(ValueError, match="symmetric inter-bank game"):
        lq.mean_field_cost(general(reference_game()))


@pytest.mark.parametrize(
    "arguments, error",
    [
        ({"information_structure": "both"}, ValueError),
        ({"time": "later"}, ValueError),
        ({"steps": 0}, ValueError),
        ({"steps": 1.5}, TypeError),
        ({"parameters": {"a": 1.0}}, TypeError),
    ],
)
def test_bad_input(arguments, error):
    usual = {"parameters": parameter_batch(), "steps": 3}
    with pytest.raises(error, match="Received: "):
        lq.symmetric_nash(**(usual | arguments))
