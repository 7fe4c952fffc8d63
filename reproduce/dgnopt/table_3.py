"""Table 3: accuracy of eight methods on inception networks."""

from reproduce.dgnopt.accuracy_table import table

_PAPER = {
    "mnist": (97.96, 97.75, 97.72, 97.90, 97.39, 98.03),
    "svhn": (87.61, 86.14, 86.84, 88.89, 82.68, 88.94),
    "cifar10": (76.66, 74.38, 75.38, 77.54, 70.17, 77.72),
}
run, draw, summary, facts = table("inception", _PAPER).parts()
