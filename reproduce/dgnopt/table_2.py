"""Table 2: accuracy of eight methods on residual networks."""

from reproduce.dgnopt.accuracy_table import table

_PAPER = {
    "mnist": (98.65, 98.61, 98.49, 98.77, 98.25, 98.76),
    "svhn": (88.58, 88.96, 89.20, 88.75, 87.40, 89.22),
    "cifar10": (82.94, 83.75, 85.66, 85.65, 75.60, 85.85),
    "cifar100": (71.78, 71.65, 71.96, 71.95, 62.63, 72.24),
}
run, draw, summary, facts = table("residual", _PAPER).parts()
