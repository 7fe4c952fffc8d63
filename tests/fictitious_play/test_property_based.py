"""Bad input of every kind, generated: a ValueError or TypeError that names the rule, at once."""

import time
import warnings
from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fictitious_play as fp
from tests.fictitious_play.lq.lq_games import vector_game

# Values that are wrong for every argument of a kind.
_words = st.text(min_size=1, max_size=8)
_nowhere = st.sampled_from([float("nan"), float("inf"), -float("inf")])
_things = st.sampled_from([None, {}, {"a": 1}, object(), 1j, b"1", print, slice(3), [[1], [1, 2]]])
_negative = st.floats(max_value=-1e-6, allow_infinity=False, allow_nan=False)
KINDS = {
    "count": st.one_of(
        _words, _nowhere, _things, st.integers(max_value=-1), st.booleans(), st.just([3]),
        st.floats(0.1, 0.9), st.just(np.array([2, 3])),
    ),
    "positive": st.one_of(
        _words, _nowhere, _things, _negative, st.just(0.0), st.just([1.0]), st.just(True),
    ),
    "number": st.one_of(_words, _nowhere, _things, st.just([1.0, 2.0])),
    "not negative": st.one_of(_words, _nowhere, _things, _negative),
    "players' values": st.one_of(
        _words, _nowhere, _things, st.just(np.zeros((2, 2))), st.just(np.ones(7)),
        st.just([0.1, float("nan"), 0.2]), st.just(["a", "b", "c"]),
    ),
    "share": st.one_of(
        _words, _nowhere, _things, _negative, st.floats(1.0 + 1e-6, 1e9), st.just([0.5]),
    ),
    "choice": st.one_of(
        _words, st.integers(), _nowhere, st.sampled_from([None, ("last",), b"last", 1j]),
    ),
    "matrix": st.one_of(
        _words, _nowhere, st.just({}), st.just(object()), st.just(np.ones((3, 2))),
        st.just(np.ones((1, 1, 1, 1))), st.just(np.full((3, 3), np.nan)), st.just(np.ones(3) * 1j),
        st.just([[1.0], [1.0, 2.0]]),
    ),
    "matrices": st.one_of(
        _words, _nowhere, st.just(object()), st.just([]), st.just([np.eye(2)]), st.just(3),
        st.just([np.full((3, 3), np.inf)] * 3), st.just([None] * 3), st.just([["x"]] * 3),
    ),
    "paths": st.one_of(
        _words, _nowhere, _things, st.just(np.zeros((4, 2))), st.just(np.zeros((4, 1, 1))),
        st.just(np.full((4, 3), np.nan)), st.just(np.full((4, 2, 4), np.inf)), st.just(0.0),
    ),
    "widths": st.one_of(
        _words, _nowhere, st.sampled_from([None, 1j, b"", 0, 8, 2.5]), st.just(()), st.just((0,)),
        st.just((4, -1)), st.just((2.5,)), st.just(("a",)),
    ),
    "game": st.one_of(_words, _nowhere, _things, st.just(fp.InterBankGame), st.integers()),
}  # fmt: skip


@cache
def bank():
    return fp.InterBankGame(players=3, steps=2)


@cache
def solved():
    solver = fp.DeepFictitiousPlay(bank(), hidden=(4,))
    return solver.solve(1, 1, validation_paths=16, progress=False)


@cache
def sample():
    return np.zeros((4, 3)), np.zeros((4, 2, 4)), np.zeros((4, 2, 3))


def _matrices(*names):
    form = vector_game(steps=2, sizes=(1, 1, 1))
    return {name: getattr(form, name) for name in names or "ABQSRGL"}


_BANK = {
    "players": "count", "horizon": "positive", "steps": "count", "a": "not negative",
    "q": "not negative", "epsilon": "not negative", "c": "not negative",
    "sigma": "not negative", "initial_mean": "players' values", "initial_std": "not negative",
}  # fmt: skip
_FORM = {"A": "matrix", "B": "matrices", "Q": "matrices", "G": "matrices", "L": "matrix",
         "horizon": "positive", "steps": "count", "initial_mean": "players' values"}  # fmt: skip
_PARAMETERS = {"players": 3, "horizon": 1.0, "steps": 2, "a": 0.1, "q": 0.1, "epsilon": 0.5,
               "c": 0.5}  # fmt: skip

#: Of every target: the call, arguments that are right, and the kinds of those to be spoilt.
TARGETS = {
    "Game": (lambda: fp.Game, {"players": 3, "horizon": 1.0, "steps": 2},
             {"players": "count", "horizon": "positive", "steps": "count",
              "control_size": "count", "initial_mean": "players' values",
              "initial_std": "players' values"}),
    "InterBankGame": (lambda: fp.InterBankGame, {"players": 3}, {
        **_BANK, "rho": "share", "weights": "matrix"}),
    "LinearQuadraticGame": (lambda: fp.LinearQuadraticGame, {**_matrices(), "steps": 2}, {
        **_FORM, "initial_std": "players' values", "initial_covariance": "matrix"}),
    "FlockingGame": (lambda: fp.FlockingGame, {}, {
        "players": "count", "dimensions": "count", "alignment": "not negative",
        "decay": "not negative", "reach": "positive", "sigma": "not negative",
        "turbulence": "not negative", "initial_std": "players' values"}),
    "PortfolioGame": (lambda: fp.PortfolioGame, {"players": 3}, {
        "players": "count", "mu": "players' values", "nu": "players' values",
        "sigma": "players' values", "delta": "players' values", "theta": "players' values"}),
    "convoy_game": (lambda: fp.convoy_game, {}, {
        "players": "count", "steps": "count", "position_weight": "not negative",
        "speed_weight": "not negative", "sigma": "players' values"}),
    "major_player_game": (lambda: fp.major_player_game, {}, {
        "players": "count", "share": "share", "major_sigma": "not negative"}),
    "ring_game": (lambda: fp.ring_game, {}, {"players": "count", "own": "share"}),
    "two_group_game": (lambda: fp.two_group_game, {}, {
        "first": "count", "second": "count", "within": "share"}),
    "inter_bank_form": (lambda: fp.lq.inter_bank_form, _PARAMETERS, {
        **_BANK, "weights": "matrix"}),
    "LinearQuadraticForm": (
        lambda: fp.lq.LinearQuadraticForm,
        {**_matrices(), "horizon": 1.0, "steps": 2, "initial_mean": np.zeros(3),
         "initial_covariance": np.eye(3)},
        {**_FORM, "initial_covariance": "matrix"}),
    "nash": (lambda: fp.lq.nash, {"game": bank()}, {
        "game": "game", "information_structure": "choice", "time": "choice"}),
    "profile_cost": (lambda: fp.lq.profile_cost, {"game": bank(), "gains": np.zeros((2, 3, 3))}, {
        "game": "game", "gains": "paths"}),
    "contraction": (lambda: fp.lq.contraction, {"game": bank()}, {
        "game": "game", "columns": "choice"}),
    "exact_play": (lambda: fp.lq.exact_play, {"game": bank(), "stages": 2}, {
        "game": "game", "stages": "count", "belief": "choice", "damping": "share",
        "initial": "matrix"}),
    "exploitability": (
        lambda: fp.lq.exploitability,
        {"game": bank(), "controls": sample()[2], "initial_state": sample()[0],
         "noise": sample()[1], "regression": False},
        {"game": "game", "controls": "paths", "initial_state": "matrix", "noise": "paths"}),
    "mean_field_cost": (lambda: fp.lq.mean_field_cost, {"game": bank()}, {
        "game": "game", "time": "choice"}),
    "best_response": (
        lambda: fp.lq.best_response, {"game": bank(), "coefficients": np.zeros((2, 3, 12))},
        {"game": "game", "coefficients": "paths", "player": "count"}),
    "stage_map": (lambda: fp.lq.stage_map, {"game": bank()}, {"game": "game", "start": "count"}),
    "gain_error": (
        lambda: fp.lq.gain_error,
        {"game": bank(), "gains": np.zeros((2, 3, 3)), "reference": np.ones((2, 3, 3))},
        {"game": "game", "gains": "paths", "reference": "paths"}),
    "control_error": (
        lambda: fp.lq.control_error,
        {"controls": np.zeros((4, 3, 2)), "reference": np.ones((4, 3, 2))},
        {"controls": "paths", "reference": "paths"}),
    "regressed_gains": (
        lambda: fp.lq.regressed_gains,
        {"controls": np.zeros((9, 2, 3)), "states": np.ones((9, 2, 3))},
        {"controls": "paths", "states": "paths"}),
    "simulate_controls": (
        lambda: fp.lq.simulate_controls,
        {"game": bank(), "controls": sample()[2], "initial_state": sample()[0],
         "noise": sample()[1]},
        {"game": "game", "controls": "paths", "initial_state": "matrix", "noise": "paths"}),
    "symmetric_contraction": (
        lambda: fp.lq.symmetric_contraction,
        {"players": 3, "horizon": 1.0, "a": 0.1, "q": 0.1, "epsilon": 0.5, "c": 0.5},
        {"players": "positive", "horizon": "positive", "a": "not negative", "q": "not negative",
         "epsilon": "not negative", "c": "not negative"}),
    "ControlNetwork": (lambda: fp.ControlNetwork, {}, {
        "hidden": "widths", "control_size": "count"}),
    "Rcost": (lambda: fp.Rcost, {"game": bank(), "player": 0, "step": 0}, {
        "player": "count", "step": "count"}),
    "Tcost": (lambda: fp.Tcost, {"game": bank(), "player": 0}, {
        "game": "game", "player": "count"}),
    "player_model": (lambda: fp.player_model, {"game": bank(), "player": 0}, {
        "player": "count", "hidden": "widths"}),
    "JointPolicy": (lambda: fp.JointPolicy, {"game": bank()}, {
        "game": "game", "hidden": "widths", "features": "choice"}),
    "FeedbackPolicy": (lambda: fp.FeedbackPolicy, {"game": bank()}, {
        "game": "game", "hidden": "widths"}),
    "DeepFictitiousPlay": (lambda: fp.DeepFictitiousPlay, {"game": bank()}, {
        "game": "game", "hidden": "widths", "batch_size": "count", "learning_rate": "positive",
        "final_rate_ratio": "share", "initial_belief": "matrix", "seed": "count",
        "dtype": "choice", "information_structure": "choice", "belief": "choice",
        "damping": "share", "features": "choice"}),
    "solve": (lambda: fp.DeepFictitiousPlay(bank(), hidden=(4,)).solve,
              {"progress": False, "validation_paths": 16}, {
        "stages": "count", "steps_per_stage": "count", "tolerance": "positive",
        "validation_paths": "count", "stage_paths": "count"}),
    "control": (lambda: solved().control,
                {"initial_state": sample()[0], "noise": sample()[1]},
                {"initial_state": "matrix", "noise": "paths"}),
    "states": (lambda: solved().states,
               {"initial_state": sample()[0], "noise": sample()[1]},
               {"initial_state": "matrix", "noise": "paths"}),
    "certificate": (lambda: solved().exploitability, {}, {
        "method": "choice", "steps": "count", "paths": "count", "batch_size": "count",
        "seed": "count"}),
}  # fmt: skip
#: What a kind holds that is right for these arguments after all.
_ALLOWED = {
    "learning_rate": lambda value: value is None,
    "tolerance": lambda value: value is None,
    "initial_covariance": lambda value: value is None,
    "weights": lambda value: value is None,
    "initial": lambda value: value is None,
    "dtype": lambda value: value is None,
    "player": lambda value: value is None,
    "L": lambda value: getattr(value, "shape", None) == (3, 2),
    **{
        ("symmetric_contraction", name): lambda value: value in ([1.0], [1.0, 2.0], True)
        for name in ("players", "horizon", "a", "q", "epsilon", "c")
    },
    "rho": lambda value: isinstance(value, float) and -1.0 <= value <= 1.0,
}
CASES = [
    (target, argument, kind)
    for target, (_, _, kinds) in TARGETS.items()
    for argument, kind in kinds.items()
]
_EXAMPLES = 20
_GENERATED: dict[tuple[str, str], int] = {}


@pytest.mark.parametrize(("target", "argument", "kind"), CASES)
def test_bad_input_is_refused_at_the_door(target, argument, kind):
    make, good, _ = TARGETS[target]
    call, count = make(), []

    @settings(
        max_examples=_EXAMPLES, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(KINDS[kind])
    def check(value):
        if _ALLOWED.get((target, argument), _ALLOWED.get(argument, lambda _: False))(value):
            return
        begun = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy's complaints count as a traceback
            with pytest.raises((ValueError, TypeError)) as caught:
                call(**{**good, argument: value})
        assert time.process_time() - begun < 1.0
        text = str(caught.value)
        assert "Received" in text, text
        assert len(text) > 20
        count.append(value)

    check()
    _GENERATED[target, argument] = len(count)


def test_there_were_at_least_two_hundred_of_them():
    if len(_GENERATED) < len(CASES):
        pytest.skip("only a part of the cases was run")
    assert min(_GENERATED.values()) > 0
    assert sum(_GENERATED.values()) > 1000


def test_arguments_that_are_right_are_taken():
    """So that a target does not refuse everything."""
    for target, (make, good, _) in TARGETS.items():
        if target not in ("solve", "certificate"):
            make()(**good)


EXTREME = {
    "no noise": {"sigma": 0.0},
    "ε = q²": {"q": 0.5, "epsilon": 0.25},
    "ε = q² and c = 0": {"q": 0.5, "epsilon": 0.25, "c": 0.0},
    "c = 0": {"c": 0.0},
    "short": {"horizon": 1e-3},
    "long": {"horizon": 16.0},
    "two players": {"players": 2},
    "one step": {"steps": 1},
    "certain start": {"initial_std": 0.0, "initial_mean": [1.0, 0.0, -1.0]},
    "nothing happens": {"sigma": 0.0, "initial_std": 0.0},
    "only common noise": {"rho": 1.0},
    "no reason to move": {"q": 0.0, "epsilon": 0.0, "c": 0.0, "a": 0.0},
}


#: Each is half of another one.
_HALVES = ("no noise", "ε = q²", "c = 0")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.release] * (name in _HALVES)) for name in EXTREME],
)
def test_extreme_but_valid_games_are_solved(name):
    """Two tiny stages with a linear path: no worse than doing nothing, and finite where it can be.

    Relative errors are NaN exactly where the equilibrium costs nothing and no path costs more or
    less than another.
    """
    game = fp.InterBankGame(**{"players": 3, "steps": 2, **EXTREME[name]})
    exact = fp.lq.nash(game)
    solver = fp.DeepFictitiousPlay(game, hidden=(4,), batch_normalization=False, skip=True)
    result = solver.solve(2, 20, validation_paths=256, progress=False)
    assert result.reason == "max_stages"
    assert np.all(np.isfinite(result.cost))
    idle = fp.lq.profile_cost(game, np.zeros_like(exact.gains))
    slack = 0.02 * np.abs(idle) + 4 * result.cost_standard_error + 1e-6
    assert np.all(result.cost <= idle + slack)
    assert np.all(result.cost >= exact.cost - 0.2 * idle - slack)
    error = result.relative_error(exact)
    no_scale = np.maximum(exact.cost, result.cost_spread) <= 1e-12
    np.testing.assert_array_equal(np.isnan(error), no_scale)
    if name in ("ε = q² and c = 0", "nothing happens", "no reason to move"):
        assert np.all(np.isnan(error)) or name == "ε = q² and c = 0"
    certificate = result.exploitability(paths=64)
    assert np.all(np.isfinite(certificate.gain))
