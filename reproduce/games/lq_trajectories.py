"""States and controls along a few paths: the trained networks against the exact equilibrium."""

from typing import Any

import numpy as np

from reproduce import figures
from reproduce.games import solving
from reproduce.games.cases import (
    PAPER_NETWORK,
    SKIP_NETWORK,
    Case,
    Games,
    Solved,
    by_game,
    names,
    records,
)
from reproduce.report import Table

_ERROR_PATHS = 4096


def _cases(settings: dict[str, Any]) -> list[Case]:
    players, training = settings["players"], settings["training"]
    network = SKIP_NETWORK if training.get("skip") else PAPER_NETWORK
    return [Case(f"N = {players}", {**settings["game"], "players": players}, network=network)]


def _record(solved: Solved) -> dict[str, Any]:
    """Player 1 on a few fresh paths; the errors of all controls on many."""
    import fictitious_play as fp

    result = solved.result
    initial, noise = solving.sample(result.game, _ERROR_PATHS, (solved.seed, 2))
    controls, states = result.control(initial, noise), result.states(initial, noise)
    reference = fp.lq.nash(result.game).simulate(initial, noise)
    shown = slice(0, solved.settings["paths"])
    return {
        "times": np.linspace(0.0, result.game.horizon, result.game.steps + 1),
        "states": states[shown, :, 0],
        "exact_states": reference.states[shown, :, 0],
        "controls": controls[shown, :, 0],
        "exact_controls": reference.controls[shown, :, 0],
        "control_error": fp.lq.control_error(controls, reference.controls),
        "control_error_by_step": np.sqrt(
            ((controls - reference.controls) ** 2).mean(axis=(0, 2))
            / (reference.controls**2).mean(axis=(0, 2))
        ),
        "error_paths": _ERROR_PATHS,
        **solving.describe(result),
    }


def draw(document: dict[str, Any]) -> Any:
    """Player 1's state and control on each path, of the first seed, and the control error against
    time: mean over the seeds, their range shaded."""
    found = records(document)
    results = found[0]
    times = np.asarray(results["times"])
    figure, (left, middle, right) = figures.subplots(1, 3, figsize=(10.2, 3.6))
    for path in range(len(results["states"])):
        look = figures.STYLES[path]
        left.plot(times, results["exact_states"][path], color=look["color"], linewidth=1.0)
        left.plot(times, results["states"][path], linestyle="none", **_marker(look))
        middle.step(
            times, [*results["exact_controls"][path], results["exact_controls"][path][-1]],
            where="post", color=look["color"], linewidth=1.0,
        )  # fmt: skip
        middle.plot(times[:-1], results["controls"][path], linestyle="none", **_marker(look))
    line = left.plot([], [], color="black", linewidth=1.0, label="exact")[0]
    dots = left.plot([], [], "o", color="black", markersize=3, label="network")[0]
    figure.legend(handles=[line, dots], title="a colour per path", loc="outside lower center",
                  ncols=2)  # fmt: skip
    left.set(xlabel="time $t$", ylabel="state $X^1_t$ (log-reserves)", title="state of player 1")
    middle.set(xlabel="time $t$", ylabel="control $α^1_t$ (per unit time)",
               title="control of player 1")  # fmt: skip
    errors = 100 * np.array([case["control_error_by_step"] for case in found])
    right.plot(times[:-1], errors.mean(axis=0), "o-", color="#1b3a5c")
    right.fill_between(times[:-1], errors.min(axis=0), errors.max(axis=0), color="#1b3a5c",
                       alpha=0.15, linewidth=0)  # fmt: skip
    right.set(xlabel="time $t$", ylabel="error of the controls (%)",
              title=f"all players, {results['error_paths']:,} paths", ylim=(0, None))  # fmt: skip
    return figure


def summary(document: dict[str, Any]) -> list[Table]:
    """The control error and the cost error."""
    groups = [cases for _, cases in by_game(document)]
    return [Table.of("Networks against the exact equilibrium on the same noise", groups, {
        "game": lambda cases: names(cases[0])[0],
        "relative L2 error of the controls": lambda cases: solving.over_seeds(
            [(case["control_error"],) for case in cases], "", digits=2),
        "largest cost error": solving.largest,
        "gain by deviating": solving.gain,
        "seeds": lambda cases: str(len(cases)),
    })]  # fmt: skip


def _marker(look) -> dict[str, Any]:
    return {"color": look["color"], "marker": look["marker"], "markersize": 3.5}


run = Games(cases=_cases, record=_record).run
