"""Intervals of what was measured seed by seed."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats


def mean_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """The mean and half its 95 % interval (Student's t); the half is infinite for one value."""
    given = np.asarray(values, float)
    if len(given) < 2:
        return (float(given.mean()) if len(given) else math.nan), math.inf
    return float(given.mean()), float(stats.t.ppf(0.975, len(given) - 1) * stats.sem(given))
