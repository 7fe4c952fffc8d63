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
    """A float64 copy of `value`; NaN and infinity pass."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"`{name}` must be a number or an array of numbers. Received: {name}={value!r}"
        ) from error
    if array.dtype.kind not in "iuf":
        raise TypeError(
            f"`{name}` must be a number or an array of numbers. Received: {name}={value!r}"
        )
    return array.astype(np.float64)


def finite(name: str, array: np.ndarray) -> np.ndarray:
    """`array`, without NaN or infinity."""
    wrong = ~np.isfinite(array)
    if np.any(wrong):
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        place = f" at {where}" if where else ""
        raise ValueError(f"`{name}` must be finite. Received: {array[where]}{place}")
    return array


def finite_array(name: str, value: Any) -> np.ndarray:
    """A float64 copy of `value` without NaN or infinity."""
    return finite(name, real_array(name, value))


def has_shape(name: str, array: np.ndarray, shape: tuple[int, ...], axes: str = "") -> np.ndarray:
    """`array`, if it has just this shape; `axes` names what the axes are."""
    if array.shape != shape:
        meaning = f", {axes}" if axes else ""
        raise ValueError(
            f"`{name}` must have the shape {shape}{meaning}. Received: shape {array.shape}"
        )
    return array


def per_item(
    name: str, value: Any, size: int, what: str = "player", least: float | None = None
) -> np.ndarray:
    """A scalar, or one value per player (or state), as a float64 vector of length `size`."""
    array = finite_array(name, value)
    if array.ndim > 1 or (array.ndim == 1 and array.shape[0] != size):
        raise ValueError(
            f"`{name}` must be a scalar or hold one value per {what} ({size}). "
            f"Received: shape {array.shape}"
        )
    if least is not None and np.any(array < least):
        raise ValueError(f"`{name}` must be at least {least:g}. Received: {name}={value!r}")
    return np.broadcast_to(array, (size,)).copy()


def bounds(name: str, value: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray] | None:
    """(low, high) with low < high, each broadcast to `shape`, infinite where there is no bound;
    None where nothing is bounded."""
    if value is None:
        return None
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ValueError(f"`{name}` must be a pair (low, high), or None. Received: {value!r}")
    sides = []
    for side, given in zip(("low", "high"), value, strict=True):
        array = real_array(f"{name}: {side}", given)
        try:
            sides.append(np.broadcast_to(array, shape).copy())
        except ValueError as error:
            raise ValueError(
                f"`{name}` must be scalars or arrays that broadcast to the shape {shape} "
                f"(players, control_size). Received: {side} of shape {array.shape}"
            ) from error
    low, high = sides
    if not np.all(low < high) or np.any(low == np.inf) or np.any(high == -np.inf):
        raise ValueError(f"`{name}` must have low < high everywhere. Received: {value!r}")
    return None if np.all(np.isinf(low) & np.isinf(high)) else (low, high)


def control_unit(value: Any, shape: tuple[int, int]) -> np.ndarray | None:
    """Units of control as (players, control_size), given as a scalar, one value per player or the
    whole array; None for None."""
    if value is None:
        return None
    array = finite_array("control_unit", value)
    if array.ndim == 1 and array.shape == shape[:1]:
        array = array[:, None]
    if array.shape not in ((), (shape[0], 1), shape):
        raise ValueError(
            f"`control_unit` must be a scalar, hold one value per player ({shape[0]}), or have the "
            f"shape {shape} (players, control_size). Received: shape {array.shape}"
        )
    if np.any(array <= 0.0):
        raise ValueError(f"`control_unit` must be greater than 0. Received: control_unit={value!r}")
    return np.broadcast_to(array, shape).copy()


def one_of(name: str, value: Any, choices: Any) -> str:
    """`value`, if it is one of the names in `choices`."""
    choices = tuple(choices)
    if not isinstance(value, str) or value not in choices:
        named = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"`{name}` must be one of {named}. Received: {name}={value!r}")
    return value


def shaped(name: str, value: Any, shape: tuple) -> np.ndarray:
    """A finite float64 array of the given shape; None stands for any size."""
    array = finite_array(name, value)
    fits = array.ndim == len(shape) and all(
        want is None or want == got for want, got in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(f"`{name}` must have the shape ({wanted}). Received: shape {array.shape}")
    return array
