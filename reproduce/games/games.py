"""Ten published games, each held against an equilibrium that is known without the package."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from reproduce import figures
from reproduce.catalogue import find
from reproduce.games import cells, gallery_picture, solving
from reproduce.games.cases import Case, Games, Solved, by_game, flight, groups, names

#: The largest error of a cost, price or control that still counts as none.
_LIMIT = 0.01


@dataclass(frozen=True)
class Published:
    """A game of the gallery.

    Attributes:
        title: as the table has it.
        make: its name in `gallery.games`.
        training: arguments of `DeepFictitiousPlay` and of its `solve`, together.
        counted: the players whose costs and controls are held against the truth; None for all.
        price: whether the first state halfway is held against the truth in place of the cost.
    """

    title: str
    make: str
    training: dict[str, Any]
    counted: list[int] | None = None
    price: bool = False

    @property
    def information(self) -> str:
        """Of `DeepFictitiousPlay`."""
        return self.training.get("information_structure", "open_loop")


CASES = tuple(Published(**row) for row in find("games").table["cases"])


def _cases(settings: dict[str, Any]) -> list[Case]:
    from reproduce.games import gallery

    return [
        Case(each.title, gallery.games()[each.make](**settings["game"]),
             {**each.training, **settings["training"]}, each.information, about=each)
        for each in CASES if each.make in settings.get("games", [each.make])
    ]  # fmt: skip


def _record(solved: Solved) -> dict[str, Any]:
    from reproduce.games import gallery_truths

    case, result = solved.case.about, solved.result
    truth = gallery_truths.of(case.make, result.game, case.information)
    found = {
        "quantity": "price" if case.price else "cost",
        "truth": _quantity(case, truth.cost, truth.price),
        "continuous": _quantity(case, truth.continuous, truth.stationary_price),
        "settings": solved.case.training,
        **_measure(case, result, truth, solved.seed, solved.settings["paths"]),
        **_certificate(result, truth),
    }
    if case.make == "formation":
        found["flight"] = gallery_picture.flight(result, truth, solved.seed)
    return found


def _quantity(case: Published, cost, price) -> float | None:
    """The number that stands in the table: the price, or the counted players' mean cost."""
    if case.price:
        return price
    return None if cost is None else float(np.mean(cost[_counted(case)]))


def _counted(case: Published):
    return slice(None) if case.counted is None else case.counted


def _measure(case: Published, result, truth, seed: int, paths: int) -> dict[str, Any]:
    """Costs and controls of a profile against the truth's, along the same fresh paths."""
    import fictitious_play as fp

    game, counted = result.game, _counted(case)
    initial, noise = solving.sample(game, paths, (seed, 3))
    shape = (paths, game.steps, game.players, -1)
    ours = result.control(initial, noise).reshape(shape)
    controls = truth.play(initial, noise)[1].reshape(shape)
    if game.is_linear_quadratic:
        cost, error = result.cost, result.cost_standard_error
    else:
        mine, theirs = (solving.path_costs(game, initial, noise, own) for own in (ours, controls))
        cost = truth.cost + (mine - theirs).mean(axis=0)
        error = (mine - theirs).std(axis=0) / paths**0.5
    size = np.abs(truth.cost[counted])
    measured = {
        "cost": cost,
        "cost_error": np.max(np.abs(cost - truth.cost)[counted] / size),
        "cost_standard_error": np.max(error[counted] / size),
        "control_error": fp.lq.control_error(ours[:, :, counted], controls[:, :, counted]),
    }
    price = float(result.states(initial, noise)[:, game.steps // 2, 0].mean())
    value = _quantity(case, cost, price)
    error = abs(price / truth.price - 1.0) if case.price else measured["cost_error"]
    return {**measured, "value": value, "error": error}


def _certificate(result, truth) -> dict[str, Any]:
    """What anybody could gain alone, relative to her cost, or, where she has none in equilibrium,
    to the largest."""
    scale = np.abs(truth.cost)
    scale = np.where(scale < 1e-9, scale.max(), scale)
    exact = {"method": "exact"} if result.game.is_linear_quadratic else {"steps": 60}
    found = result.exploitability(paths=1024, scale=scale, **exact)
    return {
        "gain": found.worst,
        "gain_upper": found.upper,
        "method": found.method,
        "regret": None if result.regret is None else result.regret.worst,
        "converged": bool(found.upper <= _LIMIT),
    }


def draw(document: dict[str, Any]) -> Any:
    """Errors of all games and seeds, and the formation's flight."""
    figure, (left, right) = figures.subplots(1, 2, figsize=(9.6, 3.9), width_ratios=(1.25, 1.0))
    found = by_game(document)
    rows = np.arange(len(found))[::-1]
    for number, (what, label) in enumerate(
        (("error", "cost or price"), ("control_error", "controls"))
    ):
        for row, cases in zip(rows, found.values(), strict=True):
            errors = 100.0 * np.array([case[what] for case in cases], float)
            left.plot(errors, np.full(len(errors), row), label=None if row else label,
                      **figures.dots(number))  # fmt: skip
    left.axvline(100.0 * _LIMIT, **figures.EXACT)
    left.set(xscale="log", xlabel="error against the truth (%), a marker per seed",
             title="the games of the gallery")  # fmt: skip
    left.set_yticks(rows, [f"{game} ({kind.split('_')[0]})" for game, kind in found])
    left.legend(fontsize=8)
    gallery_picture.trails(right, flight(document))
    return figure


def film(document: dict[str, Any]) -> Any:
    """The formation's flight."""
    return gallery_picture.film(flight(document))


def facts(document: dict[str, Any]) -> dict[str, Any]:
    """Of the text."""
    return {"seeds": len(groups(document)[0])}


def _largest(entry: str, digits: int) -> cells.Cell:
    return lambda cases: f"{100.0 * max(case[entry] for case in cases):.{digits}f} %"


def _ours(cases: list[dict[str, Any]]) -> str:
    values = np.array([case["value"] for case in cases], float)
    return f"{values.mean():.5g} ± {values.std(ddof=len(values) > 1):.1g}"


def _certified(cases: list[dict[str, Any]]) -> str:
    return ("≥ " if cases[0]["method"] == "trained" else "") + _largest("gain", 2)(cases)


run, summary = Games(
    cases=_cases,
    record=_record,
    tables={"Ten games of the literature": {
        "game": lambda cases: f"{names(cases[0])[0]}: {cases[0]['quantity']}",
        "information": lambda cases: names(cases[0])[1].replace("_", " "),
        "truth": cells.fixed("truth", "{:.5g}"),
        "continuous time": cells.fixed("continuous", "{:.5g}"),
        "ours ± spread": _ours,
        "error": _largest("error", 2),
        "control error": _largest("control_error", 1),
        "certificate": _certified,
        "converged": lambda cases: f"{sum(case['converged'] for case in cases)} of {len(cases)}",
        # With the certificate.
        "CPU-s per seed": lambda cases: cells.cpu_seconds([
            {"cpu_seconds": case.get("whole_cpu_seconds", case.get("cpu_seconds"))}
            for case in cases]),
    }},
).parts()  # fmt: skip
