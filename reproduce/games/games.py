"""Ten published games, each held against an equilibrium that is known without the package."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reproduce import figures, store
from reproduce.games import gallery_picture, solving
from reproduce.report import Table

#: The smoke preset plays two of the games, in three steps.
PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {
        "games": ["liquidation", "formation"], "game": {"steps": 3}, "seeds": 1, "paths": 64,
        "training": solving.SMOKE,
    },
    "quick": {"games": None, "game": {}, "seeds": 3, "paths": 4096, "training": {}},
    "paper": {"games": None, "game": {}, "seeds": 3, "paths": 8192, "training": {"stages": 20}},
}  # fmt: skip
_OPEN: dict[str, Any] = {"hidden": (8,), "skip": True, "stages": 8, "steps_per_stage": 60}
_CLOSED: dict[str, Any] = {
    "hidden": (8,), "skip": True, "batch_normalization": False,
    "information_structure": "closed_loop", "time_shared": True, "stages": 6,
    "steps_per_stage": 60, "batch_size": 64,
}  # fmt: skip
#: Where hands tremble, nothing else is random, and gains bend at the end: a network per step.
_WIDE = {**_CLOSED, "batch_size": 256, "time_shared": False}
#: Exponential costs have heavy tails, which a linear path would follow.
_PLAIN: dict[str, Any] = {
    "hidden": (16,), "stages": 8, "steps_per_stage": 60, "batch_size": 256, "learning_rate": 0.06,
}  # fmt: skip
#: The largest error of a cost, price or control that still counts as none.
_LIMIT = 0.01


@dataclass(frozen=True)
class Case:
    """A game of the gallery.

    Attributes:
        title: as the table has it.
        make: its name in `gallery_games`.
        training: arguments of `DeepFictitiousPlay` and of its `solve`, together.
        counted: the players whose costs and controls are held against the truth; None for all.
        price: whether the first state halfway is held against the truth in place of the cost.
    """

    title: str
    make: str
    training: dict[str, Any]
    counted: tuple[int, ...] | None = None
    price: bool = False

    @property
    def information(self) -> str:
        """Of `DeepFictitiousPlay`."""
        return self.training.get("information_structure", "open_loop")


CASES = (
    Case("inter-bank, ρ = .2", "inter_bank", {**_OPEN, "batch_size": 256}),
    Case(
        "systemic risk, mean-field limit", "SystemicRisk", {**_CLOSED, "steps_per_stage": 40}, (0,)
    ),
    Case("sticky prices", "sticky_prices", {**_OPEN, "learning_rate": 0.1}, price=True),
    Case("sticky prices", "sticky_prices", {**_WIDE, "learning_rate": 0.1}, price=True),
    Case("duopoly with adjustment costs", "duopoly", {**_WIDE, "learning_rate": 0.06}),
    Case("pursuit and evasion", "pursuit", {**_CLOSED, "steps_per_stage": 30}, (0,)),
    Case("liquidation", "liquidation", {**_OPEN, "learning_rate": 0.03}),
    Case("fish war", "FishWar", {**_CLOSED, "learning_rate": 0.06, "initial_belief": 3.0}),
    Case("portfolios", "portfolio", _PLAIN),
    Case("signal, transient impact", "signal", {**_CLOSED, "batch_size": 128}),
    Case("formation in the plane", "formation", {**_CLOSED, "learning_rate": 0.03}),
)


def run(context) -> dict[str, Any]:
    """Solves every game with every seed."""
    from reproduce.games import gallery_games, gallery_truths

    settings = context.settings
    cases: list[dict[str, Any]] = []
    for case in CASES:
        if settings["games"] and case.make not in settings["games"]:
            continue
        game = getattr(gallery_games, case.make)(**settings["game"])
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
    return slice(None) if case.counted is None else list(case.counted)


def _measure(case: Case, result, truth, seed: int, paths: int) -> dict[str, Any]:
    """Costs and controls of a profile against the truth's, along the same fresh paths."""
    import fictitious_play as fp

    game, counted = result.game, _counted(case)
    rng = np.random.default_rng((seed, 3))
    initial = game.initial_states(rng.standard_normal((paths, game.state_size)))
    noise = rng.standard_normal((paths, game.steps, game.noise_size)) * game.step_size**0.5
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


def draw(document: dict[str, Any], stem: Path) -> list[Path]:
    """Errors of all games and seeds, the formation's flight, and the flight again as a GIF."""
    from matplotlib import pyplot

    results = document["results"]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9.6, 3.9), width_ratios=(1.25, 1.0))
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
    return [gallery_picture.film(results["flight"], stem), figures.save(figure, stem)]


def _name(case: dict[str, Any]) -> str:
    return f"{case['title']} ({case['information'].split('_')[0]})"


def summary(document: dict[str, Any]) -> list[Table]:
    """A row per game."""
    rows = []
    for case in document["results"]["cases"]:
        seeds = case["seeds"]

        def all_of(key, seeds=seeds):
            return np.array([seed[key] for seed in seeds], float)

        ours = all_of("value")
        continuous = "" if case["continuous"] is None else f"{case['continuous']:.5g}"
        bound = "≥ " if seeds[0]["method"] == "trained" else ""
        rows.append(
            (
                f"{case['title']}: {case['quantity']}",
                case["information"].replace("_", " "),
                f"{case['truth']:.5g}",
                continuous,
                f"{ours.mean():.5g} ± {ours.std(ddof=len(ours) > 1):.1g}",
                f"{100.0 * all_of('error').max():.2f} %",
                f"{100.0 * all_of('control_error').max():.1f} %",
                f"{bound}{100.0 * all_of('gain').max():.2f} %",
                f"{sum(seed['converged'] for seed in seeds)} of {len(seeds)}",
                f"{all_of('cpu_seconds').mean():.0f}",
            )
        )
    columns = ("game", "information", "truth", "continuous time", "ours ± spread", "error",
               "control error", "certificate", "converged", "CPU-s per seed")  # fmt: skip
    return [Table("Ten games of the literature", columns, rows)]


def markdown(document: dict[str, Any]) -> str:
    """What is compared."""
    seeds = len(document["results"]["cases"][0]["seeds"])
    return (
        "Each game is written down with public names, in at most 40 lines, in "
        "`docs/gallery`, with its source and the formulas of its truth. "
        "*Truth* is the equilibrium of the game that is played, in discrete time, from Riccati "
        "equations and closed forms that share no code with the package; *continuous time* is the "
        "same game's value there, or the stationary price of the infinite horizon. Costs are means "
        "over the players (of systemic risk the bank's, of pursuit the value); *spread* is the "
        "standard deviation over seeds. *Error*, *control error* (root mean square, relative) and "
        "*certificate* (the largest gain of a deviation, relative to the cost) are the largest "
        f"over {seeds} seeds and all players; *converged* counts the seeds whose certificate is at "
        "most 1 %, two standard errors included."
    )
