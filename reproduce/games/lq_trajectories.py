"""States and controls along a few paths: the trained networks against the exact equilibrium."""

from typing import Any

import numpy as np

from reproduce import figures
from reproduce.games import cells, solving
from reproduce.games.cases import PAPER_NETWORK, SKIP_NETWORK, Case, Games, Solved, names, records

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
    time."""
    found = records(document)
    first, times = found[0], np.asarray(found[0]["times"])
    figure, (left, middle, right) = figures.subplots(1, 3, figsize=(10.2, 3.6))
    for path in range(len(first["states"])):
        thin = {"color": figures.STYLES[path]["color"], "linewidth": 1.0}
        dots = {**figures.dots(path), "markersize": 3.5}
        exact = first["exact_controls"][path]
        left.plot(times, first["exact_states"][path], **thin)
        left.plot(times, first["states"][path], **dots)
        middle.step(times, [*exact, exact[-1]], where="post", **thin)
        middle.plot(times[:-1], first["controls"][path], **dots)
    line = left.plot([], [], color="black", linewidth=1.0, label="exact")[0]
    dots = left.plot([], [], "o", color="black", markersize=3, label="network")[0]
    figure.legend(handles=[line, dots], title="a colour per path", loc="outside lower center",
                  ncols=2)  # fmt: skip
    left.set(xlabel="time $t$", ylabel="state $X^1_t$ (log-reserves)", title="state of player 1")
    middle.set(xlabel="time $t$", ylabel="control $α^1_t$ (per unit time)",
               title="control of player 1")  # fmt: skip
    figures.shaded(right, times[:-1],
                   [100 * np.asarray(case["control_error_by_step"]) for case in found])  # fmt: skip
    right.set(xlabel="time $t$", ylabel="error of the controls (%)",
              title=f"all players, {first['error_paths']:,} paths", ylim=(0, None))  # fmt: skip
    return figure


run, summary = Games(
    cases=_cases,
    record=_record,
    tables={"Networks against the exact equilibrium on the same noise": {
        "game": lambda cases: names(cases[0])[0],
        "relative L2 error of the controls": cells.quantity("control_error", digits=2),
        "largest cost error": cells.largest,
        cells.GAIN: cells.gain,
        **cells.RUNS,
    }},
).parts()  # fmt: skip
