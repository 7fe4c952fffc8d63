"""Trained networks against exact fictitious play, at every stage and not only in the limit."""

from typing import Any

import numpy as np

from reproduce import figures
from reproduce.games import solving
from reproduce.report import Table

#: Coupling strong enough that the stages can be told apart; everybody is first believed to play 1.
_WEIGHT, _BELIEF = 4.0, 1.0
#: Marks of the axis of distances, in %.
_PERCENT = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)


def run(context) -> dict[str, Any]:
    """Costs after every stage of one warm-started solve; costs and controls of stages that are
    each trained to their end."""
    import fictitious_play as fp

    settings = context.settings
    stages, paths = settings["stages"], settings["paths"]
    arguments = {**settings["game"], "players": settings["players"], "epsilon": _WEIGHT,
                 "c": _WEIGHT}  # fmt: skip
    game = fp.InterBankGame(**arguments)
    exact = fp.lq.exact_play(game, stages, initial=_BELIEF, keep_stages=True)
    limit = fp.lq.nash(game)
    training = {"batch_size": settings["batch_size"], "initial_belief": _BELIEF}
    warm = solving.solve(
        context, "warm", game,
        {**training, "stages": stages, "steps_per_stage": settings["steps_per_stage"],
         "final_rate_ratio": 0.1, "validation_paths": paths, "stage_paths": paths},
        context.seed,
    )  # fmt: skip

    initial, noise = game.linear_quadratic_form().sample(paths, context.seed + 1)
    equilibrium = limit.controls(initial, noise)
    belief: Any = _BELIEF
    rows = []
    for stage in range(stages):
        solver = fp.DeepFictitiousPlay(
            game, batch_size=settings["batch_size"], initial_belief=belief, skip=True,
            seed=context.seed + stage,
        )  # fmt: skip
        result = solver.solve(1, 2 * settings["steps_per_stage"], validation_paths=paths,
                              progress=False)  # fmt: skip
        belief = result.control
        controls = result.control(initial, noise)
        response = fp.lq.evaluate(game, exact.response_stages[stage], initial, noise)
        rows.append({
            "cost": result.cost,
            "cost_standard_error": result.cost_standard_error,
            "error_to_exact_stage": fp.lq.control_error(controls, response),
            "error_to_equilibrium": fp.lq.control_error(controls, equilibrium),
            "exact_error_to_equilibrium": exact.error[stage],
        })  # fmt: skip
    return {
        "players": game.players,
        "exact_cost": exact.cost,
        "equilibrium_cost": limit.cost,
        "contraction": fp.lq.contraction(game),
        "warm_cost": [record.cost for record in warm.history],
        "warm_standard_error": [record.cost_standard_error for record in warm.history],
        "stages": rows,
    }


def draw(document: dict[str, Any]) -> Any:
    """Costs stage by stage, and distances of the controls."""
    results = document["results"]
    rows = results["stages"]
    stage = np.arange(1, len(rows) + 1)
    figure, (left, right) = figures.subplots(1, 2, figsize=(8.6, 3.5))
    exact = np.mean(results["exact_cost"], axis=1)
    left.plot(stage, exact, label="exact best responses", **{**figures.STYLES[1], "marker": ""})
    for number, (cost, error, label) in enumerate((
        (results["warm_cost"], results["warm_standard_error"], "one solve, warm-started stages"),
        ([row["cost"] for row in rows], [row["cost_standard_error"] for row in rows],
         "every stage trained to its end"),
    )):  # fmt: skip
        look = figures.STYLES[2 * number]
        left.errorbar(stage, np.mean(cost, axis=1), yerr=np.mean(error, axis=1), linestyle="none",
                      marker=look["marker"], color=look["color"], capsize=2.5,
                      label=label)  # fmt: skip
    left.axhline(np.mean(results["equilibrium_cost"]), color="#5a5a5a", linestyle=":",
                 label="equilibrium")  # fmt: skip
    left.set(xlabel="stage", ylabel="cost, mean over the players (units of cost)", xticks=stage,
             title="cost of the joint profile")  # fmt: skip
    left.legend(fontsize=8)
    for number, (name, label) in enumerate((
        ("error_to_equilibrium", "networks to equilibrium"),
        ("exact_error_to_equilibrium", "exact play to equilibrium"),
        ("error_to_exact_stage", "networks to exact play"),
    )):  # fmt: skip
        right.plot(stage, [100 * row[name] for row in rows], label=label, **figures.STYLES[number])
    right.set(yscale="log", xlabel="stage", ylabel="relative L2 distance of the controls (%)",
              xticks=stage, title="controls")  # fmt: skip
    low, high = right.get_ylim()
    shown = [value for value in _PERCENT if low <= value <= high]
    right.set_yticks(shown, [f"{value:g}" for value in shown])
    right.minorticks_off()
    right.legend(fontsize=8)
    return figure


def summary(document: dict[str, Any]) -> list[Table]:
    """Costs and controls, a row per stage."""
    results = document["results"]
    stages: list[dict[str, Any]] = [
        {**row, "stage": number + 1, "exact": exact, "warm": cost, "warm_error": error}
        for number, (row, exact, cost, error) in enumerate(zip(
            results["stages"], results["exact_cost"], results["warm_cost"],
            results["warm_standard_error"], strict=True,
        ))
    ]  # fmt: skip
    number = {"stage": lambda row: str(row["stage"])}
    return [
        Table.of("Cost of the joint profile, mean over the players", stages, {
            **number,
            "exact play": lambda row: f"{np.mean(row['exact']):.5f}",
            "one solve": lambda row: _distance(row["warm"], row["warm_error"], row["exact"]),
            "stages trained to their end": lambda row: _distance(
                row["cost"], row["cost_standard_error"], row["exact"]),
        }),
        Table.of("Controls, stages trained to their end", stages, {
            **number,
            "to exact play": lambda row: f"{100 * row['error_to_exact_stage']:.2f} %",
            "to equilibrium": lambda row: f"{100 * row['error_to_equilibrium']:.2f} %",
            "exact play to equilibrium":
                lambda row: f"{100 * row['exact_error_to_equilibrium']:.2f} %",
        }),
    ]  # fmt: skip


def facts(document: dict[str, Any]) -> dict[str, Any]:
    """Of the text."""
    return {"weight": _WEIGHT}


def _distance(cost, error, exact) -> str:
    """Relative distance of the mean cost from the exact stage's."""
    mean = float(np.mean(exact))
    return solving.percent(float(np.mean(cost)) / mean - 1.0, float(np.mean(error)) / mean)
