"""What players should expect of each other: four beliefs in exact play."""

from typing import Any

from reproduce.games.convergence import form
from reproduce.report import Table

_RULES = ("last", "sequential", "damped", "average")


def run(context) -> dict[str, Any]:
    """Errors per stage on three games."""
    import fictitious_play as fp

    given = context.settings
    players, steps = given["players"], given["steps"]

    broken = fp.lq.inter_bank_form(
        2, 8.0, 2 * steps, a=0.1, q=0.1, epsilon=4.0, c=1.0, weights=[[0, 1], [-3, 0]],
        initial_mean=[-1.0, 1.0],
    )  # fmt: skip
    games = {
        "weak coupling, ε = c = 0.5": (form(players, 1.0, steps, 0.5), 1.0),
        "strong coupling, ε = c = 8": (form(players, 1.0, steps, 8.0), 1.0),
        "signed weights, T = 8": (broken, None),
    }
    cases = []
    for title, (game, initial) in games.items():
        error = {rule: fp.lq.exact_play(game, given["stages"], rule, initial=initial).error
                 for rule in _RULES}  # fmt: skip
        cases.append({"title": title, "factor": fp.lq.contraction(game, "all"), "error": error})
    return {"cases": cases}


def summary(document: dict[str, Any]) -> list[Table]:
    """Errors after the last stage."""
    cases = document["results"]["cases"]
    stages = len(cases[0]["error"]["last"])

    def last(rule):
        return lambda case: f"{case['error'][rule][-1]:.2e}"

    return [Table.of(f"Relative L2 error of the belief after {stages} stages", cases, {
        "game": lambda case: case["title"],
        "spectral radius": lambda case: f"{case['factor']:.4f}",
        **{rule: last(rule) for rule in _RULES},
    })]  # fmt: skip
