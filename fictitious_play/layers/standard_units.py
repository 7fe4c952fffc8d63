"""A fixed affine map of a network's inputs to standard units."""

from typing import Any

import keras
from keras import ops

from fictitious_play import checks


@keras.saving.register_keras_serializable(package="fictitious_play")
class StandardUnits(keras.layers.Layer):
    """(x - mean) · scale with constants; keeps the full precision of the layer's dtype.

    Args:
        mean, scale: scalars or vectors along the last axis.

    Input and output shape: (..., size).
    """

    def __init__(self, mean: Any = 0.0, scale: Any = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.mean = checks.finite_array("mean", mean)
        self.scale = checks.finite_array("scale", scale)

    def call(self, inputs: Any) -> Any:
        dtype = ops.dtype(inputs)
        mean = ops.convert_to_tensor(self.mean, dtype=dtype)
        return (inputs - mean) * ops.convert_to_tensor(self.scale, dtype=dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
        }
