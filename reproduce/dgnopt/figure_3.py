"""Figure 3: EKFAC under four information structures, on a network of cooperative blocks."""

from typing import Any

from reproduce.dgnopt import experiment
from reproduce.dgnopt.comparison import Comparison, from_first
from reproduce.training.methods import PRINTED

#: Names of the structures in the paper.
_SYMBOLS = {
    "open_loop": "η^O", "open_loop_cooperative": "η^{O-CG}", "feedback": "η^C",
    "cooperative": "η^{C-CG}",
}  # fmt: skip


def _entries(settings: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    chosen = settings.get("structures") or _SYMBOLS
    methods = {_SYMBOLS[name]: {"name": "EKFAC", "structure": name} for name in chosen}
    if "structures" not in settings:
        methods["as printed"] = {**PRINTED, "solver": "prop5"}
    return [experiment.entry(label, method, rate_of="EKFAC") for label, method in methods.items()]


run, draw, summary, facts = Comparison(
    kinds=("cooperative",),
    entries=_entries,
    pairs=from_first,
).parts()
