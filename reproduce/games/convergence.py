"""The convergence theorem in numbers: contraction against the horizon, errors stage by stage."""

from typing import Any

import numpy as np

from reproduce import figures
from reproduce.report import Table

#: Strengths of coupling, ε = c; a = q = 0.1.
_COUPLINGS = {"weak, ε = c = 0.5": 0.5, "medium, ε = c = 2": 2.0, "strong, ε = c = 8": 8.0}
_LEAST_STEPS = 8
#: Stands for N → ∞.
_MANY = 10**9


def run(context) -> dict[str, Any]:
    """Contraction factors on curves and points, and the errors of exact play."""
    import fictitious_play as fp

    players, horizons = context.settings["players"], context.settings["horizons"]
    fine = np.geomspace(0.6 * horizons[0], 1.6 * horizons[-1], 60)
    curves, points, limits, plays = [], [], [], []
    halvings = context.settings["halvings"]
    for coupling, weight in _COUPLINGS.items():
        for count in [*players, _MANY]:
            factor = fp.lq.symmetric_contraction(count, fine, 0.1, 0.1, weight, weight)
            curves.append({"coupling": coupling, "players": count, "horizon": fine,
                           "factor": factor})  # fmt: skip
        for count in players:
            for horizon in horizons:
                steps = max(_LEAST_STEPS, round(horizon / context.settings["step"]))
                form = _form(count, horizon, steps, weight)
                closed = fp.lq.symmetric_contraction(count, horizon, 0.1, 0.1, weight, weight)
                points.append({"coupling": coupling, "players": count, "horizon": horizon,
                               "steps": steps, "factor": fp.lq.contraction(form),
                               "closed": float(closed)})  # fmt: skip
            factors = [fp.lq.contraction(_form(count, 1.0, 20 * 2**number, weight))
                       for number in range(halvings + 1)]  # fmt: skip
            closed = fp.lq.symmetric_contraction(count, 1.0, 0.1, 0.1, weight, weight)
            limits.append({"coupling": coupling, "players": count, "factors": factors,
                           "extrapolated": _extrapolated(factors),
                           "closed": float(closed)})  # fmt: skip
        form = _form(max(players), 1.0, 20, weight)
        play = fp.lq.exact_play(form, context.settings["stages"], initial=1.0)
        plays.append({"coupling": coupling, "players": max(players), "error": play.error,
                      "factor": fp.lq.contraction(form)})  # fmt: skip
    return {"curves": curves, "points": points, "limits": limits, "plays": plays}


def _form(players: int, horizon: float, steps: int, weight: float):
    import fictitious_play as fp

    return fp.lq.inter_bank_form(
        players, horizon, steps, a=0.1, q=0.1, epsilon=weight, c=weight, initial_std=0.5
    )


def draw(document: dict[str, Any]) -> Any:
    """Factor against horizon, a panel a coupling, and the errors of exact play."""
    results = document["results"]
    figure, axes = figures.subplots(1, 4, figsize=(12.4, 3.4), width_ratios=(1, 1, 1, 1.15))
    for axis, coupling in zip(axes, _COUPLINGS, strict=False):
        curves = [curve for curve in results["curves"] if curve["coupling"] == coupling]
        for number, curve in enumerate(curves):
            look = dict(figures.STYLES[number])
            marker, finite = look.pop("marker"), curve["players"] < _MANY
            name = f"N = {curve['players']}" if finite else "N → ∞"
            axis.plot(curve["horizon"], curve["factor"], label=name, **look)
            chosen = [
                point for point in results["points"]
                if finite and point["coupling"] == coupling
                and point["players"] == curve["players"]
            ]  # fmt: skip
            axis.plot([point["horizon"] for point in chosen],
                      [point["factor"] for point in chosen],
                      linestyle="none", marker=marker, color=look["color"])  # fmt: skip
        axis.set(xscale="log", yscale="log", xlabel="horizon T (units of time)", title=coupling,
                 ylim=(0.01, 1.3))  # fmt: skip
        axis.axhline(1.0, color="#5a5a5a", linewidth=0.8)
    axes[0].set_ylabel("contraction factor λ per stage")
    axes[0].plot([], [], linestyle="none", marker="o", color="black", label="discrete time")
    axes[0].legend(fontsize=8)
    last = axes[3]
    for number, play in enumerate(results["plays"]):
        look = dict(figures.STYLES[number])
        error = np.asarray(play["error"])
        stage = np.arange(1, len(error) + 1)
        last.plot(stage, error, linestyle="none", marker=look["marker"], color=look["color"],
                  label=play["coupling"].split(",")[0])  # fmt: skip
        anchor = _anchor(error)
        slope = error[anchor] * play["factor"] ** (stage - stage[anchor])
        last.plot(stage, slope, linestyle=look["linestyle"], color=look["color"])
    last.set(yscale="log", xlabel="stage", ylabel="relative L2 error of the belief",
             title=f"T = 1, N = {results['plays'][0]['players']}")  # fmt: skip
    last.legend(fontsize=8)
    return figure


def summary(document: dict[str, Any]) -> list[Table]:
    """The largest distance from the closed formula, and measured against predicted slopes."""
    results = document["results"]

    def apart(limit):
        own = [point for point in results["points"]
               if all(point[key] == limit[key] for key in ("coupling", "players"))]  # fmt: skip
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


def facts(document: dict[str, Any]) -> dict[str, Any]:
    """Of the text."""
    return {"least": _LEAST_STEPS}


def _extrapolated(factors) -> float:
    """The limit of values on grids that are halved from one to the next (Richardson)."""
    values, order = np.asarray(factors), 1
    while len(values) > 1:
        values = values[1:] + (values[1:] - values[:-1]) / (2.0**order - 1.0)
        order += 1
    return float(values[0])


def _anchor(error) -> int:
    """The last stage whose error is well above round-off."""
    return int(np.flatnonzero(np.asarray(error) > 1e-10)[-1])


def _slope(error) -> float:
    """Factor a stage over the last stages above round-off."""
    last = _anchor(error)
    first = max(0, last - 4)
    return float((error[last] / error[first]) ** (1.0 / max(1, last - first)))
