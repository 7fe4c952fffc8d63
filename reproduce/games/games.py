"""Ten published games, each held against an equilibrium that is known without the package."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from reproduce import figures, store
from reproduce.catalogue import find
from reproduce.games import gallery_picture, solving
from reproduce.report import Table

#: The largest error of a cost, price or control that still counts as none.
_LIMIT = 0.01


@dataclass(frozen=True)
class Case:
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


CASES = tuple(Case(**row) for row in find("games").table["cases"])


def run(context) -> dict[str, Any]:
    """Solves every game with every seed."""
    from reproduce.games import gallery, gallery_truths

    settings = context.settings
    cases: list[dict[str, Any]] = []
    for case in CASES:
        if "games" in settings and case.make not in settings["games"]:
            continue
        game = gallery.games()[case.make](**settings["game"])
        truth = gallery_truths.of(case.make, game, case.information)
        cases.append(
            {
                "title": case.title,
                "information": case.information,
                "quantity": "price" if case.price else "cost",
                "truth": _quantity(case, truth.cost, truth.price),
                "continuous": _quantity(case, truth.continuous, truth.stationary_price),
                "settings": {**case.training, **settings["training"]},
                "seeds": [
                    _solved(context, case, game, truth, context.seed + number)
                    for number in range(settings["seeds"])
                ],
            }
        )
    flights = [seed.pop("flight") for seed in cases[-1]["seeds"]]
    return {"cases": cases, "flight": flights[0]}


def _solved(context, case: Case, game, truth, seed: int) -> dict[str, Any]:
    """One solve, measured and certified; kept on the disk for an interrupted command."""
    training = {**case.training, **context.settings["training"]}
    paths, name = context.settings["paths"], f"{case.make}-{case.information}-{seed}"
    record = solving.place(context, name, game, training, seed).with_suffix(".json")
    if record.exists():
        found = store.read(record)
        for key in context.reused:
            context.reused[key] += found[key]
        return found
    result = solving.solve(context, name, game, training, seed)
    begun, processor = time.monotonic(), time.process_time()
    found = {
        "seed": seed,
        **_measure(case, result, truth, seed, paths),
        **_certificate(result, truth),
    }
    found["seconds"] = time.monotonic() - begun + sum(each.seconds for each in result.history)
    found["cpu_seconds"] = time.process_time() - processor
    found["cpu_seconds"] += sum(each.cpu_seconds for each in result.history)
    if case.make == "formation":
        found["flight"] = gallery_picture.flight(result, truth, context.seed)
    store.write(record, found)
    return found


def _quantity(case: Case, cost, price) -> float | None:
    """The number that stands in the table: the price, or the counted players' mean cost."""
    if case.price:
        return price
    return None if cost is None else float(np.mean(cost[_counted(case)]))


def _counted(case: Case):
    return slice(None) if case.counted is None else case.counted


def _measure(case: Case, result, truth, seed: int, paths: int) -> dict[str, Any]:
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
        difference = _costs(game, initial, ours, noise) - _costs(game, initial, controls, noise)
        cost, error = truth.cost + difference.mean(axis=0), difference.std(axis=0) / paths**0.5
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


def _costs(game, initial, controls, noise) -> np.ndarray:
    """Path costs (paths, players) of given controls."""
    from keras import ops

    from fictitious_play import rollout

    arrays = (initial, controls, noise)
    tensors = [ops.convert_to_tensor(array.astype("float32")) for array in arrays]
    costs = ops.convert_to_numpy(rollout.joint_costs(game, *tensors))
    return costs.astype(np.float64)


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
    results = document["results"]
    figure, (left, right) = figures.subplots(1, 2, figsize=(9.6, 3.9), width_ratios=(1.25, 1.0))
    names = [_name(case) for case in results["cases"]]
    rows = np.arange(len(names))[::-1]
    for number, (what, label) in enumerate(
        (("error", "cost or price"), ("control_error", "controls"))
    ):
        values = [[seed[what] for seed in case["seeds"]] for case in results["cases"]]
        look = {**figures.STYLES[number], "linestyle": "none"}
        for row, errors in zip(rows, values, strict=True):
            left.plot(100.0 * np.array(errors), np.full(len(errors), row), **look,
                      label=label if row == 0 else None)  # fmt: skip
    left.axvline(100.0 * _LIMIT, color="#5a5a5a", linestyle=":")
    left.set(xscale="log", xlabel="error against the truth (%), a marker per seed",
             title="the games of the gallery")  # fmt: skip
    left.set_yticks(rows, names)
    left.legend(fontsize=8)
    gallery_picture.trails(right, results["flight"])
    return figure


def film(document: dict[str, Any]) -> Any:
    """The formation's flight."""
    return gallery_picture.film(document["results"]["flight"])


def _name(case: dict[str, Any]) -> str:
    return f"{case['title']} ({case['information'].split('_')[0]})"


def summary(document: dict[str, Any]) -> list[Table]:
    """A row per game."""

    def over_seeds(case, key):
        return np.array([seed[key] for seed in case["seeds"]], float)

    def largest(key, digits):
        return lambda case: f"{100.0 * over_seeds(case, key).max():.{digits}f} %"

    def ours(case):
        values = over_seeds(case, "value")
        return f"{values.mean():.5g} ± {values.std(ddof=len(values) > 1):.1g}"

    def certificate(case):
        bound = "≥ " if case["seeds"][0]["method"] == "trained" else ""
        return bound + largest("gain", 2)(case)

    return [Table.of("Ten games of the literature", document["results"]["cases"], {
        "game": lambda case: f"{case['title']}: {case['quantity']}",
        "information": lambda case: case["information"].replace("_", " "),
        "truth": lambda case: f"{case['truth']:.5g}",
        "continuous time":
            lambda case: "" if case["continuous"] is None else f"{case['continuous']:.5g}",
        "ours ± spread": ours,
        "error": largest("error", 2),
        "control error": largest("control_error", 1),
        "certificate": certificate,
        "converged":
            lambda case: f"{sum(s['converged'] for s in case['seeds'])} of {len(case['seeds'])}",
        "CPU-s per seed": lambda case: f"{over_seeds(case, 'cpu_seconds').mean():.0f}",
    })]  # fmt: skip


def facts(document: dict[str, Any]) -> dict[str, Any]:
    """Of the text."""
    return {"seeds": len(document["results"]["cases"][0]["seeds"])}
