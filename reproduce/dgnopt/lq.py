"""DGNOpt's recursion on linear-quadratic games, against solutions that are found otherwise."""

from pathlib import Path
from typing import Any

import numpy as np

from reproduce import figures, verdicts
from reproduce.dgnopt import lq_cases, lq_network
from reproduce.report import Table

#: `games` a case; a case is (state size n, players N, horizon T); `long` the horizon of the
#: approach to the algebraic Riccati equation; `network` (games, n, N, T) through a GameModel.
PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {
        "games": 1, "horizons": [2, 4], "sizes": [2, 3], "at": [3, 2, 4], "long": 60,
        "approaches": 2, "network": [1, 2, 2, 2],
    },
    "quick": {
        "games": 10, "horizons": [1, 2, 5, 10, 20], "sizes": [2, 4, 8, 16], "at": [4, 2, 5],
        "long": 150, "approaches": 4, "network": [2, 3, 2, 3],
    },
    "standard": {
        "games": 30, "horizons": [1, 2, 5, 10, 20, 50], "sizes": [2, 4, 8, 16, 32],
        "at": [4, 3, 10], "long": 200, "approaches": 5, "network": [5, 4, 2, 4],
    },
    "paper": {
        "games": 100, "horizons": [1, 2, 5, 10, 20, 50, 100], "sizes": [2, 4, 8, 16, 32, 64],
        "at": [4, 3, 10], "long": 300, "approaches": 6, "network": [10, 4, 3, 5],
    },
}  # fmt: skip
#: Relative differences are drawn up to here.
_HIGHEST = 1e6
#: Errors of at most so many times the expected rounding are rounding.
_ROUNDINGS = 10.0
_DISTANCES = {
    "gain": "gain of (9)-(10) from feedback Nash, relative",
    "feedback": "joint cost of (9)-(10) / team optimum",
    "nash": "joint cost of feedback Nash / team optimum",
}


def run(context) -> dict[str, Any]:
    """Errors by fact over random games, the approach to the DARE, and what is not the same."""
    settings = context.settings
    rng = np.random.default_rng(context.seed)
    size, players, horizon = settings["at"]
    cases = [_case(settings["games"], size, players, T, rng) for T in settings["horizons"]]
    by_size = [_case(settings["games"], n, players, horizon, rng) for n in settings["sizes"]]
    approaches = [
        lq_cases.approach(lq_cases.random_game(rng, size, 1, settings["long"]))
        for _ in range(settings["approaches"])
    ]
    return {
        "by_horizon": cases,
        "by_size": by_size,
        "approaches": approaches,
        "network": _network(settings["network"], rng),
    }


def _case(games: int, size: int, players: int, horizon: int, rng: Any) -> dict[str, Any]:
    errors, distances = [], []
    for _ in range(games):
        game = lq_cases.random_game(rng, size, players, horizon)
        errors += list(lq_cases.facts(game, rng))
        distances.append(lq_cases.distances(game, rng))
    return {
        "size": size, "players": players, "horizon": horizon, "games": games,
        "facts": _largest(errors),
        "distances": {name: [float(found[name]) for found in distances] for name in _DISTANCES},
    }  # fmt: skip


def _network(shape: list[int], rng: Any) -> dict[str, Any]:
    games, size, players, horizon = shape
    errors: list[lq_cases.Error] = []
    for _ in range(games):
        game = lq_cases.random_game(rng, size, players, horizon, controls=1)
        errors += list(lq_network.facts(lq_network.playable(game, float(rng.uniform(0.5, 2))), rng))
    return {
        "size": size, "players": players, "horizon": horizon, "games": games,
        "facts": _largest(errors),
    }  # fmt: skip


def _largest(errors: list[lq_cases.Error]) -> dict[str, dict[str, float]]:
    """Of every fact the largest error, the largest rounding, and the largest of their ratios."""
    found: dict[str, dict[str, float]] = {}
    for error in errors:
        entry = found.setdefault(error.fact, {"relative": 0.0, "rounding": 0.0, "ratio": 0.0})
        entry["relative"] = max(entry["relative"], error.relative)
        entry["rounding"] = max(entry["rounding"], error.rounding)
        entry["ratio"] = max(entry["ratio"], error.relative / error.rounding)
    return found


def draw(document: dict[str, Any], stem: Path) -> list[Path]:
    """Errors against horizon and size, the approach to the DARE, and the distance from Nash."""
    from matplotlib import pyplot

    results = document["results"]
    figure, axes = pyplot.subplots(1, 4, figsize=(13.6, 4.2))
    for axis, cases, over, name in (
        (axes[0], results["by_horizon"], "horizon", "horizon T (stages)"),
        (axes[1], results["by_size"], "size", "size n of the state"),
    ):
        where = [case[over] for case in cases]
        for number, fact in enumerate(cases[0]["facts"]):
            errors = [max(case["facts"][fact]["relative"], lq_cases.EPS / 4) for case in cases]
            axis.plot(where, errors, label=fact, **figures.STYLES[number])
        allowed = [max(f["rounding"] for f in case["facts"].values()) for case in cases]
        axis.plot(where, allowed, color="black", linewidth=0.8, label="rounding, largest expected")
        axis.set(
            xscale="log", yscale="log", xlabel=name, ylim=(2e-17, max(1e-11, 10 * max(allowed)))
        )
        axis.set_xticks(where, [str(value) for value in where])
        axis.minorticks_off()
    axes[0].set_ylabel("largest relative error")
    fixed, other = results["by_size"][0], results["by_horizon"][0]
    axes[0].set_title(f"n = {other['size']}, N = {other['players']}")
    axes[1].set_title(f"T = {fixed['horizon']}, N = {fixed['players']}")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=3)
    _draw_approach(axes[2], results["approaches"])
    _draw_distances(axes[3], results["by_horizon"])
    return [figures.save(figure, stem)]


def _draw_approach(axis: Any, approaches: list[dict[str, Any]]) -> None:
    shown = 10
    for number, case in enumerate(approaches):
        error = np.maximum(np.asarray(case["error"]), lq_cases.EPS / 4)
        shown = max(shown, int(np.argmax(error < 1e-14)) + 10)
        look = {**figures.STYLES[number], "markevery": (number, 6)}
        stages = np.arange(1, len(error) + 1)
        axis.plot(stages, error, label=f"{case['radius']:.3f}", **look)
        slope = error[0] * case["radius"] ** (stages - 1.0)
        axis.plot(stages, slope, color=look["color"], linewidth=0.6)
    axis.set(yscale="log", ylim=(2e-17, 10), xlim=(0, shown), xlabel="stages to go",
             title="gain of one player → DARE\n(thin: the rate expected)",
             ylabel="relative error of K")  # fmt: skip
    axis.legend(title="rate expected", loc="upper right")


def _draw_distances(axis: Any, cases: list[dict[str, Any]]) -> None:
    where = [case["horizon"] for case in cases]
    for number, (name, label) in enumerate(
        (("gain", "(9)-(10): gain, from feedback Nash"),
         ("feedback", "(9)-(10): joint cost, from the optimum"),
         ("nash", "feedback Nash: joint cost, from the optimum"))
    ):  # fmt: skip
        shift = 0.0 if name == "gain" else 1.0
        values = np.array([np.asarray(case["distances"][name]) - shift for case in cases])
        low, middle, high = np.quantile(values, [0.0, 0.5, 1.0], axis=1)
        # With one stage the equilibrium is the optimum: nothing to show on a log scale.
        low, middle, high = (np.where(v > 1e-12, v, np.nan) for v in (low, middle, high))
        look = figures.STYLES[number]
        axis.plot(where, middle, label=label, **look)
        axis.fill_between(where, low, high, color=look["color"], alpha=0.15)
    axis.set(xscale="log", yscale="log", xlabel="horizon T (stages)", ylabel="relative difference",
             title="(9)-(10) is no equilibrium\n(median and range)")  # fmt: skip
    if axis.get_ylim()[1] > _HIGHEST:
        axis.set_ylim(top=_HIGHEST)
        axis.annotate("range goes on", (0.97, 0.96), xycoords="axes fraction", ha="right", va="top",
                      fontsize=8)  # fmt: skip
    axis.set_xticks(where, [str(value) for value in where])
    axis.minorticks_off()
    axis.figure.legend(*axis.get_legend_handles_labels(), loc="outside lower right")


def summary(document: dict[str, Any]) -> list[Table]:
    """A row a fact; the rates; and the distances between the structures."""
    results = document["results"]
    rows = []
    for cases in ([*results["by_horizon"], *results["by_size"]], [results["network"]]):
        games = str(sum(case["games"] for case in cases))
        for fact in cases[0]["facts"]:
            found = [case["facts"][fact] for case in cases]
            rows.append((fact, games, *(f"{max(f[name] for f in found):.1e}"
                                        for name in ("relative", "rounding")),
                         f"{max(f['ratio'] for f in found):.2g}"))  # fmt: skip
    approaches = results["approaches"]
    for name, fact in (("gain", "long horizon: gain of the DARE"),
                       ("value", "long horizon: value of the DARE")):  # fmt: skip
        rows.append((fact, str(len(approaches)), f"{max(a[name] for a in approaches):.1e}",
                     f"{max(a['rounding'] for a in approaches):.1e}",
                     f"{max(a[name] / a['rounding'] for a in approaches):.2g}"))  # fmt: skip
    rates = [
        (str(number + 1), "–" if a["rate"] is None else f"{a['rate']:.4f}", f"{a['radius']:.4f}")
        for number, a in enumerate(approaches)
    ]
    apart = []
    for name, title in _DISTANCES.items():
        values = [v for case in results["by_horizon"] for v in case["distances"][name]]
        spread = (np.min(values), np.median(values), np.max(values))
        apart.append((title, str(len(values)), *(f"{v:.4g}" for v in spread)))
    return [
        Table("Largest relative error over random games",
              ("fact", "games", "largest relative error", "rounding expected",
               "largest error / its rounding"), rows),
        Table("Approach of the finite-horizon gain to the algebraic Riccati equation",
              ("game", "rate measured", "squared spectral radius of A - B K"), rates),
        Table("What is not the same",
              ("comparison", "games", "smallest", "median", "largest"), apart),
    ]  # fmt: skip


def markdown(document: dict[str, Any]) -> str:
    """What is compared."""
    n, players, horizon = document["settings"]["at"]
    network = document["results"]["network"]
    return (
        "Random games x' = A x + Σ B_n u_n with full costs Q, Q_T of the state and diagonal R_n, "
        f"two controls a player, float64; n = {n} and N = {players} over the horizons, "
        f"N = {players} and T = {horizon} over the sizes. The dense recursion is expanded about "
        "random controls and held against the Riccati difference equation (gains and value "
        "functions at every stage), scipy's `solve_discrete_are`, the team's regulator on "
        "[B_1 … B_N] and the coupled Riccati equations of the feedback Nash equilibrium (Başar "
        "and Olsder). *Optimal after one step*: the cost after one iteration of Algorithm 1 "
        "against ½ x_0'P_0 x_0. *Rounding expected*: 2⁻⁵² times the stages times the largest "
        "condition number of R + B'P B; for a cost after one step times one plus 2⁻⁵² times the "
        "cost of the trajectory expanded about over the optimum, which an unstable A lets grow "
        "without bound with the horizon. *GameModel*: the same through Keras, "
        f"N = {network['players']}, T = {network['horizon']}, n = {network['size']}: Dense layers "
        'on a constant are the controls, weight decay is R, `curvature="exact"`, and one '
        "`train_on_batch` for the step.\n\n"
        "The recursion is exact. But the paper's feedback structure (9)-(10) leaves the others' "
        "moves out of each player's expansion: its gains are those of single-player regulators "
        "of (A, B_n), and not a feedback Nash equilibrium. Everybody corrects the whole deviation, "
        "so the joint cost is above the team's optimum, far above it in some games, in which the "
        "corrections together are so large that the state explodes, where the "
        "equilibrium, in which every player pays for the state and for her own controls only, "
        "nearly reaches it. The cooperative structure is the optimum."
    )


def _facts(document: dict[str, Any]) -> list[dict[str, float]]:
    results = document["results"]
    cases = [*results["by_horizon"], *results["by_size"], results["network"]]
    return [fact for case in cases for fact in case["facts"].values()]


def holds(document: dict[str, Any]) -> str:
    """Whether every fact holds to the precision of doubles."""
    return verdicts.all_of([fact["ratio"] <= _ROUNDINGS for fact in _facts(document)])


def finding(document: dict[str, Any]) -> tuple[str, str]:
    """What should hold, and what was seen."""
    facts = _facts(document)
    worst = max(facts, key=lambda fact: fact["relative"])
    return "the recursion equals Riccati, DARE, team and coupled-Riccati solutions", (
        f"every error is at most {max(fact['ratio'] for fact in facts):.1f} times the rounding "
        f"expected of it (the largest, {worst['relative']:.1e}, {worst['ratio']:.1g} times); but "
        "the gain of (9)-(10) is that of a single-player regulator, not the feedback Nash "
        "equilibrium"
    )
