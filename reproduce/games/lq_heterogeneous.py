"""Trained cases with players who differ, and with states that are vectors."""

from typing import Any

from reproduce.games import solving
from reproduce.games.cases import Case, Games


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


PRESETS, run, summary, markdown = Games(
    presets={
        "smoke": {"players": 3, "steps": 3, "seeds": 1, "training": solving.SMOKE},
        "quick": {"players": 5, "steps": 20, "seeds": 1, "training": solving.QUICK},
        "paper": {"players": 10, "steps": 20, "seeds": 1, "training": solving.PAPER},
    },
    cases=_cases,
    about="Inter-bank games in which one bank weighs half in everybody's mean and is half as "
    "volatile, in which banks look at their two neighbours only, and in which two groups of "
    "banks with unequal parameters look at their own group four times as much as at the "
    "other; and vehicles with a position and a speed each, who pay for acceleration and for "
    "being off the mean. T = 1, N_T = 20, the parameters of `fp.major_player_game`, "
    "`fp.ring_game`, `fp.two_group_game` and `fp.convoy_game` where nothing is said. The "
    "paper's architecture.",
    caption="Players who differ, and vector states",
).parts()
