"""Figure 3: EKFAC under four information structures, on a network of cooperative blocks."""

from typing import Any

from reproduce.dgnopt import experiment
from reproduce.dgnopt.comparison import Comparison, from_first
from reproduce.dgnopt.problems import PAPER_STEPS, QUICK_STEPS
from reproduce.training.methods import PRINTED

#: Names of the structures in the paper.
_SYMBOLS = {
    "open_loop": "η^O", "open_loop_cooperative": "η^{O-CG}", "feedback": "η^C",
    "cooperative": "η^{C-CG}",
}  # fmt: skip


def _entries(settings: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    chosen = settings["structures"] or _SYMBOLS
    methods = {_SYMBOLS[name]: {"name": "EKFAC", "structure": name} for name in chosen}
    if settings["structures"] is None:
        methods["as printed"] = {**PRINTED, "solver": "prop5"}
    return [experiment.entry(label, method, rate_of="EKFAC") for label, method in methods.items()]


PRESETS, run, draw, summary, facts = Comparison(
    presets={
        "smoke": {"steps": 4, "seeds": 1, "structures": ["open_loop", "cooperative"]},
        "quick": {"steps": QUICK_STEPS, "seeds": 2, "every": 10, "structures": None},
        "standard": {"steps": 400, "seeds": 3, "every": 20, "structures": None},
        "paper": {"steps": PAPER_STEPS, "seeds": 3, "structures": None},
    },
    kinds=("cooperative",),
    entries=_entries,
    pairs=from_first,
).parts()
