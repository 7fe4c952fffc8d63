"""The flock and the portfolio game: formulas, limits, and what training makes of them."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy.optimize import minimize

import fictitious_play as fp
from fictitious_play import rollout
from tests.fictitious_play.cases import sample

TYPES = {
    "players": 3,
    "steps": 4,
    "mu": [0.3, 0.2, 0.5],
    "nu": [0.4, 0.0, 0.6],
    "sigma": [0.5, 0.6, 0.2],
    "delta": [1.0, 0.7, 1.4],
    "theta": [0.9, 0.3, 0.0],
    "initial_mean": [0.1, 0.0, -0.2],
    "initial_std": 0.2,
}


def tensors(*arrays):
    return [ops.convert_to_tensor(array) for array in arrays]


# The flock


def test_a_flock_costs_what_its_formulas_say():
    game = fp.FlockingGame(3, 0.6, 3, decay=0.7, reach=2.0, turbulence=0.4, sigma=0.3)
    initial, noise, controls = sample(game, paths=4)
    birds = initial.reshape(4, 3, 2, 2)
    x, v, cost, h = birds[:, :, 0].copy(), birds[:, :, 1].copy(), 0.0, 0.2

    def misalignment(b):
        m = np.zeros((3, 2))
        for i in range(3):
            for j in range(3):
                far = np.sum((x[b, j] - x[b, i]) ** 2)
                m[i] += (1 + far / 4.0) ** -0.7 * (v[b, j] - v[b, i]) / 3
        return np.sum(m**2, axis=-1)

    for step in range(3):
        u = controls[:, step]
        strain = np.array([misalignment(b) for b in range(4)])
        cost = cost + h * (0.5 * np.sum(u**2, axis=-1) + 0.5 * 4.0 * strain)
        gust = 0.3 * np.sqrt(1 + 0.4 * np.sum(v**2, axis=-1, keepdims=True))
        x, v = x + h * v, v + h * u + gust * noise[:, step, 1:].reshape(4, 3, 2)
    cost = cost + 0.5 * 4.0 * np.array([misalignment(b) for b in range(4)])
    arguments = tensors(initial, controls, noise)
    np.testing.assert_allclose(rollout.joint_costs(game, *arguments), cost, rtol=1e-12)


def test_without_decay_and_turbulence_a_flock_is_inter_bank_games_of_velocities(rng):
    flock = fp.FlockingGame(4, 0.8, 5, decay=0.0, turbulence=0.0, sigma=0.7, alignment=3.0)
    bank = fp.InterBankGame(
        4, 0.8, 5, a=0, q=0, epsilon=3.0, c=4.0, sigma=0.7, initial_std=1.0
    )  # fmt: skip
    initial, noise, controls = sample(flock)
    velocities = initial.reshape(-1, 4, 2, 2)[:, :, 1]
    expected = 0.0
    for axis in range(2):
        own = noise[:, :, 1:].reshape(*noise.shape[:2], 4, 2)[..., axis]
        shocks = np.concatenate([noise[:, :, :1], own], axis=-1)
        expected = expected + rollout.joint_costs(
            bank, *tensors(velocities[..., axis], controls[..., axis : axis + 1], shocks)
        )
    arguments = tensors(initial, controls, noise)
    np.testing.assert_allclose(rollout.joint_costs(flock, *arguments), expected, rtol=1e-12)


def test_a_flock_without_decay_is_solved_to_the_known_equilibrium():
    flock = fp.FlockingGame(3, 1.0, 4, decay=0.0, turbulence=0.0)
    bank = fp.InterBankGame(
        3, 1.0, 4, a=0, q=0, epsilon=4.0, c=4.0, sigma=0.5, initial_std=1.0
    )  # fmt: skip
    result = fp.DeepFictitiousPlay(flock, hidden=(8,), skip=True, seed=1).solve(
        stages=6, steps_per_stage=100, progress=False, regret_every=None
    )
    assert not result.control_variate
    exact = 2.0 * fp.lq.nash(bank).cost
    np.testing.assert_allclose(result.cost, exact, atol=4 * result.cost_standard_error.max())
    # On the same noise, the controls themselves.
    initial, noise, _ = sample(flock, paths=512)
    velocities = initial.reshape(-1, 3, 2, 2)[:, :, 1]
    found = result.control(initial, noise)
    for axis in range(2):
        own = noise[:, :, 1:].reshape(*noise.shape[:2], 3, 2)[..., axis]
        shocks = np.concatenate([noise[:, :, :1], own], axis=-1)
        known = fp.lq.nash(bank).controls(velocities[..., axis], shocks)
        assert fp.lq.control_error(found[..., axis], known) < 0.1


# The portfolio game


def test_wealth_and_costs_are_those_of_the_formulas():
    game = fp.PortfolioGame(**TYPES)
    initial, noise, controls = sample(game)
    returns = game.step_size * game.mu + game.nu * noise[:, :, 1:] + game.sigma * noise[:, :, :1]
    wealth = initial + np.sum(controls[..., 0] * returns, axis=1)
    relative = wealth - game.theta * wealth.mean(axis=1, keepdims=True)
    arguments = tensors(initial, controls, noise)
    np.testing.assert_allclose(
        rollout.joint_costs(game, *arguments), np.exp(-relative / game.delta), rtol=1e-12
    )


def test_costs_of_constant_investments_are_exact():
    game = fp.PortfolioGame(**TYPES)
    investment = np.array([1.0, -0.5, 0.8])
    exact = game.constant_profile(investment).cost
    initial, noise, _ = sample(game, paths=200_000)
    controls = np.broadcast_to(investment[:, None], (len(noise), 4, 3, 1))
    paths = np.asarray(rollout.joint_costs(game, *tensors(initial, controls, noise)))
    error = paths.std(axis=0) / np.sqrt(len(paths))
    assert np.all(np.abs(paths.mean(axis=0) - exact) < 4 * error)
    assert np.all(error < 0.003 * exact)


@pytest.mark.parametrize("changes", [
    {}, pytest.param({"theta": 1.0, "nu": 0.4}, marks=pytest.mark.release),
    {"players": 2, "theta": 0.5},
])  # fmt: skip
def test_nobody_gains_by_leaving_the_equilibrium_whenever_she_deviates(changes):
    """Her best deterministic strategy is found numerically; strategies that answer the past are
    compared on the same noise."""
    arguments = {**TYPES, **changes}
    if "players" in changes:
        arguments = {k: v[:2] if isinstance(v, list) else v for k, v in arguments.items()}
    game = fp.PortfolioGame(**arguments)
    N, steps, h = game.players, game.steps, game.step_size
    exact = game.equilibrium()

    def cost_of(player, strategy):
        """Exact cost of a deterministic strategy (steps,) against the others' constants."""
        plan = np.tile(exact.investment, (steps, 1))
        plan[:, player] = strategy
        weights = np.eye(N)[player] - game.theta[player] / N
        mean = weights @ (game.initial_mean + h * (plan * game.mu).sum(axis=0))
        variance = weights**2 @ game.initial_std**2
        for step in range(steps):
            variance += h * np.sum((weights * game.nu * plan[step]) ** 2)
            variance += h * (weights @ (game.sigma * plan[step])) ** 2
        delta = game.delta[player]
        return np.exp(variance / (2 * delta**2) - mean / delta)

    for player in range(N):
        assert cost_of(player, exact.investment[player]) == pytest.approx(exact.cost[player])
        best = minimize(lambda s, p=player: cost_of(p, s), np.zeros(steps), tol=1e-12)
        np.testing.assert_allclose(best.x, exact.investment[player], atol=2e-5)

    # A deviation that depends on the past costs, in this direction and in the opposite one.
    initial, noise, _ = sample(game, paths=120_000, seed=4)
    initial = np.concatenate([initial, 2 * game.initial_mean - initial])
    noise = np.concatenate([noise, -noise])
    others = np.broadcast_to(exact.investment[:, None], (len(noise), steps, N, 1))
    past = np.cumsum(noise[:, :, 1:] + noise[:, :, :1], axis=1) - noise[:, :, 1:] - noise[:, :, :1]
    answer = (0.3 * past + 0.2 * np.tanh(initial[:, None] + 3 * past))[..., None]
    base = np.asarray(rollout.joint_costs(game, *tensors(initial, others, noise)))
    for size in (1.0, -1.0):
        own = others + size * answer
        deviated = np.asarray(rollout.deviation_costs(game, *tensors(initial, own, others, noise)))
        pairs = (deviated - base).reshape(2, -1, N).mean(axis=0)
        assert np.all(pairs.mean(axis=0) > 4 * pairs.std(axis=0) / np.sqrt(len(pairs)))


def test_equal_investors_and_the_mean_field_limit():
    previous = np.inf
    for players in (2, 8, 32, 128):
        game = fp.PortfolioGame(players, mu=0.3, nu=0.5, sigma=0.4, delta=1.2, theta=0.6)
        expected = 1.2 * 0.3 / (0.4 * 0.4**2 + (1 - 0.6 / players) * 0.5**2)
        np.testing.assert_allclose(game.equilibrium().investment, expected)
        limit = game.equilibrium(mean_field=True).investment
        np.testing.assert_allclose(limit, 1.2 * 0.3 / (0.4 * 0.4**2 + 0.5**2))
        distance = abs(expected / limit[0] - 1)
        assert distance * players == pytest.approx(0.6 * 0.25 / (0.064 + 0.25), rel=0.4)
        assert distance < previous / 3
        previous = distance


def test_without_comparison_it_is_mertons_portfolio():
    game = fp.PortfolioGame(3, mu=0.3, nu=0.5, sigma=0.4, delta=2.0, theta=0.0)
    np.testing.assert_allclose(game.equilibrium().investment, 2.0 * 0.3 / (0.25 + 0.16))


def test_the_portfolio_game_is_solved_to_its_equilibrium():
    game = fp.PortfolioGame(3, 1.0, 4, mu=[0.3, 0.2, 0.4], theta=0.8)
    exact = game.equilibrium()
    result = fp.DeepFictitiousPlay(game, hidden=(8,), seed=1).solve(
        stages=8, steps_per_stage=50, progress=False, regret_every=None
    )
    initial, noise, _ = sample(game, paths=1024)
    found = result.control(initial, noise)
    assert fp.lq.control_error(found, np.broadcast_to(exact.investment, found.shape)) < 0.06
    np.testing.assert_allclose(found.mean(axis=(0, 1)), exact.investment, rtol=0.03)
    error = np.abs(result.cost - exact.cost)
    assert np.all(error < 0.002 + 4 * result.cost_standard_error)
    alone = game.constant_profile(fp.PortfolioGame(
        3, 1.0, 4, mu=[0.3, 0.2, 0.4], theta=0.0).equilibrium().investment)  # fmt: skip
    assert np.all(np.abs(alone.cost / exact.cost - 1) > 0.02)  # so the test has room to fail


@pytest.mark.parametrize(
    "game", [fp.FlockingGame(3, 0.5, 2, reach=2.0, decay=0.3), fp.PortfolioGame(**TYPES)]
)
def test_configuration_and_player_model(game, tmp_path):
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(game))
    assert copy.get_config() == game.get_config()
    initial, noise, controls = sample(game, dtype=np.float32)
    others = controls.reshape(-1, *game.controls_shape)
    model = fp.player_model(game, 1, hidden=(4,))
    model.save(tmp_path / "player.keras")
    again = keras.saving.load_model(tmp_path / "player.keras")
    inputs = [initial, noise, others]
    cost = model.predict(inputs, verbose=0)
    np.testing.assert_array_equal(cost, again.predict(inputs, verbose=0))
    # Untrained networks play zero.
    own = np.zeros_like(controls)
    simulated = game.deviation_costs(*tensors(initial, own, controls, noise))
    np.testing.assert_allclose(cost[:, 0], np.asarray(simulated)[:, 1], rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "error", "rule"),
    [
        (lambda: fp.FlockingGame(1), ValueError, "`players` must be at least 2"),
        (lambda: fp.FlockingGame(dimensions=0), ValueError, "`dimensions` must be at least 1"),
        (lambda: fp.FlockingGame(reach=0.0), ValueError, "`reach` must be greater than 0"),
        (lambda: fp.FlockingGame(decay=-1), ValueError, "`decay` must be at least 0"),
        (lambda: fp.FlockingGame(sigma=np.nan), ValueError, "`sigma` must be finite"),
        (lambda: fp.FlockingGame(turbulence="x"), TypeError, "`turbulence` must be a number"),
        (lambda: fp.PortfolioGame(1), ValueError, "`players` must be at least 2"),
        (lambda: fp.PortfolioGame(delta=0.0), ValueError, "`delta` must be greater than 0"),
        (lambda: fp.PortfolioGame(theta=1.1), ValueError, "`theta` must be at most 1"),
        (lambda: fp.PortfolioGame(nu=0.0, sigma=0.0), ValueError, "must not both be 0"),
        (lambda: fp.PortfolioGame(nu=0.0, theta=1.0), ValueError, "must be below 1"),
        (lambda: fp.PortfolioGame(mu=[1.0]), ValueError, "`mu` must be a scalar or hold one"),
    ],
)
def test_bad_arguments_are_refused(make, error, rule):
    with pytest.raises(error, match=rule) as caught:
        make()
    assert "Received" in str(caught.value)
