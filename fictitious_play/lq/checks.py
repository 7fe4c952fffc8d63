"""Checks at the door: each names the rule, then what came."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np


def check_horizon(horizon: Any) -> float:
    """`horizon` as a float, or an error where it is not a positive finite number."""
    value = check_number("horizon", horizon)
    if value <= 0.0:
        raise ValueError(f"`horizon` must be positive. Received: {horizon}")
    return value


def check_integer(name: str, value: Any, least: int) -> int:
    """`value` as an int, or an error where it is not an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"`{name}` must be an integer. Received: {value!r}")
    if value < least:
        raise ValueError(f"`{name}` must be at least {least}. Received: {value}")
    return int(value)


def check_choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """`value`, or an error where it is not one of the names in `choices`."""
    if not isinstance(value, str) or value not in choices:
        options = ", ".join(f"'{choice}'" for choice in choices)
        raise ValueError(f"`{name}` must be one of {options}. Received: {value!r}")
    return value


def check_number(name: str, value: Any) -> float:
    """`value` as a float, or an error where it is not one finite real number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"`{name}` must be a number. Received: {value!r}")
    if not np.isfinite(float(value)):
        raise ValueError(f"`{name}` must be finite. Received: {value}")
    return float(value)


def real_array(name: str, value: Any) -> np.ndarray:
    """A float64 copy of `value`, or a `TypeError` where it is not an array of real numbers."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"`{name}` must be an array of numbers. Received: {value!r}") from error
    if array.dtype.kind not in "iuf":
        raise TypeError(f"`{name}` must be an array of real numbers. Received: {value!r}")
    return array.astype(np.float64)


def check_finite(name: str, array: np.ndarray) -> np.ndarray:
    """`array`, or a `ValueError` that says which entry is not finite."""
    wrong = ~np.isfinite(array)
    if np.any(wrong):
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"`{name}` must be finite. Received: {array[where]}" + (f" at {where}" if where else "")
        )
    return array


def check_shape(name: str, array: np.ndarray, shape: tuple[int, ...], axes: str = "") -> np.ndarray:
    """`array`, or a `ValueError` where it does not have the shape."""
    if array.shape != shape:
        meaning = f", {axes}" if axes else ""
        raise ValueError(
            f"`{name}` must have the shape {shape}{meaning}. Received: shape {array.shape}"
        )
    return array
