"""Tables 2 and 3: the paper's six methods, its own update as printed, and Muon."""

from collections.abc import Mapping
from typing import Any

from reproduce.dgnopt import comparison, experiment
from reproduce.training.methods import PRINTED

#: The paper's columns, in its order.
COLUMNS = ("SGD", "RMSprop", "Adam", "EKFAC", "EMSA", "DGNOpt")


def _entries(settings: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    entry = experiment.entry
    return [
        *(entry(name, {"name": name}) for name in COLUMNS[:-2]),
        entry("EMSA", {"name": "EMSA"}, seeds=settings["emsa_seeds"]),
        entry("DGNOpt", {"name": "EKFAC", "structure": "cooperative"}, rate_of="DGNOpt"),
        entry("as printed", PRINTED, rate_of="as printed"),
        entry("Muon", {"name": "Muon"}),
    ]


def _all(problem: dict[str, Any]) -> list[tuple[str, str]]:
    return [(label, "DGNOpt") for label in comparison.by_label(problem) if label != "DGNOpt"]


def table(kind: str, paper: Mapping[str, tuple[float, ...]]) -> comparison.Comparison:
    """The specification of a table.

    Args:
        kind: of problems.
        paper: data set → the paper's row, in the order of `COLUMNS`.
    """
    return comparison.Comparison(
        kinds=(kind,),
        entries=_entries,
        pairs=_all,
        cells={"decay": [0.5, 0.75]},
        paper={data: dict(zip(COLUMNS, row, strict=True)) for data, row in paper.items()},
    )
