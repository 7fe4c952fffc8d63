"""Figure 9 and Table 4: fictitious agents in SGD and EKFAC."""

from typing import Any

from reproduce.dgnopt import curves, experiment
from reproduce.dgnopt.comparison import Comparison

#: Test accuracy to be reached, percent.
TARGETS = {"digits": 90.0, "fashion-mnist": 80.0, "svhn": 80.0, "cifar10": 60.0}


def _entries(settings: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """Every number of agents, and the ordinary optimizer at as many times the rate: N agents of
    small curvature move as far. All of it at the rate tuned for N = 1, and at one so small that the
    largest number of agents moves about as far as the tuned N = 1."""
    counts, entries = settings["agents"], []
    bases = (1.0, 1.0 / max(counts))
    for name in settings["optimizers"]:
        entries += [
            experiment.entry(f"{name}, rate × {times:.3g}", {"name": name}, optimizer=name,
                             agents=1, rate_times=times)
            for times in sorted({count * base for base in bases for count in counts})
        ]  # fmt: skip
        entries += [
            experiment.entry(f"{name}, N = {count}, rate × {base:.3g}",
                             {"name": name, "structure": "cooperative", "agents": count},
                             optimizer=name, agents=count, rate_times=base)
            for count in counts if count > 1 for base in bases
        ]  # fmt: skip
    return entries


def _ordinary(method: dict[str, Any], times: int) -> str:
    return f"{method['optimizer']}, rate × {times * method['rate_times']:.3g}"


def _pairs(problem: dict[str, Any]) -> list[tuple[str, str]]:
    """N agents against one, and against the ordinary optimizer at N times the rate."""
    return [(_ordinary(method, times), method["label"])
            for method in problem["methods"] if method["agents"] > 1
            for times in (1, method["agents"])]  # fmt: skip


def _steps(problem: dict[str, Any], method: dict[str, Any]) -> str:
    target = TARGETS[problem["data"]]
    return f"{curves.shown_steps(curves.steps_to(method, target), problem['steps'])} ({target:g} %)"


run, draw, summary, facts = Comparison(
    kinds=("feedforward",),
    entries=_entries,
    pairs=_pairs,
    cells={"curve_images": 1000},
    extra=("steps to the target (seeds)", _steps),
).parts()  # fmt: skip
