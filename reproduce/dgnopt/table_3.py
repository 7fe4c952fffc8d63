"""Table 3: accuracy of eight methods on inception networks."""

from reproduce.dgnopt.accuracy_table import table
from reproduce.dgnopt.problems import PAPER_STEPS_CONV, QUICK_STEPS

_PRESETS = {
    "smoke": {"steps": 4, "seeds": 1, "emsa_seeds": 1},
    "quick": {"steps": QUICK_STEPS, "seeds": 2, "emsa_seeds": 1},
    "standard": {"steps": 500, "seeds": 4, "emsa_seeds": 3},
    "paper": {"steps": PAPER_STEPS_CONV, "seeds": 4, "emsa_seeds": 2},
}
_PAPER = {
    "mnist": (97.96, 97.75, 97.72, 97.90, 97.39, 98.03),
    "svhn": (87.61, 86.14, 86.84, 88.89, 82.68, 88.94),
    "cifar10": (76.66, 74.38, 75.38, 77.54, 70.17, 77.72),
}
PRESETS, run, draw, summary, facts = table("inception", _PRESETS, _PAPER).parts()
