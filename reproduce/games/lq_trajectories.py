"""States and controls along a few paths: the trained networks against the exact equilibrium."""

from pathlib import Path
from typing import Any

import numpy as np

from reproduce import figures
from reproduce.games import solving
from reproduce.report import Table

#: Of the relative L2 error of the controls at the preset `best`.
_LIMIT = 0.03
PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {"players": 3, "paths": 2, "game": {**solving.STANDARD, "steps": 4}, **solving.SMOKE},
    "quick": {"players": 5, "paths": 3, "game": solving.STANDARD, **solving.QUICK},
    "best": {"players": 10, "paths": 3, "game": solving.STANDARD, **solving.BEST},
    "paper": {"players": 10, "paths": 3, "game": solving.STANDARD, **solving.PAPER},
}
_ERROR_PATHS = 4096


def run(context) -> dict[str, Any]:
    """Solves one game and follows player 1 on fresh paths; control and state errors on many."""
    import fictitious_play as fp

    training = dict(context.settings)
    players, paths, game = (training.pop(key) for key in ("players", "paths", "game"))
    result = solving.solve(context, "game", {**game, "players": players}, training, context.seed)
    exact = fp.lq.nash(result.game)
    generator = np.random.default_rng((context.seed, 2))
    initial = result.game.initial_states(generator.standard_normal((_ERROR_PATHS, players)))
    noise = generator.standard_normal((_ERROR_PATHS, result.game.steps, players + 1))
    noise *= result.game.step_size**0.5
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


def draw(document: dict[str, Any], stem: Path) -> list[Path]:
    """Player 1's state and control on each path, and the control error against time."""
    from matplotlib import pyplot

    results = document["results"]
    times = np.asarray(results["times"])
    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(10.2, 3.6))
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
    return [figures.save(figure, stem)]


def summary(document: dict[str, Any]) -> list[Table]:
    """The control error and the cost error."""
    results = document["results"]
    row = (
        f"N = {results['players']}",
        f"{100 * results['control_error']:.2f} %",
        solving.percent(*solving.worst(results)),
        solving.certified(results),
    )
    columns = ("game", "relative L2 error of the controls", "largest cost error", "exploitability")
    return [Table("Networks against the exact equilibrium on the same noise", columns, [row])]


def markdown(document: dict[str, Any]) -> str:
    """What is compared."""
    return (
        "Lines are the exact discrete-time equilibrium, dots the trained networks on the same "
        "initial states and noise, which were not seen in training. The control error is "
        "√(Σ E|α - α*|² / Σ E|α*|²); a cost is flat around its minimum, so an error of the "
        "controls costs only its square."
    )


def _marker(look) -> dict[str, Any]:
    return {"color": look["color"], "marker": look["marker"], "markersize": 3.5}
