"""Figure 9 and Table 4: fictitious agents in SGD and EKFAC."""

from collections.abc import Callable
from typing import Any

from reproduce.dgnopt import seeds
from reproduce.dgnopt.comparison import Comparison

#: Test accuracy to be reached, percent.
TARGETS = {"digits": 90.0, "fashion-mnist": 80.0, "svhn": 80.0, "cifar10": 60.0}


class Agents(Comparison):
    """Every number of agents, and the ordinary optimizer at as many times the rate: N agents of
    small curvature move as far. All of it at the rate tuned for N = 1, and at one so small that the
    largest number of agents moves about as far as the tuned N = 1."""

    def rows(self, settings: dict[str, Any], kind: str) -> list[dict[str, Any]]:
        counts, found = settings["agents"], []
        bases = (1.0, 1.0 / max(counts))
        plain = [(1, times) for times in sorted({n * base for base in bases for n in counts})]
        games = [(count, base) for count in counts if count > 1 for base in bases]
        for name in settings["optimizers"]:
            for count, times in (*plain, *games):
                game = {"structure": "cooperative", "agents": count} if count > 1 else {}
                label = f"{name}, N = {count}" if count > 1 else name
                found.append({"label": f"{label}, rate × {times:.3g}", "optimizer": name,
                              "method": {"name": name, **game}, "agents": count,
                              "rate_times": times})  # fmt: skip
        return found

    def chosen(self, problem: dict[str, Any]) -> list[tuple[str, str]]:
        """N agents against one, and against the ordinary optimizer at N times the rate."""
        return [
            (f"{method['optimizer']}, rate × {times * method['rate_times']:.3g}", method["label"])
            for method in problem["methods"] if method["agents"] > 1
            for times in (1, method["agents"])
        ]  # fmt: skip

    def extra(self, problem: dict[str, Any]) -> dict[str, Callable[[dict[str, Any]], str]]:
        target, most = TARGETS[problem["data"]], problem["steps"]
        return {"steps to the target (seeds)": lambda method: (
            f"{seeds.shown_steps(seeds.steps_to(method, target), most)} ({target:g} %)"
        )}  # fmt: skip


ITEM = Agents(kinds=("feedforward",), cells={"curve_images": 1000})
