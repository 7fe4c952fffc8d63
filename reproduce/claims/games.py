"""Claims of Hu (2019): costs, controls and certificates against exact equilibria."""

import math
from typing import Any

import numpy as np

from reproduce.claims.rules import (
    NORMAL,
    REFUTED,
    SUPPORTED,
    Claim,
    Contrast,
    Document,
    Finding,
    above,
    below,
    every,
    mean_interval,
)
from reproduce.games.cases import PAPER_NETWORK, names


def _largest(values: Any, errors: Any) -> tuple[float, float]:
    """The value of largest size over the players, its size, and its standard error."""
    size = np.abs(np.asarray(values, float))
    if np.isnan(size).any():
        return math.nan, math.nan
    player = int(size.argmax())
    return float(size.flat[player]), float(np.asarray(errors, float).flat[player])


def _over_seeds(cases: list[Document], value: str, error: str) -> tuple[float, float, int]:
    """A quantity's largest size over the players, half its 95 % interval, and the seeds: over
    seeds where there are several, else of the paths that it was measured on."""
    found = [_largest(case[value], case[error]) for case in cases]
    if len(found) > 1:
        return (*mean_interval([size for size, _ in found]), len(found))
    return found[0][0], NORMAL * found[0][1], 1


def _costs(limit, on: str, grouped, select=lambda case: True, data: str = "", what="cost error"):
    """A judge: every game's largest relative cost error over the players is below `limit`.

    Args:
        limit: of a case.
        on: what was run.
        grouped: the name of a case's game; cases of one name are its seeds.
        select: which cases count.
        data: of the finding.
        what: the quantity's name.
    """

    def judge(document: Document) -> list[Finding]:
        cases = [case for case in document["results"]["cases"] if select(case)]
        return [_within(cases, limit, on, grouped, data, what)] if cases else []

    return judge


def _within(cases, limit, on, grouped, data="", what="cost error", key="relative_error",
            error="relative_standard_error") -> Finding:  # fmt: skip
    games: dict[str, list[Document]] = {}
    for case in cases:
        games.setdefault(grouped(case), []).append(case)
    worst: dict[float, tuple[float, float]] = {}
    verdicts, seeds = [], 1
    for own in games.values():
        size, half, seeds = _over_seeds(own, key, error)
        most = limit(own[0])
        verdicts.append(below(size - half, size + half, most))
        if not size <= worst.get(most, (-1.0,))[0]:
            worst[most] = size, half
    parts = [f"{100 * size:.2f} ± {100 * half:.2f} %"
             + (f" (limit {100 * most:g} %)" if len(worst) > 1 else "")
             for most, (size, half) in worst.items()]  # fmt: skip
    told = f"{what} ≤ {' and '.join(parts)}" + (f", n = {seeds}" if seeds > 1 else "")
    told += f", {len(games)} games" if len(games) > 1 else ""
    return Finding(on, told, every(verdicts), data)


def _gains(values: Any) -> np.ndarray:
    """Gains from deviating; what a deviation loses is no gain."""
    return np.maximum(np.asarray(values, float), 0.0)


def _gain(document: Document) -> list[Finding]:
    cases = [
        {
            **case,
            "gain": _gains(case["exploitability"]["relative"]),
            "spread": case["exploitability"]["relative_standard_error"],
        }
        for case in document["results"]["cases"]
        if names(case)[1] == PAPER_NETWORK
    ]
    found = _within(cases, lambda case: 0.005, "its profiles, exact best response",
                    _title, what="gain by deviating", key="gain",
                    error="spread")  # fmt: skip
    return [found]


def _controls(document: Document) -> list[Finding]:
    found = document["results"]
    steps = np.asarray(found["control_error_by_step"], float)
    low, high = float(steps.min()), float(steps.max())
    skip = document["settings"].get("skip")
    network = "linear skip connection" if skip else "paper's architecture"
    told = (f"L2 error {100 * found['control_error']:.1f} %, by time step {100 * low:.1f} to "
            f"{100 * high:.1f} %")  # fmt: skip
    on = f"the same game, N = {found['players']}, {network}"
    return [Finding(on, told, below(low, high, 0.03), network)]


def _title(case: Document) -> str:
    return " ".join(names(case))


def _scale(document: Document) -> list[Finding]:
    found = []
    for features, words, limit in (
        ("full_path", "paper's architecture, width 16, 32", 0.01),
        ("own_and_mean", "own path and mean, linear skip connection", 0.01),
    ):
        cases = [c for c in document["results"]["cases"] if c["features"] == features]
        if cases:
            counts = sorted({case["players"] for case in cases})
            on = f"N = {', '.join(f'{count:,}' for count in counts)}; {words}"
            found.append(_within(cases, lambda case, limit=limit: limit, on, _sized, features))
    return found


def _sized(case: Document) -> str:
    return f"N = {case['players']:,}, width {case['settings'].get('hidden', (32, 32))[0]}"


def _nonlinear(document: Document) -> list[Finding]:
    portfolio, flock = document["results"]["portfolio"], document["results"]["flock"][-1]
    exact = _within(
        portfolio, lambda case: 0.01, "portfolio game, N = 2 to 16", _title, "portfolio"
    )
    gain = flock["exploitability"]
    size, error = _largest(_gains(gain["relative"]), gain["relative_standard_error"])
    half = NORMAL * error
    told = f"gain by deviating {100 * size:.2f} ± {100 * half:.2f} %"
    verdict = below(size - half, size + half, 0.01)
    return [exact, Finding(f"flock, {flock['players']} birds", told, verdict, "flock")]


def _published(document: Document) -> list[Finding]:
    cases = document["results"]["cases"]
    found = []
    for case in cases:
        errors = [float("nan") if s["error"] is None else s["error"] for s in case["seeds"]]
        mean, half = mean_interval(errors)
        if len(errors) == 1:
            half = NORMAL * case["seeds"][0]["cost_standard_error"]
        found.append((below(mean - half, mean + half, 0.01), case["title"], mean))
    missed = dict.fromkeys(f"{name}, {100 * mean:.1f} %" for verdict, name, mean in found
                           if verdict == REFUTED)  # fmt: skip
    within = sum(verdict == SUPPORTED for verdict, *_ in found)
    told = f"{within} of {len(found)} cases within 1 %, n = {len(cases[0]['seeds'])}"
    told += f"; above: {'; '.join([*missed][:2])}" if missed else ""
    names = len({case["title"] for case in cases})
    return [Finding(f"{names} published games", told, every(v for v, *_ in found), "published")]


def _closed(document: Document) -> list[Finding]:
    cases = document["results"]["cases"]
    cost = [{**case, "error": case["cost_error"]["closed_loop"], "spread": 0.0} for case in cases]
    for case in cost:
        case["spread"] = float(np.max(np.asarray(case["relative_standard_error"], float)))
    costs = _within(cost, lambda case: 0.005, "", _title, key="error", error="spread")
    gains = [case["gain_error"]["closed_loop"] for case in cases]
    verdict = every([costs.verdict, *(below(gain, gain, 0.03) for gain in gains)])
    apart = [case for case in cases if case["gain_error"]["open_loop"] > 0.1]
    verdict = every([verdict, *(
        above(case[what]["open_loop"], case[what]["open_loop"], 3 * case[what]["closed_loop"])
        for case in apart for what in ("cost_error", "gain_error")
    )])  # fmt: skip
    told = f"{costs.seen}; gains within {100 * max(gains):.1f} %"
    counts = sorted({case["players"] for case in cases})
    on = f"inter-bank game, N = {', '.join(map(str, counts))}, linear skip connection"
    return [Finding(on, told, verdict)]


def _contraction(document: Document) -> list[Finding]:
    limits, points = document["results"]["limits"], document["results"]["points"]
    apart = max(abs(limit["extrapolated"] - limit["closed"]) for limit in limits)
    smallest = min(points, key=lambda point: point["horizon"])["horizon"]
    short = [point["factor"] for point in points if point["horizon"] == smallest]
    told = (f"contraction factor ≤ {max(short):.2f} at T = {smallest:g}, formula within "
            f"{apart:.0e}; {len(limits)} games")  # fmt: skip
    verdict = every([below(apart, apart, 1e-5), *(below(f, f, 1.0) for f in short)])
    return [Finding("exact best responses", told, verdict)]


def _beliefs(document: Document) -> list[Finding]:
    broken = document["results"]["cases"][-1]["error"]
    growth = {rule: float(np.asarray(broken[rule], float)[-1]) / broken[rule][0] for rule in broken}
    told = (f"error in {len(broken['last'])} stages × {growth['last']:.0e} (plain), × "
            f"{growth['damped']:.0e} (damped), × {growth['average']:.0e} (averaged)")  # fmt: skip
    verdict = every([above(growth["last"], growth["last"], 1.0),
                     *(below(growth[rule], growth[rule], 1.0)
                       for rule in ("damped", "average"))])  # fmt: skip
    return [Finding("exact play", told, verdict)]


def _stages(document: Document) -> list[Finding]:
    errors = [stage["error_to_exact_stage"] for stage in document["results"]["stages"]]
    mean, half = mean_interval(errors)
    told = (f"controls {100 * mean:.1f} ± {100 * half:.1f} % from exact best responses; "
            f"{len(errors)} stages")  # fmt: skip
    on = f"inter-bank game, N = {document['results']['players']}, ε = c = 4, linear skip connection"
    return [Finding(on, told, below(mean - half, mean + half, 0.05))]


def _mean_field(documents: list[Document]) -> str | None:
    cases = [case for document in documents for case in document["results"]["cases"]]
    found = [
        f"{100 * abs(case['relative_error']):.1f} % against {100 * case['mean_field_distance']:.1f}"
        f" % ({_sized(case)})"
        for case in cases
        if case["features"] == "full_path"
        and abs(case["relative_error"]) > case["mean_field_distance"]
    ]
    if not found:
        return None
    return (
        "With many players the paper's architecture errs more than the mean-field "
        "limit: " + found[0] + "."
    )


CLAIMS = (
    Claim(
        "inter-bank",
        "“comparing to the closed-form solution of the linear quadratic game”: costs",
        "Every player's relative cost error is below .5 %.",
        _costs(lambda case: 0.005, "inter-bank game, N = 5, 10, paper's architecture", _title),
    ),
    Claim(
        "lq-costs", "the same, up to N = 24",
        "Every player's relative cost error is below .5 % (N ≤ 10) or 1 % (N = 24).",
        _costs(lambda case: 0.01 if case["players"] > 10 else 0.005,
               "inter-bank game, N = 5, 10, 24", _title,
               lambda case: names(case)[1] == PAPER_NETWORK),
    ),
    Claim(
        "lq-trajectories", "“comparing to the closed-form solution”: controls",
        "The relative L2 error of the controls is below 3 % at every time step; it is refuted "
        "where it is above at every one.",
        _controls,
    ),
    Claim(
        "inter-bank", "the limit “forms an open-loop Nash equilibrium”",
        "No player gains .5 % of her cost by the exact best response to the trained profile.",
        _gain,
    ),
    Claim(
        "lq-heterogeneous", "“heterogeneities (e.g., existence of major players)”",
        "Every game's cost errors are below 1 %.",
        _costs(lambda case: 0.01, "a major bank, a ring, two groups, a convoy", _title),
    ),
    Claim(
        "lq-variants", "“different symmetries”",
        "Every game's cost errors are below 1 %.",
        _costs(lambda case: 0.01, "common noise, unequal players, 50 time steps",
               _title),
    ),
    Claim(
        "nonlinear-games", "“any N-player stochastic differential game”",
        "Cost errors of the portfolio game are below 1 %, and no bird of the flock gains 1 % by a "
        "trained response.",
        _nonlinear,
    ),
    Claim(
        "games", "the same, on games of the literature",
        "The 95 % interval over seeds of every game's error in cost (sticky prices: in price) lies "
        "below 1 %.",
        _published,
    ),
    Claim(
        "scale", "“scalable”",
        "Every player's relative cost error is below 1 %.",
        _scale,
    ),
    Claim(
        "convergence", "“we prove the convergence of fictitious play”",
        "At the shortest horizon every contraction factor is below 1, and the closed formula is "
        "right to 1e-5.",
        _contraction,
    ),
    Claim(
        "beliefs", "“other strategies designed upon fictitious play”",
        "Where plain play's error grows, that of damped and of averaged play shrinks.",
        _beliefs,
    ),
    Claim(
        "closed-loop", "“closed-loop Nash equilibrium”",
        "Costs are within .5 % and regressed gains within 3 % of the closed-loop equilibrium, and "
        "where the open-loop one lies apart it is three times as far.",
        _closed,
    ),
    Claim(
        "stage-by-stage", "each stage lets a player “optimize her own payoff”",
        "The controls of a stage are within 5 % of the stage's exact best responses.",
        _stages,
    ),
)  # fmt: skip
CONTRASTS = (Contrast(("scale",), _mean_field),)
