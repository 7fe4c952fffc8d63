"""Feedback equilibria: networks that read the state, against the closed-loop equilibrium."""

from typing import Any

import numpy as np

from reproduce import figures
from reproduce.games import solving
from reproduce.games.cases import Case, Games, Solved, by_game, inter_bank

_CLOSED = {"information_structure": "closed_loop", "batch_normalization": False, "skip": True}


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
    equilibria = {kind: fp.lq.nash(game, kind) for kind in ("closed_loop", "open_loop")}
    return {
        # Every player's trained response, in which N networks answer N deviations, is dear.
        **solving.describe(result, steps=100, batch_size=64, paths=1024),
        "gain_error": {
            kind: fp.lq.gain_error(game, gains, exact.gains) for kind, exact in equilibria.items()
        },
        "cost_error": {
            kind: np.max(np.abs(result.relative_error(exact))) for kind, exact in equilibria.items()
        },
        "gains": gains[:, 0, 0],
        "exact_gains": {kind: exact.gains[:, 0, 0] for kind, exact in equilibria.items()},
    }


def draw(document: dict[str, Any]) -> Any:
    """Player 1's gain on her own state against time, with both exact equilibria."""
    groups = {key: cases[0] for key, cases in by_game(document)}
    titles = list(dict.fromkeys(game for game, _ in groups))
    figure, axes = figures.subplots(1, len(titles), figsize=(3.3 * len(titles), 3.2), squeeze=False)
    for axis, title in zip(axes[0], titles, strict=True):
        chosen = {network: case for (game, network), case in groups.items() if game == title}
        first = next(iter(chosen.values()))
        times = np.linspace(0.0, 1.0, len(first["gains"]), endpoint=False)
        for kind, line in (("closed_loop", "-"), ("open_loop", ":")):
            label = f"exact, {kind.replace('_', ' ')}"
            axis.plot(times, first["exact_gains"][kind], "k", linestyle=line, label=label)
        for number, (network, case) in enumerate(chosen.items()):
            look = {**figures.STYLES[number], "linestyle": "none"}
            axis.plot(times, case["gains"], label=network, **look)
        axis.set(xlabel="time $t$ (units of T)", title=title)
    axes[0, 0].set_ylabel("gain of $α^1$ on $X^1$ (per unit time)")
    return figures.legend_below(figure)


def _error(what: str, kind: str):
    """The mean over seeds of a distance from an equilibrium, as a column."""
    return lambda cases: f"{100 * np.mean([case[what][kind] for case in cases]):.2f} %"


run, summary = Games(
    cases=_cases,
    record=_record,
    caption="Closed-loop play against both equilibria",
    columns={
        "cost error, open": _error("cost_error", "open_loop"),
        "gain error, closed": _error("gain_error", "closed_loop"),
        "gain error, open": _error("gain_error", "open_loop"),
    },
).parts()  # fmt: skip
