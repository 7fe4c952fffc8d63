"""Verdicts on deep fictitious play follow from the numbers and their limits."""

import pytest

from reproduce.games import beliefs, closed_loop, lq_costs, nonlinear_games, scale


def of(*cases, **more):
    return {"results": {"cases": list(cases), **more}}


def solved(error, **more):
    return {"relative_error": [0.0, error], "relative_standard_error": [0.0, 0.0], **more}


@pytest.mark.parametrize(
    ("players", "network", "game", "error", "verdict"),
    [
        (5, "faithful", "N = 5", -0.005, "Holds."),
        (10, "faithful", "N = 10", 0.006, "Does not hold."),
        (24, "faithful", "N = 24", 0.006, "Holds."),
        (10, "skip path", "N = 10", 0.0021, "Does not hold."),
        (24, "skip path", "N = 24", 0.0039, "Holds."),
        (5, "skip path", "N = 5, spread start", 0.002, "Holds."),
    ],
)
def test_costs(players, network, game, error, verdict):
    case = solved(error, players=players, network=network, game=game)
    assert lq_costs.holds(of(case)) == verdict
    small = solved(0.0, players=2, network="skip path", game="N = 2")
    whole = {"Holds.": "Holds.", "Does not hold.": "Holds in part."}[verdict]
    assert lq_costs.holds(of(small, case)) == whole


def test_closed_loop_far_apart_needs_the_other_equilibrium_to_be_far():
    near = {
        "cost_error": {"closed_loop": 0.004, "open_loop": 0.01},
        "gain_error": {"closed_loop": 0.02, "open_loop": 0.1},
    }
    assert closed_loop.holds(of({"game": "N = 5", **near})) == "Holds."
    assert closed_loop.holds(of({"game": "N = 2, far apart", **near})) == "Holds in part."
    near["cost_error"]["open_loop"] = 0.013
    assert closed_loop.holds(of({"game": "N = 2, far apart", **near})) == "Holds."


def test_scale_sets_no_limit_for_the_wide_full_path():
    wide = {"players": 100, "features": "full_path", "relative_error": 0.03,
            "settings": {"hidden": [32, 32]}}  # fmt: skip
    narrow = {**wide, "settings": {"hidden": [16, 16]}}
    many = {**narrow, "features": "own_and_mean", "players": 1000, "relative_error": -0.02}
    assert scale.holds(of(wide, many)) == "Holds."
    assert scale.holds(of(narrow, many)) == "Holds in part."


def test_beliefs_and_nonlinear_games():
    errors = {"last": [1.0, 9.0], "damped": [1.0, 0.1], "average": [1.0, 0.5]}
    assert beliefs.holds(of({"error": errors})) == "Holds."
    assert beliefs.holds(of({"error": {**errors, "last": [1.0, 0.9]}})) == "Holds in part."
    flock = {"exploitability": {"relative": [0.001, None]}}
    document = {"results": {"flock": [flock], "portfolio": [solved(0.002)]}}
    assert nonlinear_games.holds(document) == "Holds."
    flock["exploitability"]["relative"][0] = 0.02
    assert nonlinear_games.holds(document) == "Holds in part."
