"""Table 2: accuracy of eight methods on residual networks."""

from reproduce.dgnopt.accuracy_table import table
from reproduce.dgnopt.problems import PAPER_STEPS, QUICK_STEPS

_PRESETS = {
    "smoke": {"steps": 4, "seeds": 1, "emsa_seeds": 1},
    "quick": {"steps": QUICK_STEPS, "seeds": 2, "emsa_seeds": 1},
    "standard": {"steps": 600, "seeds": 6, "emsa_seeds": 3},
    "paper": {"steps": PAPER_STEPS, "seeds": 6, "emsa_seeds": 3},
}
_PAPER = {
    "mnist": (98.65, 98.61, 98.49, 98.77, 98.25, 98.76),
    "svhn": (88.58, 88.96, 89.20, 88.75, 87.40, 89.22),
    "cifar10": (82.94, 83.75, 85.66, 85.65, 75.60, 85.85),
    "cifar100": (71.78, 71.65, 71.96, 71.95, 62.63, 72.24),
}
PRESETS, run, draw, summary, facts = table("residual", _PRESETS, _PAPER).parts()
