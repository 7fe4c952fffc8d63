"""Checks of what a user gives: each returns the clean value or raises with the rule."""

import numbers
from typing import Any

import numpy as np


def integer(name: str, value: Any, least: int) -> int:
    """`value` as an int of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"`{name}` must be an integer. Received: {name}={value!r}")
    if value < least:
        raise ValueError(f"`{name}` must be at least {least}. Received: {name}={value}")
    return int(value)


def number(
    name: str,
    value: Any,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
) -> float:
    """`value` as a finite float within the bounds (`least`, `most` closed; `above` open)."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"`{name}` must be a number. Received: {name}={value!r}")
    value = float(value)
    if not np.isfinite(value):
        raise ValueError(f"`{name}` must be finite. Received: {name}={value}")
    if least is not None and value < least:
        raise ValueError(f"`{name}` must be at least {least:g}. Received: {name}={value}")
    if above is not None and value <= above:
        raise ValueError(f"`{name}` must be greater than {above:g}. Received: {name}={value}")
    if most is not None and value > most:
        raise ValueError(f"`{name}` must be at most {most:g}. Received: {name}={value}")
    return value


def real_array(name: str, value: Any) -> np.ndarray:
    """`value` as a float64 array without NaN or infinity."""
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "iuf":
            raise TypeError
        array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"`{name}` must be a number or an array of numbers. Received: {name}={value!r}"
        ) from error
    if not np.all(np.isfinite(array)):
        raise ValueError(f"`{name}` must be finite. Received: {name}={value!r}")
    return array


def per_item(
    name: str, value: Any, size: int, what: str = "player", least: float | None = None
) -> np.ndarray:
    """A scalar, or one value a player (or state), as a float64 vector of length `size`."""
    array = real_array(name, value)
    if array.ndim > 1 or (array.ndim == 1 and array.shape[0] != size):
        raise ValueError(
            f"`{name}` must be a scalar or hold one value a {what} ({size}). "
            f"Received: shape {array.shape}"
        )
    if least is not None and np.any(array < least):
        raise ValueError(f"`{name}` must be at least {least:g}. Received: {name}={value!r}")
    return np.broadcast_to(array, (size,)).copy()


def one_of(name: str, value: Any, choices) -> Any:
    """`value`, if it is one of `choices`."""
    choices = tuple(choices)
    if value not in choices:
        named = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"`{name}` must be one of {named}. Received: {name}={value!r}")
    return value


def shaped(name: str, value: Any, shape: tuple) -> np.ndarray:
    """A finite float64 array of the given shape; None stands for any size."""
    array = real_array(name, value)
    fits = array.ndim == len(shape) and all(
        want is None or want == got for want, got in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(f"`{name}` must have the shape ({wanted}). Received: shape {array.shape}")
    return array
