"""What the curves of runs say: steps to a target, and the loss over all of a run."""

from typing import Any

import numpy as np


def average_losses(method: dict[str, Any]) -> np.ndarray:
    """Training loss averaged over all steps, `(seeds,)`: lower is faster. NaN where it diverged."""
    return np.array([
        np.nan if "error" in run or run["diverged"] else np.mean(run["curve"]["loss"])
        for run in method["runs"]
    ])  # fmt: skip


def steps_to(method: dict[str, Any], target: float) -> np.ndarray:
    """For every seed the first step of its curve with a test accuracy of at least `target` percent.

    Returns:
        `(seeds,)`: infinity where the run ended before; NaN where it diverged or failed, even
        after it had been there.
    """
    found = []
    for run in method["runs"]:
        if "error" in run or run["diverged"]:
            found.append(np.nan)
            continue
        curve = zip(run["curve"]["step"], run["curve"]["accuracy"], strict=True)
        found.append(next((float(step) for step, value in curve if value >= target), np.inf))
    return np.array(found)


def shown_steps(found: np.ndarray, most: int) -> str:
    """`mean ± standard deviation (seeds)` of the steps; `> most` for seeds that never came there.

    Args:
        found: of `steps_to`.
        most: steps of a run.
    """
    reached = found[np.isfinite(found)]
    parts = []
    if len(reached):
        spread = f" ± {np.std(reached, ddof=1):.0f}" if len(reached) > 1 else ""
        parts.append(f"{np.mean(reached):.0f}{spread} ({len(reached)})")
    for text, count in ((f"> {most}", np.isinf(found).sum()), ("diverged", np.isnan(found).sum())):
        if count:
            parts.append(f"{text} ({count})")
    return ", ".join(parts)
