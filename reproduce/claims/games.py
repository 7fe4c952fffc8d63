"""Rules for the claims of Hu (2019): costs, controls and certificates against exact equilibria."""

import math
from collections.abc import Iterable

import numpy as np

from reproduce.claims.rules import (
    NORMAL,
    OPEN,
    REFUTED,
    SUPPORTED,
    Document,
    Finding,
    above,
    below,
    every,
)
from reproduce.dgnopt.seeds import mean_interval
from reproduce.games.cases import groups, names, records
from reproduce.games.cells import broken_off, extreme

Games = list[list[Document]]


def within(document: Document, limit: float, on: str, *,
           where: dict[str, str] | None = None, above_ten: float | None = None,
           what: str = "cost error") -> list[Finding]:  # fmt: skip
    """Every game's largest relative cost error over the players is below a limit, or `above_ten` in
    games of more than ten players.

    What was run is told as `on`, where N stands for the numbers of players; `where` is what a
    record must have to count, of the game how its name begins; `what` is the quantity's name."""
    games = [own for own in groups(document) if _has(own[0], where or {})]
    if not games:
        return []
    worst: dict[float, tuple[float, float]] = {}
    verdicts = []
    for own in games:
        found = _over_seeds([extreme(np.abs(np.array(case["relative_error"], float)),
                                     case["relative_standard_error"]) for case in own])  # fmt: skip
        most = above_ten if above_ten is not None and own[0]["players"] > 10 else limit
        verdicts.append(_below(own, *found, most))
        if not found[0] <= worst.get(most, (-1.0,))[0]:
            worst[most] = found
    parts = [f"{100 * size:.2f} ± {100 * half:.2f} %"
             + (f" (limit {100 * most:g} %)" if len(worst) > 1 else "")
             for most, (size, half) in worst.items()]  # fmt: skip
    told = f"{what} ≤ {' and '.join(parts)}{_seeds(games)}"
    told += f", {len(games)} games" if len(games) > 1 else ""
    counts = sorted({own[0].get("players", 0) for own in games})
    shown = on.format(N=", ".join(f"{count:,}" for count in counts))
    return [Finding(shown, told, every(verdicts), on)]


def gain(document: Document, limit: float, on: str, **given: dict[str, str]) -> list[Finding]:
    """Nobody gains a share of her cost by deviating; what a deviation loses is no gain."""
    found = [(case, case["exploitability"]) for case in records(document)]
    gains = [{**case, "relative_error": np.maximum(np.asarray(own["relative"], float), 0.0),
              "relative_standard_error": own["relative_standard_error"]}
             for case, own in found]  # fmt: skip
    return within(_of(gains), limit, on, what="gain by deviating", **given)  # type: ignore[arg-type]


def _of(cases: list[Document]) -> Document:
    return {"results": {"cases": cases}}


def _below(cases: list[Document], mean: float, half: float, limit: float) -> str:
    """Whether a quantity of these solves is below a limit."""
    return every([below(mean - half, mean + half, limit), *_whole(cases)])


def _whole(cases: list[Document]) -> list[str]:
    """A doubt where a solve broke off: it supports nothing."""
    return [OPEN] if broken_off(cases) else []


def _has(case: Document, wanted: dict[str, str]) -> bool:
    game, network = names(case)
    given = {**case, "network": network}
    own = (given.get(key) == value for key, value in wanted.items() if key != "game")
    return game.startswith(wanted.get("game", "")) and all(own)


def _over_seeds(found: list[tuple[float, float]]) -> tuple[float, float]:
    """A size and half its 95 % interval: over seeds where there are several, else of the paths
    that it was measured on."""
    if len(found) > 1:
        return mean_interval([size for size, _ in found])
    return found[0][0], NORMAL * found[0][1]


def _interval(values: Iterable[float]) -> tuple[float, float]:
    """The same of a quantity without an error of its own."""
    return _over_seeds([(value, 0.0) for value in values])


def _percent(mean: float, half: float) -> str:
    return f"{100 * mean:.1f}{f' ± {100 * half:.1f}' if half else ''} %"


def _seeds(games: Games) -> str:
    """How many seeds the games were solved from; nothing where all from one."""
    counts = sorted({len(own) for own in games})
    told = "" if counts == [1] else f", n = {' or '.join(map(str, counts))}"
    return told + broken_off([case for own in games for case in own])


def controls(document: Document, limit: float) -> list[Finding]:
    """The controls' relative L2 error is below a limit at every time step."""
    cases = records(document)
    steps = np.array([case["control_error_by_step"] for case in cases], float)
    intervals = [_interval(errors) for errors in steps.T]
    low, high = min(mean - half for mean, half in intervals), max(map(sum, intervals))
    error, means = _interval(case["control_error"] for case in cases), steps.mean(axis=0)
    told = (f"L2 error {_percent(*error)}, by time step {100 * means.min():.1f} to "
            f"{100 * means.max():.1f} %{_seeds([cases])}")  # fmt: skip
    network = names(cases[0])[1]
    on = f"the same game, N = {cases[0]['players']}, {network}"
    verdict = every([below(low, high, limit), *_whole(cases)])
    return [Finding(on, told, verdict, network)]


def published(document: Document, limit: float) -> list[Finding]:
    """Every game of the gallery is within a limit over the seeds."""
    games, found = groups(document), []
    for cases in games:
        spread = cases[0]["cost_standard_error"]
        mean, half = _over_seeds([(math.nan if case["error"] is None else case["error"], spread)
                                  for case in cases])  # fmt: skip
        found.append((_below(cases, mean, half, limit), names(cases[0])[0], mean))
    missed = dict.fromkeys(f"{name}, {100 * mean:.1f} %" for verdict, name, mean in found
                           if verdict == REFUTED)  # fmt: skip
    good = sum(verdict == SUPPORTED for verdict, *_ in found)
    told = f"{good} of {len(found)} cases within {100 * limit:g} %{_seeds(games)}"
    told += f"; above: {'; '.join([*missed][:2])}" if missed else ""
    on = f"{len({name for _, name, _ in found})} published games"
    return [Finding(on, told, every(verdict for verdict, *_ in found), "published")]


def closed_loop(
    document: Document, on: str, cost: float, gain: float, apart: float
) -> list[Finding]:
    """Costs and gains are those of the closed-loop equilibrium, and not of an open-loop one."""
    cases = [{**case, "relative_error": case["cost_error"]["closed_loop"]}
             for case in records(document)]  # fmt: skip
    (costs,) = within(_of(cases), cost, on)
    verdicts, largest = [costs.verdict], (-1.0, 0.0)
    for own in groups(document):
        found = _interval(case["gain_error"]["closed_loop"] for case in own)
        verdicts.append(_below(own, *found, gain))
        largest = max(largest, found)
        if own[0]["gain_error"]["open_loop"] > 0.1:
            for what in ("cost_error", "gain_error"):
                pairs = ((case[what]["open_loop"], case[what]["closed_loop"]) for case in own)
                ahead, spread = _interval(other - apart * ours for other, ours in pairs)
                verdicts.append(above(ahead - spread, ahead + spread))
    told = f"{costs.result}; gains within {_percent(*largest)}"
    return [Finding(costs.on, told, every(verdicts))]


def contraction(document: Document, precision: float) -> list[Finding]:
    """Play contracts at the shortest horizon, by a factor that the formula gives."""
    limits, points = document["results"]["limits"], document["results"]["points"]
    off = max(abs(limit["extrapolated"] - limit["closed"]) for limit in limits)
    smallest = min(point["horizon"] for point in points)
    short = [point["factor"] for point in points if point["horizon"] == smallest]
    told = (f"contraction factor ≤ {max(short):.2f} at T = {smallest:g}, formula within "
            f"{off:.0e}; {len(limits)} games")  # fmt: skip
    verdict = every([below(off, off, precision), *(below(f, f, 1.0) for f in short)])
    return [Finding("exact best responses", told, verdict)]


def beliefs(document: Document) -> list[Finding]:
    """Other beliefs converge where the plain one does not."""
    errors = document["results"]["cases"][-1]["error"]
    last, damped, average = (np.array(errors[rule], float)[-1] / errors[rule][0]
                             for rule in ("last", "damped", "average"))  # fmt: skip
    told = (f"error after {len(errors['last'])} stages over the first: {last:.0e} (plain), "
            f"{damped:.0e} (damped), {average:.0e} (averaged)")  # fmt: skip
    kept = [below(growth, growth, 1.0) for growth in (damped, average)]
    return [Finding("exact play", told, every([above(last, last, 1.0), *kept]))]


def stages(document: Document, limit: float) -> list[Finding]:
    """Each stage is the exact best response to the one before, on average over the stages."""
    cases = records(document)
    errors = np.array([[stage["error_to_exact_stage"] for stage in case["stages"]]
                       for case in cases], float)  # fmt: skip
    mean, half = mean_interval(errors[0] if len(cases) == 1 else errors.mean(axis=1))
    told = (f"controls {100 * mean:.1f} ± {100 * half:.1f} % from exact best responses; "
            f"{errors.shape[1]} stages{_seeds([cases])}")  # fmt: skip
    on = f"inter-bank game, N = {cases[0]['players']}, ε = c = 4, linear skip connection"
    return [Finding(on, told, _below(cases, mean, half, limit))]
