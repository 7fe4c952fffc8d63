"""Contraction factors: the closed formula, the discrete spectrum and what play really does."""

import sys

import numpy as np
import pytest
from lq_games import asymmetric_game, reference_game, signed_game, singular_game, vector_game

from fictitious_play import lq

# players, horizon, a, q, epsilon, c
CASES = [
    (2, 1.0, 0.0, 0.0, 1.0, 0.0),
    (3, 1.0, 0.1, 0.1, 0.5, 0.5),
    (5, 1.0, 1.0, 0.5, 1.5, 1.0),
    (2, 4.0, 0.1, 0.1, 2.0, 1.0),
    (2, 1.0, 1.0, 1.0, 1.0, 2.0),
    (4, 2.0, 0.0, 0.0, 1.0, 3.0),
    (2, 1.0, 0.5, 0.0, 0.0, 1.0),
    (3, 0.5, 2.0, 1.5, 9.0, 0.0),
]


@pytest.mark.parametrize("case", CASES)
def test_formula_against_extrapolated_spectra(case):
    N, T, a, q, epsilon, c = case
    # Three grids with h ≤ T/20 and h ≤ .05; extrapolated twice.
    radii = [
        lq.contraction(lq.inter_bank_form(N, T, round(20 * max(T, 1.0)) * k, a, q, epsilon, c))
        for k in (1, 2, 4)
    ]
    once = 2.0 * np.array(radii[1:]) - radii[:-1]
    extrapolated = (4.0 * once[1] - once[0]) / 3.0
    assert lq.symmetric_contraction(*case) == pytest.approx(extrapolated, abs=2e-6)


def test_pure_running_cost_has_an_explicit_factor():
    N, T, epsilon = np.array([2, 5, 50]), np.array([0.01, 1.0, 16.0]), np.array([0.1, 1.0, 9.0])
    kappa = 1.0 - 1.0 / N
    expected = 1.0 / (1.0 + np.pi**2 / (4.0 * kappa**2 * epsilon * T**2))
    result = lq.symmetric_contraction(N, T, 0.0, 0.0, epsilon, 0.0)
    np.testing.assert_allclose(result, expected, rtol=1e-12)


def test_small_horizons_contract_at_first_order_or_at_second():
    short = np.array([1e-3, 2e-3])
    coupled = lq.symmetric_contraction(4, short, 0.3, 0.2, 1.0, 0.7)
    assert np.log2(coupled[1] / coupled[0]) == pytest.approx(1.0, abs=0.01)
    uncoupled = lq.symmetric_contraction(4, short, 0.3, 0.0, 1.0, 0.0)
    assert np.log2(uncoupled[1] / uncoupled[0]) == pytest.approx(2.0, abs=0.01)


def test_nothing_to_respond_to():
    assert lq.symmetric_contraction(4, 1.0, 0.3, 0.5, 0.25, 0.0) == 0.0
    game = lq.inter_bank_form(4, 1.0, 5, 0.3, 0.5, 0.25, 0.0)
    discrete = [
        lq.contraction(lq.inter_bank_form(4, 1.0, k, 0.3, 0.5, 0.25, 0.0)) for k in (5, 10, 20)
    ]
    assert lq.contraction(game) == discrete[0]
    assert lq.contraction(vector_game(sizes=(2,))) == 0.0


def test_symmetric_spectrum_has_a_mean_and_a_dispersed_mode():
    game = reference_game(8)
    radius = lq.contraction(game)
    spectrum = np.sort(np.linalg.eigvals(lq.stage_map(game)).real)
    assert spectrum[-1] == pytest.approx(radius)
    # -λ/(N-1), once for each of the N - 1 dispersed directions.
    np.testing.assert_allclose(spectrum[:4], -radius / 4.0, rtol=1e-6)


def test_play_contracts_at_that_rate():
    game = reference_game()
    radius = lq.contraction(game)
    common = lq.exact_play(game, 14, initial=1.0).error
    assert common[-1] / common[-2] == pytest.approx(radius, rel=1e-6)
    # Without noise, whose columns contract at rates of their own close to this one.
    dispersed = lq.exact_play(reference_game(sigma=0.0), 8).error
    assert dispersed[-1] / dispersed[-2] == pytest.approx(radius / 4.0, rel=1e-4)


@pytest.mark.parametrize("game", [asymmetric_game(), vector_game(varying=True, seed=2)])
def test_stage_map_is_the_difference_of_best_responses(game):
    generator = np.random.default_rng(0)
    direction = generator.normal(size=(game.steps, game.control_size))
    for start in (0, 2):
        # Controls on the column of x_0, or on that of the last noise before `start`.
        column = 0 if start == 0 else game.state_size + start * game.noise_size
        move = direction.copy()
        move[:start] = 0.0
        profile = np.zeros(
            (game.steps, game.control_size, 1 + game.state_size + game.noise_size * game.steps)
        )
        still = lq.best_response(game, profile)
        profile[:, :, column] = move
        moved = (lq.best_response(game, profile) - still)[start:, :, column]
        expected = lq.stage_map(game, start) @ move[start:].ravel()
        np.testing.assert_allclose(moved.ravel(), expected, rtol=0, atol=1e-13)


def test_large_games_without_a_dense_matrix(monkeypatch):
    game = asymmetric_game(steps=8)
    dense = lq.contraction(game)
    monkeypatch.setattr(sys.modules["fictitious_play.lq.play.contraction"], "DENSE", 10)
    assert lq.contraction(game) == pytest.approx(dense, rel=1e-9)


def test_noise_can_diverge_where_the_initial_state_converges():
    game = signed_game(-3.0, 2.4, 12, epsilon=3.0)
    first, every = lq.contraction(game), lq.contraction(game, "all")
    assert first == pytest.approx(0.973, abs=1e-3)
    assert every == pytest.approx(1.117, abs=1e-3)
    error = lq.exact_play(game, 300).error
    assert (error[-1] / error[-101]) ** 0.01 == pytest.approx(every, rel=2e-3)
    quiet = lq.inter_bank_form(
        2, 2.4, 12, 0.1, 0.1, 3.0, 1.0, 0.0, 0.0, [[0, 1], [-3, 0]], [-1.0, 1.0]
    )
    assert lq.exact_play(quiet, 300).error[-1] < 0.01


def test_symmetric_games_have_one_radius():
    game = reference_game(10)
    assert lq.contraction(game, "all") == pytest.approx(lq.contraction(game), rel=1e-12)


@pytest.mark.parametrize(
    "change",
    [{"players": 1}, {"horizon": 0.0}, {"a": -1.0}, {"epsilon": 0.0}, {"c": np.nan}],
)
def test_bad_parameters(change):
    usual = {"players": 2, "horizon": 1.0, "a": 0.1, "q": 0.1, "epsilon": 0.5, "c": 0.5}
    with pytest.raises(ValueError, match="Received: "):
        lq.symmetric_contraction(**(usual | change))


def test_bad_columns():
    with pytest.raises(ValueError, match="must be one of"):
        lq.contraction(reference_game(3), "none")
    with pytest.raises(ValueError, match="`start` must be below 3"):
        lq.stage_map(reference_game(3), 3)


def sequential_map(matrix, owner):
    """Gauss-Seidel form of a stage map, players in turn."""
    after = owner[:, None] > owner
    return np.linalg.solve(np.eye(len(matrix)) - matrix * after, matrix * ~after)


@pytest.mark.parametrize("game", [asymmetric_game(), vector_game(coupled=True, discount=0.5)])
def test_belief_rules_from_the_dense_map(game, monkeypatch):
    dense = lq.stage_map(game)
    spectrum = np.linalg.eigvals(dense)
    turns = np.linalg.eigvals(sequential_map(dense, np.tile(game.owner, game.steps)))
    expected = {
        "last": np.abs(spectrum).max(),
        "damped": np.abs(0.7 + 0.3 * spectrum).max(),
        "average": spectrum.real.max(),
        "sequential": np.abs(turns).max(),
    }
    for rule, value in expected.items():
        assert lq.contraction(game, "initial", rule, 0.3) == pytest.approx(value, rel=1e-10)
    monkeypatch.setattr(sys.modules["fictitious_play.lq.play.contraction"], "DENSE", 10)
    for rule, value in expected.items():
        assert lq.contraction(game, "initial", rule, 0.3) == pytest.approx(value, rel=1e-7)


@pytest.mark.parametrize("rule", ["last", "damped", "average", "sequential"])
@pytest.mark.parametrize("game", [asymmetric_game(3), vector_game(3, coupled=True, discount=0.5)])
def test_closed_loop_factor_from_the_derivative_of_exact_play(game, rule):
    gains = lq.nash(game, "closed_loop").gains
    size, eps = gains.size, 1e-5
    turns = rule == "sequential"

    def respond(values):
        current = values.reshape(gains.shape).copy()
        play = lq.exact_feedback_play(game, 1, "sequential" if turns else "last", initial=current)
        return play.gains[0].ravel()

    derivative = np.stack(
        [
            (respond(gains.ravel() + eps * e) - respond(gains.ravel() - eps * e)) / (2.0 * eps)
            for e in np.eye(size)
        ],
        axis=1,
    )
    spectrum = np.linalg.eigvals(derivative)
    expected = {
        "damped": np.abs(0.7 + 0.3 * spectrum).max(),
        "average": spectrum.real.max(),
    }.get(rule, np.abs(spectrum).max())
    # Nilpotent couplings between steps leave eigenvalues that differences cannot tell from zero.
    found = lq.contraction(game, belief=rule, damping=0.3, information_structure="closed_loop")
    assert found == pytest.approx(expected, abs=2e-3)
    assert lq.contraction(vector_game(sizes=(2,)), information_structure="closed_loop") == 0.0


@pytest.mark.parametrize("structure", ["open_loop", "closed_loop"])
def test_many_symmetric_players_from_a_scalar_problem(structure, monkeypatch):
    game = reference_game(8)
    rules = [("last", 0.5), ("damped", 0.3), ("average", 0.5)]
    general = [lq.contraction(game, "all", *rule, structure) for rule in rules]
    monkeypatch.setattr(sys.modules["fictitious_play.lq.inter_bank.profile"], "LARGEST_FORM", 4)
    scalar = [lq.contraction(game, "all", *rule, structure) for rule in rules]
    np.testing.assert_allclose(scalar, general, rtol=1e-9)
    with pytest.raises(ValueError, match="for so many players"):
        lq.contraction(game, belief="sequential", information_structure=structure)
    found = lq.forecast(game, "sequential", information_structure=structure)
    assert found.converges is None
    assert "turns" in found.skipped


def test_damping_limit_is_where_damped_play_stops_contracting():
    game = signed_game(-3.0, 8.0)
    limit = lq.damping_limit(game)
    assert 0.0 < limit < 1.0
    assert lq.contraction(game, belief="damped", damping=limit) == pytest.approx(1.0, abs=1e-9)
    assert lq.contraction(game, belief="damped", damping=0.9 * limit) < 1.0
    assert lq.damping_limit(signed_game(1.5, 2.0)) == 0.0


def test_forecasts():
    well = lq.forecast(reference_game())
    assert well.converges
    assert (well.warning, well.skipped) == ("", "")
    assert well.factor == pytest.approx(0.31826128, abs=1e-8)
    diverges = lq.forecast(signed_game(-3.0, 8.0))
    assert diverges.converges is False
    assert f"{diverges.factor:.4g}" in diverges.warning
    assert f"{diverges.damping_limit:.3g}" in diverges.warning
    assert lq.forecast(signed_game(-3.0, 8.0), "average").converges
    assert "neither damping" in lq.forecast(signed_game(1.5, 2.0)).warning
    nowhere = lq.forecast(singular_game())
    assert isinstance(nowhere.failure, lq.SingularGameError)
    assert nowhere.converges is False
    assert "or many" in nowhere.warning
    # The noises' columns alone diverge: `all` is what counts.
    assert lq.forecast(signed_game(-3.0, 2.4, 12, epsilon=3.0)).converges is False


def test_forecasts_leave_out_what_takes_long(monkeypatch):
    game = asymmetric_game()
    for budget, columns, known in (
        (5e5, "initial", True),
        (1e5, "all", False),
        (1e3, "all", False),
    ):
        monkeypatch.setattr(sys.modules["fictitious_play.lq.play.forecast"], "BUDGET", budget)
        found = lq.forecast(game)
        assert (found.columns, not np.isnan(found.factor)) == (columns, known)
        assert found.skipped
        assert found.converges is None
