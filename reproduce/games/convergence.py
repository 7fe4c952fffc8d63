"""The convergence theorem in numbers: contraction against the horizon, errors stage by stage."""

from typing import Any

import numpy as np

from reproduce import figures
from reproduce.report import Table

#: Strengths of coupling, ε = c; a = q = 0.1.
_COUPLINGS = {"weak, ε = c = 0.5": 0.5, "medium, ε = c = 2": 2.0, "strong, ε = c = 8": 8.0}
#: Said in the text.
_LEAST_STEPS = 8
#: Stands for N → ∞.
_MANY = 10**9


def run(context) -> dict[str, Any]:
    """Contraction factors on curves and points, and the errors of exact play."""
    import fictitious_play as fp

    given = context.settings
    players, horizons, largest = given["players"], given["horizons"], max(given["players"])
    fine = np.geomspace(0.6 * horizons[0], 1.6 * horizons[-1], 60)
    found: dict[str, list] = {"curves": [], "points": [], "limits": [], "plays": []}
    for coupling, weight in _COUPLINGS.items():

        def closed(count, horizon, weight=weight):
            return fp.lq.symmetric_contraction(count, horizon, 0.1, 0.1, weight, weight)

        for count in [*players, _MANY]:
            found["curves"].append({"coupling": coupling, "players": count, "horizon": fine,
                                    "factor": closed(count, fine)})  # fmt: skip
        for count in players:
            about = {"coupling": coupling, "players": count}
            for horizon in horizons:
                steps = max(_LEAST_STEPS, round(horizon / given["step"]))
                factor = fp.lq.contraction(form(count, horizon, steps, weight))
                found["points"].append({
                    **about, "horizon": horizon, "steps": steps, "factor": factor,
                    "closed": float(closed(count, horizon)),
                })  # fmt: skip
            factors = [fp.lq.contraction(form(count, 1.0, 20 * 2**number, weight))
                       for number in range(given["halvings"] + 1)]  # fmt: skip
            found["limits"].append({**about, "factors": factors, "closed": float(closed(count, 1)),
                                    "extrapolated": _extrapolated(factors)})  # fmt: skip
        game = form(largest, 1.0, 20, weight)
        error = fp.lq.exact_play(game, given["stages"], initial=1.0).error
        found["plays"].append({"coupling": coupling, "players": largest, "error": error,
                               "factor": fp.lq.contraction(game)})  # fmt: skip
    return found


def form(players: int, horizon: float, steps: int, weight: float) -> Any:
    """The symmetric inter-bank game, ε = c = `weight`, as matrices."""
    import fictitious_play as fp

    return fp.lq.inter_bank_form(
        players, horizon, steps, a=0.1, q=0.1, epsilon=weight, c=weight, initial_std=0.5
    )


def draw(document: dict[str, Any]) -> Any:
    """Factor against horizon, a panel per coupling: the formula's curves and discrete points."""
    results = document["results"]
    figure, axes = figures.subplots(1, 3, figsize=(9.4, 3.4), sharey=True)
    for axis, coupling in zip(axes, _COUPLINGS, strict=True):
        for number, curve in enumerate(_of(results["curves"], coupling=coupling)):
            players = curve["players"]
            name = f"N = {players}" if players < _MANY else "N → ∞"
            axis.plot(curve["horizon"], curve["factor"], label=name, **figures.line(number))
            points = _of(results["points"], coupling=coupling, players=players)
            axis.plot([point["horizon"] for point in points],
                      [point["factor"] for point in points], **figures.dots(number))  # fmt: skip
        axis.set(xscale="log", yscale="log", xlabel="horizon T (units of time)", title=coupling,
                 ylim=(0.01, 1.3))  # fmt: skip
        axis.axhline(1.0, color="#5a5a5a", linewidth=0.8)
    axes[0].set_ylabel("contraction factor λ per stage")
    axes[0].plot([], [], linestyle="none", marker="o", color="black", label="discrete time")
    axes[0].legend(fontsize=8)
    return figure


def _of(rows: list[dict[str, Any]], **wanted: Any) -> list[dict[str, Any]]:
    """The rows with some entries."""
    return [row for row in rows if wanted.items() <= row.items()]


def summary(document: dict[str, Any]) -> list[Table]:
    """The largest distance from the closed formula, and measured against predicted slopes."""
    results = document["results"]

    def apart(limit):
        own = _of(results["points"], coupling=limit["coupling"], players=limit["players"])
        return max(abs(point["factor"] - point["closed"]) for point in own)

    return [
        Table.of("Contraction factor, symmetric players, T = 1", results["limits"], {
            "game": lambda limit: f"{limit['coupling']}, N = {limit['players']}",
            "formula": lambda limit: f"{limit['closed']:.7f}",
            "N_T = 20": lambda limit: f"{limit['factors'][0]:.5f}",
            "extrapolated": lambda limit: f"{limit['extrapolated']:.7f}",
            "difference": lambda limit: f"{abs(limit['extrapolated'] - limit['closed']):.0e}",
            "points, all T": lambda limit: f"{apart(limit):.0e}",
        }),
        Table.of("Exact play from a belief of 1 for everybody", results["plays"], {
            "coupling": lambda play: play["coupling"],
            "predicted factor": lambda play: f"{play['factor']:.6f}",
            "measured, last stages": lambda play: f"{_slope(play['error']):.6f}",
            "stages": lambda play: str(len(play["error"])),
        }),
    ]  # fmt: skip


def _extrapolated(factors) -> float:
    """The limit of values on grids that are halved from one to the next (Richardson)."""
    values, order = np.asarray(factors), 1
    while len(values) > 1:
        values = values[1:] + (values[1:] - values[:-1]) / (2.0**order - 1.0)
        order += 1
    return float(values[0])


def _slope(error) -> float:
    """Factor per stage over the last stages above round-off."""
    last = int(np.flatnonzero(np.asarray(error) > 1e-10)[-1])
    first = max(0, last - 4)
    return float((error[last] / error[first]) ** (1.0 / max(1, last - first)))
