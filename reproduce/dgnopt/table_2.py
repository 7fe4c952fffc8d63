"""Table 2: accuracy of six methods on residual networks."""

from pathlib import Path
from typing import Any

from reproduce.dgnopt import accuracy_table, experiment
from reproduce.dgnopt.problems import PAPER_STEPS, QUICK_STEPS
from reproduce.report import Table

PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {"steps": 4, "seeds": 1, "emsa_seeds": 1},
    "quick": {"steps": QUICK_STEPS, "seeds": 2, "emsa_seeds": 1},
    "standard": {"steps": 600, "seeds": 6, "emsa_seeds": 3},
    "paper": {"steps": PAPER_STEPS, "seeds": 3, "emsa_seeds": 1},
}
#: The paper's Table 2, in the order of `accuracy_table.COLUMNS`.
PAPER = {
    "mnist": (98.65, 98.61, 98.49, 98.77, 98.25, 98.76),
    "svhn": (88.58, 88.96, 89.20, 88.75, 87.40, 89.22),
    "cifar10": (82.94, 83.75, 85.66, 85.65, 75.60, 85.85),
    "cifar100": (71.78, 71.65, 71.96, 71.95, 62.63, 72.24),
}
_DECAY = [0.5, 0.75]


def run(context) -> dict[str, Any]:
    """Trains every method on every problem."""
    methods = accuracy_table.entries(context.settings["emsa_seeds"])
    return {"problems": experiment.experiment(context, "residual", methods, decay=_DECAY)}


def draw(document: dict[str, Any], stem: Path) -> list[Path]:
    """Accuracy by method, a panel a problem."""
    return accuracy_table.draw(document, stem)


def summary(document: dict[str, Any]) -> list[Table]:
    """Ours beside the paper's, and what stands out of the noise."""
    return accuracy_table.summary(document, "Residual networks", PAPER)


def markdown(document: dict[str, Any]) -> str:
    """The conditions of the runs."""
    return accuracy_table.markdown(document)


def finding(document: dict[str, Any]) -> tuple[str, str]:
    """What should hold, and what was seen."""
    return accuracy_table.finding(document)


def holds(document: dict[str, Any]) -> str:
    """Whether the paper's claim holds."""
    return accuracy_table.holds(document)
