"""Curves over seeds: drawn as a mean with a band, and the steps they take to a target."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from reproduce.dgnopt import experiment


def finished(method: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs of a method that neither failed nor diverged."""
    return [run for run in method["runs"] if "error" not in run and not run["diverged"]]


def losses(method: dict[str, Any]) -> np.ndarray:
    """Training loss of the last interval, `(seeds,)`; NaN where the run diverged or failed."""
    return np.array([
        np.nan if "error" in run or run["diverged"] else run["loss"] for run in method["runs"]
    ])  # fmt: skip


def plot(axis: Any, method: dict[str, Any], key: str, look: dict[str, Any], label: str) -> None:
    """Draws the mean of a curve over the finished seeds, and a band of one standard deviation.

    Args:
        axis: of matplotlib.
        method: with `runs`, as `experiment.experiment` gives it.
        key: "loss" or "accuracy".
        look: entries of `figures.STYLES`.
        label: in the legend; the number of seeds that diverged or failed is added to it.
    """
    runs = finished(method)
    lost = len(method["runs"]) - len(runs)
    if lost:
        label += f" ({lost} of {len(method['runs'])} lost)"
    if not runs:
        axis.plot([], [], label=label, **look)
        return
    steps = runs[0]["curve"]["step"]
    values = np.array([run["curve"][key] for run in runs], dtype=float)
    mean = values.mean(axis=0)
    every = max(1, len(steps) // 6)
    axis.plot(steps, mean, label=label, markevery=every, **look)
    if len(runs) > 1:
        spread = values.std(axis=0, ddof=1)
        axis.fill_between(steps, mean - spread, mean + spread, color=look["color"], alpha=0.15,
                          linewidth=0)  # fmt: skip


def finish(axis: Any, key: str, title: str) -> None:
    """Names the axes of a panel of curves; losses that fall far are on a logarithmic axis."""
    label = {"loss": "training loss (nats)", "accuracy": "test accuracy (%)"}[key]
    axis.set(xlabel="steps", ylabel=label, title=title)
    axis.title.set_fontsize(9)
    means = np.concatenate([np.ravel(line.get_ydata()) for line in axis.get_lines()])
    if key == "loss" and len(means) and 0 < 4 * means.min() < means.max():
        low, high = 0.7 * means.min(), 1.3 * means.max()
        axis.set(yscale="log", ylim=(low, high))
        plain = _plain_ticks(low, high)
        axis.set_yticks(plain, [f"{value:g}" for value in plain])
        axis.minorticks_off()


def _plain_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten within a range; powers alone where it is wide."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if last - first <= 3 else (1,)
    ticks = [m * 10.0**e for e in range(first, last + 1) for m in steps]
    return [tick for tick in ticks if low <= tick <= high]


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
    for text, count in ((f"> {most}", np.isinf(found).sum()), ("lost", np.isnan(found).sum())):
        if count:
            parts.append(f"{text} ({count})")
    return ", ".join(parts)


def typical_steps(found: np.ndarray) -> float:
    """The median over seeds, those that never came there above all others.

    A run that diverged or failed never came there. With an even number of seeds the upper of the
    two middle ones counts, so that the median is finite only where most seeds reached the target.
    """
    ranked = np.sort(np.where(np.isnan(found), np.inf, found))
    return float(ranked[len(ranked) // 2])


def loss_shown(method: dict[str, Any]) -> str:
    """`mean ± standard deviation (seeds)` of the last training loss."""
    good = losses(method)
    good = good[np.isfinite(good)]
    if not len(good):
        return "none finished"
    spread = f" ± {np.std(good, ddof=1):.3f}" if len(good) > 1 else ""
    return f"{np.mean(good):.3f}{spread} ({len(good)})"


def sides(reference: dict[str, Any], others: Sequence[dict[str, Any]]) -> str:
    """Which methods end above, below, or inside the noise of a reference in accuracy, in words."""
    found: dict[str, list[str]] = {}
    for method in others:
        changed = experiment.difference(reference, method)
        if changed["noise"] is None:
            side = "without enough pairs to say"
        elif not experiment.stands_out(changed):
            side = "inside the noise"
        else:
            side = "above it" if changed["change"] > 0 else "below it"
        found.setdefault(side, []).append(method["label"])
    return "; ".join(f"{side}: {', '.join(labels)}" for side, labels in found.items())


def tally(changes: Sequence[dict[str, Any]], what: str) -> str:
    """How many differences are above, below and inside their noise, in words."""
    known = [changed for changed in changes if changed["noise"] is not None]
    out = [changed["change"] > 0 for changed in known if experiment.stands_out(changed)]
    text = (
        f"of {len(changes)} differences in {what}, {sum(out)} gains and {len(out) - sum(out)} "
        f"losses outside the noise, {len(known) - len(out)} inside it"
    )
    if len(known) < len(changes):
        text += f", {len(changes) - len(known)} without enough pairs to know the noise"
    return text
