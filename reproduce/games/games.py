"""Ten published games, each held against an equilibrium that is known without the package."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from reproduce import figures
from reproduce.catalogue import find
from reproduce.games import cells, solving
from reproduce.games.cases import Case, Games, Solved, flight, groups, names

#: The largest error of a cost, price or control that still counts as none.
_LIMIT = 0.01
#: The formation's places in a V that flies to the right, in units of length, and its speed.
_PLACES = np.array([[0.0, 0.0], [-1.0, 1.0], [-1.0, -1.0], [-2.0, 2.0], [-2.0, -2.0]])
_SPEED = 4.0


#: The rows of `items.toml`, and the information that their training has.
CASES = tuple(
    SimpleNamespace(
        **{"counted": None, "price": False, **row},
        information=row["training"].get("information_structure", "open_loop"),
    )
    for row in find("games").table["cases"]
)


def _cases(settings: dict[str, Any]) -> list[Case]:
    from reproduce.games import gallery

    return [
        Case(each.title, gallery.games()[each.make](**settings["game"]),
             {**each.training, **settings["training"]}, each.information, about=each)
        for each in CASES if each.make in settings.get("games", [each.make])
    ]  # fmt: skip


def _record(solved: Solved) -> dict[str, Any]:
    from reproduce.games import gallery

    case, result = solved.case.about, solved.result
    truth = gallery.truth(case.make, result.game, case.information)
    found = {
        "quantity": "price" if case.price else "cost",
        "truth": _quantity(case, truth.cost, truth.price),
        "continuous": _quantity(case, truth.continuous, truth.stationary_price),
        "settings": solved.case.training,
        **_measure(case, result, truth, solved.seed, solved.settings["paths"]),
        **_certificate(result, truth),
    }
    if case.make == "formation":
        found["flight"] = _flight(result, truth, solved.seed)
    return found


def _counted(case: Any) -> Any:
    """An index of the players who count."""
    return slice(None) if case.counted is None else case.counted


def _quantity(case: Any, cost, price) -> float | None:
    """The number that stands in the table: the price, or the counted players' mean cost."""
    if case.price:
        return price
    return None if cost is None else float(np.mean(cost[_counted(case)]))


def _measure(case: Any, result, truth, seed: int, paths: int) -> dict[str, Any]:
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
    cost_error = np.max(np.abs(cost - truth.cost)[counted] / size)
    price = float(result.states(initial, noise)[:, game.steps // 2, 0].mean())
    return {
        "cost": cost,
        "cost_error": cost_error,
        "cost_standard_error": np.max(error[counted] / size),
        "control_error": fp.lq.control_error(ours[:, :, counted], controls[:, :, counted]),
        "value": _quantity(case, cost, price),
        "error": abs(price / truth.price - 1.0) if case.price else cost_error,
    }


def _certificate(result, truth) -> dict[str, Any]:
    """What anybody could gain alone, relative to her cost, or, where she has none in equilibrium,
    to the largest."""
    scale = np.abs(truth.cost)
    scale = np.where(scale < 1e-9, scale.max(), scale)
    exact = {"method": "exact"} if result.game.is_linear_quadratic else {"steps": 60}
    found = result.exploitability(paths=1024, scale=scale, **exact)
    regret = None if result.regret is None else result.regret.worst
    return {"gain": found.worst, "gain_upper": found.upper, "method": found.method,
            "regret": regret, "converged": bool(found.upper <= _LIMIT)}  # fmt: skip


def _flight(result, truth, seed: int) -> dict[str, Any]:
    """Where everybody is on one path, (steps + 1, players, 2), trained and exact, and the places
    that would end all costs of distance."""
    game = result.game
    initial, noise = solving.sample(game, 1, (seed, 4))
    times = np.linspace(0.0, game.horizon, game.steps + 1)
    places = _PLACES + np.stack([_SPEED * times, 0.0 * times], axis=1)[:, None]
    away = {"trained": result.states(initial, noise), "exact": truth.play(initial, noise)[0]}
    away = {name: states.reshape(game.steps + 1, game.players, 2, 2)[:, :, 0]
            for name, states in away.items()}  # fmt: skip
    return {**{name: own + places for name, own in away.items()},
            "places": away["exact"].mean(axis=1, keepdims=True) + places}  # fmt: skip


def _film(document: dict[str, Any]) -> Any:
    """The formation's flight: trained vehicles, and rings where exact play is."""
    from matplotlib import animation

    flown = flight(document)
    trained, exact, places = (np.asarray(flown[name]) for name in ("trained", "exact", "places"))
    every = np.concatenate([trained, exact, places]).reshape(-1, 2)
    figure, axis = figures.subplots(figsize=(4.8, 2.9), dpi=75)
    axis.set_aspect("equal")
    low, high = every.min(axis=0) - 0.5, every.max(axis=0) + 0.5
    axis.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel="$x_1$", ylabel="$x_2$")
    tails = [axis.plot([], [], color="#8a9ab0", linewidth=1.0)[0] for _ in trained[0]]
    (goals,) = axis.plot([], [], "+", color="#8a9ab0", markersize=7, label="places")
    (rings,) = axis.plot([], [], "o", mfc="none", color="#c0562b", markersize=9, label="exact")
    (vehicles,) = axis.plot([], [], ">", color="#1b3a5c", markersize=6, label="trained")
    axis.legend(loc="upper left", fontsize=7)

    def frame(number):
        now = min(number, len(trained) - 1)
        for player, tail in enumerate(tails):
            tail.set_data(*trained[: now + 1, player].T)
        for marks, where in ((goals, places), (rings, exact), (vehicles, trained)):
            marks.set_data(*where[now].T)
        return [*tails, goals, rings, vehicles]

    return animation.FuncAnimation(figure, frame, frames=len(trained) + 8, blit=False)


def _largest(entry: str, digits: int) -> cells.Cell:
    return lambda cases: f"{100.0 * max(case[entry] for case in cases):.{digits}f} %"


def _ours(cases: list[dict[str, Any]]) -> str:
    values = np.array([case["value"] for case in cases], float)
    return f"{values.mean():.5g} ± {values.std(ddof=len(values) > 1):.1g}"


ITEM = Games(
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
        "certificate": lambda cases: (
            ("≥ " if cases[0]["method"] == "trained" else "") + _largest("gain", 2)(cases)),
        "converged": lambda cases: f"{sum(case['converged'] for case in cases)} of {len(cases)}",
        # With the certificate.
        "CPU-s per seed": lambda cases: cells.cpu_seconds([
            {"cpu_seconds": case.get("whole_cpu_seconds", case.get("cpu_seconds"))}
            for case in cases]),
    }},
    film=_film,
    facts=lambda document: {"seeds": len(groups(document)[0])},
)  # fmt: skip
