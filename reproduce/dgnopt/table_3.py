"""Table 3: accuracy of six methods on inception networks."""

from pathlib import Path
from typing import Any

from reproduce.dgnopt import accuracy_table, experiment
from reproduce.dgnopt.problems import PAPER_STEPS, QUICK_STEPS
from reproduce.report import Table

PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {"steps": 4, "seeds": 1, "emsa_seeds": 1},
    "quick": {"steps": QUICK_STEPS, "seeds": 2, "emsa_seeds": 1},
    "standard": {"steps": 500, "seeds": 4, "emsa_seeds": 3},
    "paper": {"steps": PAPER_STEPS, "seeds": 4, "emsa_seeds": 4},
}
#: The paper's Table 3, in the order of `accuracy_table.COLUMNS`.
PAPER = {
    "mnist": (97.96, 97.75, 97.72, 97.90, 97.39, 98.03),
    "svhn": (87.61, 86.14, 86.84, 88.89, 82.68, 88.94),
    "cifar10": (76.66, 74.38, 75.38, 77.54, 70.17, 77.72),
}
_DECAY = [0.5, 0.75]


def run(context) -> dict[str, Any]:
    """Trains every method on every problem."""
    methods = accuracy_table.entries(context.settings["emsa_seeds"])
    return {"problems": experiment.experiment(context, "inception", methods, decay=_DECAY)}


def draw(document: dict[str, Any], stem: Path) -> list[Path]:
    """Accuracy by method, a panel a problem."""
    return accuracy_table.draw(document, stem)


def summary(document: dict[str, Any]) -> list[Table]:
    """Ours beside the paper's, and what stands out of the noise."""
    return accuracy_table.summary(document, "Inception networks", PAPER)


def markdown(document: dict[str, Any]) -> str:
    """The conditions of the runs."""
    return accuracy_table.markdown(document)


def finding(document: dict[str, Any]) -> tuple[str, str]:
    """What should hold, and what was seen."""
    return accuracy_table.finding(document)


def holds(document: dict[str, Any]) -> str:
    """Whether the paper's claim holds."""
    return accuracy_table.holds(document)
