"""One code for NumPy and JAX arrays: the array namespace of the arguments, in float64."""

from typing import Any

import numpy as np


def array_namespace(*arrays: Any) -> Any:
    """The namespace (`numpy`, `jax.numpy`, ...) of the arguments; NumPy for plain numbers.

    Where NumPy arrays and those of another library come together, the other library wins.

    Raises:
        TypeError: Where the arguments come from two libraries other than NumPy.
    """
    chosen: Any = np
    for array in arrays:
        if isinstance(array, np.ndarray | np.generic) or not hasattr(array, "__array_namespace__"):
            continue
        namespace = array.__array_namespace__()
        if chosen is not np and namespace is not chosen:
            raise TypeError(
                "All arrays must belong to one library. "
                f"Received: {chosen.__name__} and {namespace.__name__}"
            )
        chosen = namespace
    return chosen


def float64(namespace: Any, value: Any) -> Any:
    """`value` as a float64 array of that namespace.

    Raises:
        ValueError: Where the library would silently compute in lower precision.
    """
    if namespace is np or isinstance(value, np.ndarray | np.generic | float | int | list | tuple):
        value = np.asarray(value, dtype=np.float64)
    array = namespace.asarray(value)
    if array.dtype != np.float64:
        raise ValueError(
            f"The exact formulas need float64. Received: {array.dtype}. With JAX, set "
            "`jax.config.update('jax_enable_x64', True)` and pass float64 arrays"
        )
    return array
