"""Trained networks against exact fictitious play, at every stage and not only in the limit."""

from typing import Any

import numpy as np

from reproduce.games import cells
from reproduce.games.cases import Case, Games, Solved, records
from reproduce.report import Table

#: Coupling strong enough that the stages can be told apart; everybody is first believed to play 1.
_WEIGHT, _BELIEF = 4.0, 1.0


def _cases(settings: dict[str, Any]) -> list[Case]:
    """One solve whose stages are warm-started."""
    game = {**settings["game"], "players": settings["players"], "epsilon": _WEIGHT, "c": _WEIGHT}
    paths = settings["paths"]
    training = {key: settings[key] for key in ("stages", "steps_per_stage", "batch_size")}
    training |= {"initial_belief": _BELIEF, "final_rate_ratio": 0.1, "validation_paths": paths,
                 "stage_paths": paths}  # fmt: skip
    return [Case(f"N = {settings['players']}", game, training)]


def _record(solved: Solved) -> dict[str, Any]:
    """Its costs after every stage; costs and controls of stages that are each trained to their
    end; and exact play."""
    import fictitious_play as fp

    game, settings = solved.result.game, solved.settings
    stages, paths = settings["stages"], settings["paths"]
    exact = fp.lq.exact_play(game, stages, initial=_BELIEF, keep_stages=True)
    limit = fp.lq.nash(game)
    first = 1000 * solved.seed  # of the stages' seeds
    initial, noise = game.linear_quadratic_form().sample(paths, first + 1)
    equilibrium = limit.controls(initial, noise)
    belief: Any = _BELIEF
    rows = []
    for stage in range(stages):
        solver = fp.DeepFictitiousPlay(
            game, batch_size=settings["batch_size"], initial_belief=belief, skip=True,
            seed=first + stage,
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
    history = solved.result.history
    return {
        "players": game.players,
        "exact_cost": exact.cost,
        "equilibrium_cost": limit.cost,
        "contraction": fp.lq.contraction(game),
        "warm_cost": [record.cost for record in history],
        "warm_standard_error": [record.cost_standard_error for record in history],
        "stages": rows,
    }


def _summary(document: dict[str, Any]) -> list[Table]:
    """Costs and controls, a row per stage."""
    cases = records(document)
    exact = np.mean(cases[0]["exact_cost"], axis=1)

    def over(entry):
        """A quantity of every seed and stage, mean over the players."""
        values = np.array([case.get(entry) or [stage[entry] for stage in case["stages"]]
                           for case in cases], float)  # fmt: skip
        return values.reshape(*values.shape[:2], -1).mean(axis=-1)

    def cost(*entries):
        """Relative distance of the mean cost from the exact stage's."""
        values, errors = (over(entry) / exact for entry in entries)
        found = np.stack([values - 1.0, errors], axis=-1)
        return lambda stage: cells.over_seeds(found[:, stage], "+")

    def control(entry, seeds=None):
        found = over(entry)[:seeds]
        return lambda stage: cells.over_seeds(found[:, stage, None], digits=2)

    stages, number = range(len(exact)), {"stage": lambda stage: str(stage + 1)}
    return [
        Table.of("Cost of the joint profile, mean over the players", stages, {
            **number,
            "exact play": lambda stage: f"{exact[stage]:.5f}",
            "one solve": cost("warm_cost", "warm_standard_error"),
            "stages trained to their end": cost("cost", "cost_standard_error"),
        }),
        Table.of("Controls, stages trained to their end", stages, {
            **number,
            "to exact play": control("error_to_exact_stage"),
            "to equilibrium": control("error_to_equilibrium"),
            "exact play to equilibrium": control("exact_error_to_equilibrium", 1),
        }),
    ]  # fmt: skip


ITEM = Games(
    cases=_cases, record=_record, kinds=(), tables={}, before=_summary,
    facts=lambda document: {"weight": _WEIGHT, "case": records(document)[0]},
)  # fmt: skip
