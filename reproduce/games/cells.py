"""Cells of the tables of solved games: quantities in words, from the records of all seeds."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Case = dict[str, Any]
Cell = Callable[[list[Case]], str]
Columns = Mapping[str, Cell]


def over_seeds(found: Sequence[Sequence[float]] | np.ndarray, sign: str = "", digits: int = 3,
               percent: bool = True) -> str:  # fmt: skip
    """A quantity in words: "0.123 % ± 0.004, seeds ± 0.010".

    Of its value from every seed and, where there is one, the evaluation's standard error the means
    are shown, and the standard deviation over the seeds where there are several; with a sign "+"
    that of a positive value, too."""
    values = (100.0 if percent else 1.0) * np.asarray(found, float)
    mean, *error = values.mean(axis=0)
    text = f"{mean:{sign}.{digits}f}{' %' if percent else ''}"
    text += "".join(f" ± {one:.{digits}f}" for one in error)
    return text + (f", seeds ± {values[:, 0].std(ddof=1):.{digits}f}" if len(values) > 1 else "")


def quantity(*entries: str | Callable[[Case], Any], **shown: Any) -> Cell:
    """A quantity of the records, mean over the players, as a cell: its name in the records, or a
    function of one, and that of its standard error; shown as `over_seeds` says."""

    def value(case: Case, entry: Any) -> float:
        return float(np.mean(case[entry] if isinstance(entry, str) else entry(case)))

    return lambda cases: over_seeds([[value(case, e) for e in entries] for case in cases], **shown)


def fixed(entry: str, shown: str, absent: str = "") -> Cell:
    """The mean over the players of what is the same for every seed, in a format."""
    return lambda cases: (
        absent if cases[0][entry] is None else shown.format(np.mean(cases[0][entry]))
    )


def extreme(values: Any, errors: Any, size: Callable = np.abs) -> tuple[float, float]:
    """The value of largest size over the players, a NaN where there is one, and its error; of a
    single value, the largest error."""
    values, errors = (np.ravel(np.asarray(each, float)) for each in (values, errors))
    place = int(np.argmax(size(values)))
    error = errors[place] if errors.shape == values.shape else errors.max()
    return float(values[place]), float(error)


def largest(cases: list[Case]) -> str:
    """The largest relative cost error over the players."""
    found = [extreme(case["relative_error"], case["relative_standard_error"]) for case in cases]
    return over_seeds(found, "+")


def gain(cases: list[Case]) -> str:
    """The largest relative gain of a deviation over the players."""
    found = [case["exploitability"] for case in cases]
    bound = "" if found[0].get("method") == "exact" else "≥ "
    gains = [extreme(one["relative"], one["relative_standard_error"], np.array) for one in found]
    return bound + over_seeds(gains)


def cpu_seconds(cases: list[Case]) -> str:
    """Of training, mean over the seeds."""
    return f"{np.mean([case['cpu_seconds'] for case in cases]):.0f}"


def broken_off(cases: list[Case]) -> str:
    """How many solves a number that was not finite ended; nothing where none."""
    count = sum(case.get("reason") == "non_finite" for case in cases)
    return f", {count} broken off" if count else ""


GAIN = "gain by deviating"
#: The last columns of every table of solved games.
RUNS: Columns = {
    "seeds": lambda cases: f"{len(cases)}{broken_off(cases)}",
    "CPU-seconds": cpu_seconds,
}
