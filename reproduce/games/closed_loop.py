"""Feedback equilibria: networks that read the state, against the closed-loop equilibrium."""

from pathlib import Path
from typing import Any

import numpy as np

from reproduce import figures
from reproduce.games import solving
from reproduce.report import Table

_TRAINING = {**solving.QUICK, "information": "closed_loop"}
_APART = {**solving.STANDARD, "players": 2, "epsilon": 4.0, "c": 4.0}
PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {
        "players": [], "apart": {**_APART, "steps": 4}, "training": {**solving.SMOKE,
        "information": "closed_loop"}, "paths": 64,
    },
    "quick": {"players": [5, 10], "apart": _APART, "training": _TRAINING, "paths": 8192},
    "paper": {
        "players": [5, 10], "apart": _APART,
        "training": {**solving.PAPER, "information": "closed_loop"}, "paths": 8192,
    },
}  # fmt: skip
#: The game whose two equilibria lie apart.
_FAR = "N = 2, far apart"
_STANDARD: dict[str, Any] = {"batch_normalization": False, "skip": True}
#: Every player's trained response, in which N networks answer N deviations, is the dear part.
_CERTIFICATE = {"steps": 100, "batch_size": 64, "paths": 1024}
_NETWORKS = {
    "one network a step": _STANDARD,
    "one network for all steps": {**_STANDARD, "time_shared": True},
}


def run(context) -> dict[str, Any]:
    """Solves the standard games and the one that tells the two equilibria apart."""
    settings = context.settings
    games = {f"N = {n}": {**solving.STANDARD, "players": n} for n in settings["players"]}
    games[_FAR] = settings["apart"]
    cases = []
    for title, arguments in games.items():
        for network, switches in _NETWORKS.items():
            training = {**settings["training"], **switches}
            name = f"{title}-{network}".replace(" ", "")
            result = solving.train(context, name, arguments, training, context.seed)
            measured = _measure(result, settings["paths"], context.seed)
            cases.append(
                {
                    "game": title,
                    "network": network,
                    **solving.describe(result, **_CERTIFICATE),
                    **measured,
                }
            )
    return {"cases": cases}


def _measure(result, paths: int, seed: int) -> dict[str, Any]:
    """Regressed gains, and the distance of gains and costs from both equilibria."""
    import fictitious_play as fp

    game = result.game
    generator = np.random.default_rng((seed, 3))
    initial = game.initial_states(generator.standard_normal((paths, game.state_size)))
    noise = generator.standard_normal((paths, game.steps, game.noise_size)) * game.step_size**0.5
    controls, states = result.control(initial, noise), result.states(initial, noise)
    gains = fp.lq.regressed_gains(controls, states[:, :-1])
    equilibria = {kind: fp.lq.nash(game, information=kind) for kind in ("closed_loop", "open_loop")}
    return {
        "gain_error": {
            kind: fp.lq.gain_error(game, gains, exact.gains) for kind, exact in equilibria.items()
        },
        "cost_error": {
            kind: np.max(np.abs(result.relative_error(exact))) for kind, exact in equilibria.items()
        },
        "gains": gains[:, 0, 0],
        "exact_gains": {kind: exact.gains[:, 0, 0] for kind, exact in equilibria.items()},
    }


def draw(document: dict[str, Any], stem: Path) -> list[Path]:
    """Player 1's gain on her own state against time, with both exact equilibria."""
    from matplotlib import pyplot

    cases = document["results"]["cases"]
    titles = list(dict.fromkeys(case["game"] for case in cases))
    figure, axes = pyplot.subplots(1, len(titles), figsize=(3.3 * len(titles), 3.2), squeeze=False)
    for axis, title in zip(axes[0], titles, strict=True):
        chosen = [case for case in cases if case["game"] == title]
        times = np.linspace(0.0, 1.0, len(chosen[0]["gains"]), endpoint=False)
        for kind, line in (("closed_loop", "-"), ("open_loop", ":")):
            label = f"exact, {kind.replace('_', ' ')}"
            axis.plot(times, chosen[0]["exact_gains"][kind], "k", linestyle=line, label=label)
        for number, case in enumerate(chosen):
            look = {**figures.STYLES[number], "linestyle": "none"}
            axis.plot(times, case["gains"], label=case["network"], **look)
        axis.set(xlabel="time $t$ (units of T)", title=title)
    axes[0, 0].set_ylabel("gain of $α^1$ on $X^1$ (per unit time)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return [figures.save(figure, stem)]


def summary(document: dict[str, Any]) -> list[Table]:
    """Errors to both equilibria, a row a game and network."""
    columns = ("game", "network", "cost error, closed", "cost error, open", "gain error, closed",
               "gain error, open", "exploitability", "CPU-s")  # fmt: skip
    rows = []
    for case in document["results"]["cases"]:
        errors = [
            f"{100 * case[what][kind]:.2f} %"
            for what in ("cost_error", "gain_error")
            for kind in ("closed_loop", "open_loop")
        ]
        rows.append(
            (case["game"], case["network"], *errors, solving.certified(case),
             f"{case['cpu_seconds']:.0f}")
        )  # fmt: skip
    return [Table("Closed-loop play against both equilibria", columns, rows)]


def markdown(document: dict[str, Any]) -> str:
    """What is compared."""
    return (
        "Networks that read (t, X_t), trained against the others' networks, which answer a "
        "deviation. They have a linear path beside two hidden ReLU layers, and no batch "
        "normalisation; that of one network for all steps is cubic in time. Errors are to the "
        "closed-loop and to the open-loop equilibrium of the same game in discrete time; gains are "
        "regressions of the controls on the states. In the standard games the two equilibria lie "
        "close together; the last game (ε = c = 4) tells them apart. Exploitability here is by a "
        "best response of twice the width, trained against the profile: a lower bound, which may "
        "come out negative by its standard error."
    )
