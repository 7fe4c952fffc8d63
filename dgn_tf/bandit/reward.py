"""The reward of an arm: the accuracy on validation images after its step."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dgn_tf.game import keras_surface as surface


class Validation:
    """Validation arrays as variables, so that a compiled step sees what they are replaced by.

    Args:
        arrays: `(x, y)`; x may be nested as the model's inputs are.

    Raises:
        ValueError: for anything but a pair, and for arrays of unequal or zero length.
    """

    def __init__(self, arrays: tuple):
        flat = _flat(arrays)
        self.variables = [
            tf.Variable(array, trainable=False, shape=(None, *array.shape[1:])) for array in flat
        ]

    def replace(self, arrays: tuple) -> None:
        """Puts other arrays in their place.

        Raises:
            ValueError: as above, and for other shapes of a sample or other types.
        """
        flat = _flat(arrays)
        had = [(v.dtype.as_numpy_dtype, tuple(v.shape[1:])) for v in self.variables]
        got = [(array.dtype.type, array.shape[1:]) for array in flat]
        if had != got:
            raise ValueError(
                "`validation` must have the types and sample shapes of what it replaces: "
                f"{_words(had)}. Received: {_words(got)}"
            )
        for variable, array in zip(self.variables, flat, strict=True):
            variable.assign(array)

    def arrays(self) -> tuple:
        """`(x, y)`; x is a list where there are several inputs."""
        *x, y = [variable.numpy() for variable in self.variables]
        return (x[0] if len(x) == 1 else x), y

    def check(self, model: keras.Model, by_accuracy: bool) -> None:
        """Raises a ValueError if the arrays do not fit a model's inputs and outputs."""
        *x, y = self.variables
        wanted = [tuple(tensor.shape[1:]) for tensor in model.inputs]
        shapes = [tuple(variable.shape[1:]) for variable in x]
        pairs = zip(x, wanted, strict=False)
        fit = all(variable.shape[1:].is_compatible_with(shape) for variable, shape in pairs)
        if len(wanted) != len(shapes) or not fit:
            raise ValueError(
                f"The validation images of a policy must have the sample shape {_one(wanted)}. "
                f"Received: {_one(shapes)}"
            )
        if not by_accuracy:
            return
        *places, classes = model.outputs[0].shape[1:]
        given = tuple(y.shape[1:])
        sparse = given in (tuple(places), (*places, 1))
        if classes is None or classes < 2 or not (sparse or given == (*places, classes)):
            raise ValueError(
                "The accuracy takes class indices or one-hot labels of at least two classes: for "
                f"outputs {(*places, classes)} of a sample, labels {tuple(places)} or "
                f"{(*places, classes)}. Received: labels {given}. Give another `reward` function."
            )

    def measure(self, model: keras.Model, reward: Any) -> tf.Tensor:
        """The reward of the model's present weights, a float64 scalar in [0, 1]: one that is not
        finite counts as 0; outside is an error, and clipped where a step cannot stop."""
        *x, y = [tf.convert_to_tensor(variable) for variable in self.variables]
        inputs, _ = surface.structure(model)
        outputs = model(keras.tree.pack_sequence_as(inputs, x), training=False)
        value = tf.convert_to_tensor(reward(y, outputs))
        if value.shape.rank != 0:
            raise ValueError(f"`reward` must return a scalar. Received: shape {value.shape}")
        value = tf.cast(value, "float64")
        value = tf.where(tf.math.is_finite(value), value, 0.0)
        if not model.jit_compile:
            rule = "`reward` must return a scalar in [0, 1]. Received:"
            inside = tf.logical_and(value > -1e-6, value < 1.0 + 1e-6)
            with tf.control_dependencies([tf.debugging.Assert(inside, [rule, value])]):
                value = tf.identity(value)
        return tf.clip_by_value(value, 0.0, 1.0)


def accuracy(y: Any, outputs: Any) -> Any:
    """The fraction of outputs `(n, …, classes)` that are largest at the label: class indices
    `(n, …)` or `(n, …, 1)`, or one-hot labels."""
    one_hot = y.shape.rank == outputs.shape.rank and y.shape[-1] == outputs.shape[-1]
    names = ("sparse_categorical_accuracy", "categorical_accuracy")
    hits = getattr(keras.metrics, names[one_hot])(y, outputs)
    return tf.reduce_mean(tf.cast(hits, "float64"))


def _flat(arrays: Any) -> list[np.ndarray]:
    if not isinstance(arrays, tuple | list) or len(arrays) != 2:
        raise ValueError(
            f"`validation` must be a pair (x, y) of arrays. Received: {type(arrays).__name__}"
        )
    flat = [np.asarray(array) for array in (*keras.tree.flatten(arrays[0]), arrays[1])]
    lengths = [array.shape[0] if array.ndim else 0 for array in flat]
    if len(set(lengths)) != 1 or lengths[0] == 0:
        raise ValueError(
            "`validation` must hold images and as many labels, at least one of each. "
            f"Received: arrays of lengths {lengths}"
        )
    return flat


def _words(kinds: list) -> str:
    return ", ".join(f"{np.dtype(dtype).name} {shape}" for dtype, shape in kinds)


def _one(shapes: list) -> Any:
    return shapes[0] if len(shapes) == 1 else shapes
