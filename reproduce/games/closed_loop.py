"""Feedback equilibria: networks that read the state, against the closed-loop equilibrium."""

from typing import Any

import numpy as np

from reproduce import figures
from reproduce.games import cells, solving
from reproduce.games.cases import COSTS, Case, Games, Solved, inter_bank, panels

_CLOSED = {"information_structure": "closed_loop", "batch_normalization": False, "skip": True}
_KINDS = {"closed_loop": "-", "open_loop": ":"}


def _cases(settings: dict[str, Any]) -> list[Case]:
    """The standard games, and one that tells the two equilibria apart."""
    games = inter_bank(settings["players"], settings["game"])
    games["N = 2, far apart"] = settings["apart"]
    networks = {"one network per step": {}, "one network for all steps": {"time_shared": True}}
    return [Case(name, game, {**_CLOSED, **switches}, network)
            for name, game in games.items() for network, switches in networks.items()]  # fmt: skip


def _record(solved: Solved) -> dict[str, Any]:
    """Regressed gains, and the distance of gains and costs from both equilibria."""
    import fictitious_play as fp

    result, game = solved.result, solved.result.game
    initial, noise = solving.sample(game, solved.settings["paths"], (solved.seed, 3))
    controls, states = result.control(initial, noise), result.states(initial, noise)
    gains = fp.lq.regressed_gains(controls, states[:, :-1])
    exact = {kind: fp.lq.nash(game, kind) for kind in _KINDS}
    return {
        # Every player's trained response, in which N networks answer N deviations, is dear.
        **solving.describe(result, steps=100, batch_size=64, paths=1024),
        "gain_error": {k: fp.lq.gain_error(game, gains, e.gains) for k, e in exact.items()},
        "cost_error": {k: np.max(np.abs(result.relative_error(e))) for k, e in exact.items()},
        "gains": gains[:, 0, 0],
        "exact_gains": {kind: each.gains[:, 0, 0] for kind, each in exact.items()},
    }


def _draw(document: dict[str, Any]) -> Any:
    """Player 1's gain on her own state against time, with both exact equilibria."""
    figure, shown = panels(document, 3.3, 3.2)
    for axis, own in shown:
        first = next(iter(own.values()))[0]
        times = np.linspace(0.0, 1.0, len(first["gains"]), endpoint=False)
        for kind, line in _KINDS.items():
            label = f"exact, {kind.replace('_', ' ')}"
            axis.plot(times, first["exact_gains"][kind], "k", linestyle=line, label=label)
        for number, (network, (case, *_)) in enumerate(own.items()):
            axis.plot(times, case["gains"], label=network, **figures.dots(number))
        axis.set(xlabel="time $t$ (units of T)")
    figure.axes[0].set_ylabel("gain of $α^1$ on $X^1$ (per unit time)")
    return figures.legend_below(figure)


def _error(what: str, kind: str) -> cells.Cell:
    """A distance from an equilibrium."""
    return cells.quantity(lambda case: case[f"{what}_error"][f"{kind}_loop"], digits=2)


ITEM = Games(
    cases=_cases,
    record=_record,
    tables={"Closed-loop play against both equilibria": {
        **COSTS,
        "cost error, open": _error("cost", "open"),
        "gain error, closed": _error("gain", "closed"),
        "gain error, open": _error("gain", "open"),
        **cells.RUNS,
    }},
    draw=_draw,
)  # fmt: skip
