"""Trained cases with players who differ, and with states that are vectors."""

from typing import Any

from reproduce.games.cases import COSTS_AND_RUNS, Case, Games


def _cases(settings: dict[str, Any]) -> list[Case]:
    import fictitious_play as fp

    players, steps = settings["players"], settings["steps"]
    second = {"sigma": 0.6, "epsilon": 2.0, "a": 0.5, "initial_std": 0.2}
    groups = players - players // 2, players // 2
    games = {
        "a major bank": fp.major_player_game(players, share=0.5, major_sigma=0.5, steps=steps),
        "a ring": fp.ring_game(players, steps=steps),
        "two groups": fp.two_group_game(*groups, within=0.8, steps=steps, second_group=second),
        "a convoy (vector states)": fp.convoy_game(players, steps=steps),
    }
    return [Case(name, game) for name, game in games.items()]


run, summary = Games(
    cases=_cases, tables={"Players who differ, and vector states": COSTS_AND_RUNS}
).parts()
