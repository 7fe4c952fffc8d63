"""States and controls along a few paths: the trained networks against the exact equilibrium."""

from typing import Any

import numpy as np

from reproduce import figures
from reproduce.games import solving
from reproduce.report import Table

_ERROR_PATHS = 4096


def run(context) -> dict[str, Any]:
    """Solves one game and follows player 1 on fresh paths; control and state errors on many."""
    import fictitious_play as fp

    training = dict(context.settings)
    players, paths, game = (training.pop(key) for key in ("players", "paths", "game"))
    result = solving.solve(context, "game", {**game, "players": players}, training, context.seed)
    exact = fp.lq.nash(result.game)
    initial, noise = solving.sample(result.game, _ERROR_PATHS, (context.seed, 2))
    controls, states = result.control(initial, noise), result.states(initial, noise)
    reference = exact.simulate(initial, noise)
    shown = slice(0, paths)
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
    """Player 1's state and control on each path, and the control error against time."""
    results = document["results"]
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
    right.plot(times[:-1], 100 * np.asarray(results["control_error_by_step"]), "o-",
               color="#1b3a5c")  # fmt: skip
    right.set(xlabel="time $t$", ylabel="error of the controls (%)",
              title=f"all players, {results['error_paths']:,} paths", ylim=(0, None))  # fmt: skip
    return figure


def summary(document: dict[str, Any]) -> list[Table]:
    """The control error and the cost error."""
    results = document["results"]
    return [Table.of("Networks against the exact equilibrium on the same noise", [results], {
        "game": lambda found: f"N = {found['players']}",
        "relative L2 error of the controls": lambda found: f"{100 * found['control_error']:.2f} %",
        "largest cost error": lambda found: solving.percent(*solving.worst(found)),
        "exploitability": solving.certified,
    })]  # fmt: skip


def _marker(look) -> dict[str, Any]:
    return {"color": look["color"], "marker": look["marker"], "markersize": 3.5}
