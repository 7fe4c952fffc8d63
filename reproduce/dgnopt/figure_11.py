"""Figure 11: fictitious agents against the naive partition of every layer's units."""

from typing import Any

from reproduce.dgnopt import curves, experiment
from reproduce.dgnopt.comparison import Comparison, Quantity

#: Comparisons: what each is called, what it adds to the optimizer, and the factor on the tuned
#: rate; `{}` and "N" are the number of players.
_PLAYERS: dict[str, tuple[dict[str, Any], str]] = {
    "ordinary, rate × {}": ({}, "1"),
    "{} agents (16)": ({"structure": "cooperative", "agents": "N"}, "1/N"),
    "{} parts": ({"structure": "cooperative", "form": "coupled", "parts": "N"}, "1/N"),
    "{0} parts, rate × {0}": ({"structure": "cooperative", "form": "coupled", "parts": "N"}, "1"),
    "one player, proximal": ({"structure": "cooperative"}, "1/N"),
    "{} parts, proximal": ({"structure": "cooperative", "parts": "N"}, "1/N"),
}


def _entries(settings: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """Every optimizer with agents, with parts, and with one player per layer."""
    number, entries = settings["number"], []
    for name, chosen in settings["methods"].items():
        for label in chosen or _PLAYERS:
            given, factor = _PLAYERS[label]
            more = {key: number if value == "N" else value for key, value in given.items()}
            entries.append(experiment.entry(
                f"{name}, {label.format(number)}", {"name": name, **more}, optimizer=name,
                rate_times=1.0 if factor == "1" else 1.0 / number,
            ))  # fmt: skip
    return entries


def _pairs(problem: dict[str, Any]) -> list[tuple[str, str]]:
    """Everything against the agents of its optimizer."""
    agents = {m["optimizer"]: m["label"] for m in problem["methods"] if "agents" in m["method"]}
    return [(agents[method["optimizer"]], method["label"]) for method in problem["methods"]
            if "agents" not in method["method"]]  # fmt: skip


run, draw, summary, facts = Comparison(
    kinds=("feedforward",),
    entries=_entries,
    pairs=_pairs,
    quantity=Quantity(curves.average_losses, "training loss over all steps (nats)", "nats", 3),
).parts()  # fmt: skip
