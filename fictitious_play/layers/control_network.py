"""The subnetwork that gives one player's control at one step."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import keras
import numpy as np

from fictitious_play import checks

#: Momentum of the moving averages of batch normalisation. Below Keras's .99, because the others
#: play against these averages after one stage of a few dozen steps.
MOMENTUM = 0.9
#: Keras's own constant in the square root of batch normalisation.
EPSILON = 1e-3


def hidden_sizes(hidden: Sequence[int]) -> tuple[int, ...]:
    """The widths of the hidden layers as a tuple, checked."""
    if isinstance(hidden, str) or not isinstance(hidden, Sequence) or not hidden:
        raise TypeError(
            f"`hidden` must be a sequence of at least one layer width. Received: hidden={hidden!r}"
        )
    return tuple(checks.integer("hidden", width, least=1) for width in hidden)


def activation_of(name: str) -> Any:
    """The Keras activation of that name, checked."""
    if not isinstance(name, str):
        raise TypeError(
            f"`activation` must be the name of a Keras activation. Received: activation={name!r}"
        )
    try:
        activation = keras.activations.get(name)
    except ValueError as error:
        raise ValueError(
            "`activation` must be the name of a Keras activation, such as 'relu' or 'tanh'. "
            f"Received: activation={name!r}"
        ) from error
    if not _is_elementwise(name):
        raise ValueError(
            "`activation` must be a function of every number by itself, such as 'relu' or 'tanh', "
            f"since all players' layers lie side by side. Received: activation={name!r}"
        )
    return activation


@cache
def _is_elementwise(name: str) -> bool:
    """Whether an activation gives numbers the same values in other company."""
    function, values = keras.activations.get(name), np.linspace(-3.0, 3.0, 8, dtype=np.float32)
    one, other = (
        keras.ops.convert_to_numpy(function(keras.ops.convert_to_tensor(values.reshape(shape))))
        for shape in ((2, 4), (4, 2))
    )
    return one.size == values.size and np.allclose(one.ravel(), other.ravel())


@keras.saving.register_keras_serializable(package="fictitious_play")
class ControlNetwork(keras.layers.Layer):
    """Dense layers from what a player has seen to her control: the paper's "Sequential".

    Every hidden layer is Dense → batch normalisation → ReLU (or another activation), the last one
    Dense and linear, starting at zero.

    Args:
        hidden: widths of the hidden layers.
        control_size: size k of the control.
        batch_normalization: whether to normalise before each ReLU; without it the Dense layers
            have a bias.
        skip: whether to add a linear skip connection from the features to the control; it starts
            at zero.
        seed: of the initial weights.
        activation: of the hidden layers, by its Keras name.

    Input shape: (batch, features).
    Output shape: (batch, control_size).
    """

    def __init__(
        self,
        hidden: Sequence[int] = (32, 32),
        control_size: int = 1,
        batch_normalization: bool = True,
        skip: bool = False,
        seed: int | None = None,
        activation: str = "relu",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.hidden = hidden_sizes(hidden)
        self.activation = activation
        self._activate = activation_of(activation)
        self.control_size = checks.integer("control_size", control_size, least=1)
        self.batch_normalization = bool(batch_normalization)
        self.skip = bool(skip)
        self.seed = seed
        seeds = keras.random.SeedGenerator(seed) if seed is not None else None
        self.dense_layers = []
        self.normalizations = []
        for number, width in enumerate(self.hidden):
            self.dense_layers.append(
                keras.layers.Dense(
                    width,
                    use_bias=not self.batch_normalization,
                    kernel_initializer=keras.initializers.HeNormal(seeds),
                    dtype=self.dtype_policy,
                    name=f"hidden_{number}",
                )
            )
            if self.batch_normalization:
                self.normalizations.append(
                    keras.layers.BatchNormalization(
                        momentum=MOMENTUM,
                        epsilon=EPSILON,
                        dtype=self.dtype_policy,
                        name=f"normalization_{number}",
                    )
                )
        self.output_layer = keras.layers.Dense(
            self.control_size,
            kernel_initializer="zeros",
            dtype=self.dtype_policy,
            name="control",
        )
        self.skip_layer = None
        if self.skip:
            self.skip_layer = keras.layers.Dense(
                self.control_size,
                use_bias=False,
                kernel_initializer="zeros",
                dtype=self.dtype_policy,
                name="skip",
            )

    def build(self, input_shape: Any) -> None:
        size = input_shape[-1]
        for number, dense in enumerate(self.dense_layers):
            dense.build((None, size))
            size = self.hidden[number]
            if self.batch_normalization:
                self.normalizations[number].build((None, size))
        self.output_layer.build((None, size))
        if self.skip_layer is not None:
            self.skip_layer.build(input_shape)

    def call(self, features: Any, training: bool = False) -> Any:
        values = features
        for number, dense in enumerate(self.dense_layers):
            values = dense(values)
            if self.batch_normalization:
                values = self.normalizations[number](values, training=training)
            values = self._activate(values)
        control = self.output_layer(values)
        if self.skip_layer is not None:
            control = control + self.skip_layer(features)
        return control

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], self.control_size)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "hidden": list(self.hidden),
            "control_size": self.control_size,
            "batch_normalization": self.batch_normalization,
            "skip": self.skip,
            "seed": self.seed,
            "activation": self.activation,
        }
