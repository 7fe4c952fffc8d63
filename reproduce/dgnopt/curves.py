"""What runs say, a number per seed: accuracy, steps to a target, and the loss on the way."""

from collections.abc import Callable
from typing import Any

import numpy as np


def by_seed(method: dict[str, Any], of: Callable[[dict[str, Any]], float]) -> np.ndarray:
    """A number of every run, `(seeds,)`: NaN where it diverged or failed."""
    return np.array([
        np.nan if "error" in run or run["diverged"] else of(run) for run in method["runs"]
    ])  # fmt: skip


def accuracies(method: dict[str, Any]) -> np.ndarray:
    """Percent for every seed."""
    return by_seed(method, lambda run: run["accuracy"])


def average_losses(method: dict[str, Any]) -> np.ndarray:
    """Training loss averaged over all steps, for every seed: lower is faster."""
    return by_seed(method, lambda run: np.mean(run["curve"]["loss"]))


def steps_to(method: dict[str, Any], target: float) -> np.ndarray:
    """For every seed the first step of its curve with a test accuracy of at least `target` percent:
    infinity where the run ended before; NaN where it diverged, even after it had been there."""

    def first(run: dict[str, Any]) -> float:
        curve = zip(run["curve"]["step"], run["curve"]["accuracy"], strict=True)
        return next((float(step) for step, value in curve if value >= target), np.inf)

    return by_seed(method, first)


def spread(values: np.ndarray, digits: int = 2) -> str:
    """`mean ± standard deviation (seeds)` of the finite ones; empty where there is none."""
    good = values[np.isfinite(values)]
    error = f" ± {np.std(good, ddof=1):.{digits}f}" if len(good) > 1 else ""
    return f"{np.mean(good):.{digits}f}{error} ({len(good)})" if len(good) else ""


def shown_steps(found: np.ndarray, most: int) -> str:
    """The `spread` of what `steps_to` returned; `> most` for seeds that never came there."""
    lost = (f"> {most}", np.isinf(found).sum()), ("diverged", np.isnan(found).sum())
    parts = [spread(found, 0), *(f"{text} ({count})" for text, count in lost if count)]
    return ", ".join(filter(None, parts))
