"""Figure 8: learning rates that are too large for the baseline, with and without the game."""

from collections.abc import Iterator
from typing import Any

from reproduce.dgnopt import experiment, ladder
from reproduce.report import Table

_BASELINE, _WITHOUT = "baseline", ", without K δx"
draw = ladder.draw


def run(context: Any) -> dict[str, Any]:
    """Trains baseline and games at every rate, without a step guard.

    With one player in every stage feedback and cooperation are the same step: the residual
    networks, whose identity skips leave no slack, are trained with feedback only.
    """
    settings = context.settings
    entries = [entry for name in settings["rates"] for entry in _entries(name, settings)]
    return {"problems": experiment.experiment(context, settings["kind"], entries)}


def _entries(curvature: str, settings: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The baseline and the games of one curvature, at each of its rates."""
    guard = {"guard": False} if curvature == "EKFAC" else {}
    variants: list[tuple[str, dict[str, Any]]] = [(_BASELINE, {"name": curvature, **guard})]
    structures = {"FNE": "feedback", "GR": "cooperative"}
    if settings["kind"] == "residual":
        structures = {"FNE = GR": "feedback"}
    for form in settings["forms"]:
        for name, structure in structures.items():
            game = {"name": curvature, "structure": structure, "form": form, "guard": False}
            variants.append((f"{name}, {form}", game))
            variants.append((f"{name}, {form}{_WITHOUT}", game | {"state_feedback": False}))
    for rate in settings["rates"][curvature]:
        for label, method in variants:
            yield experiment.entry(label, method, rate=rate)


def _pairs(rung: ladder.Rung) -> list[tuple[str, str]]:
    """What K δx changes."""
    return [(label + _WITHOUT, label) for label in rung.methods if label + _WITHOUT in rung.methods]


def summary(document: dict[str, Any]) -> list[Table]:
    """Accuracy of every method at every rate, and what K δx changes."""
    return ladder.summary(document, _pairs)


def facts(document: dict[str, Any]) -> dict[str, Any]:
    """Of the text: the conditions."""
    same = ""
    if document["settings"]["kind"] == "residual":
        same = (" Every stage of these networks has one player, so the feedback (FNE) and the "
                "cooperative (GR) structure are the same step and are trained once.")  # fmt: skip
    return {"same": same, "learned": ladder.LEARNED, **ladder.facts(document)}
