"""Initial weights, drawn on the host: the same ones on every backend, with nothing to compile."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops


def normal(scale: Any, seed: int) -> Callable:
    """An initializer of independent normals.

    Args:
        scale: standard deviations, which broadcast to the shape of the weight.
        seed: of the numbers. They are of float32's precision in every dtype.
    """

    def initializer(shape: tuple[int, ...], dtype: Any = None) -> Any:
        values = np.random.default_rng(seed).standard_normal(shape, np.float32)
        values *= np.asarray(scale, np.float32)
        return ops.convert_to_tensor(values, dtype=dtype)

    return initializer
