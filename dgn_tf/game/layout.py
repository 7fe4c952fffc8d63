"""From a layer's variables to one weight matrix, and back."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class WeightLayout:
    """How variables form one `(I, O)` matrix: the kernel's rows, then the bias as last row.

    A Dense or Conv kernel is the matrix by reshape; EinsumDense may need its axes in another order.

    Attributes:
        variables: shape of the kernel and, where there is one, of the bias.
        outputs: O, the columns; None where the weights are no matrix.
        order: the kernel's axes, those of the inputs first; as they are when None.
    """

    variables: tuple[tuple[int, ...], ...]
    outputs: int | None = None
    order: tuple[int, ...] | None = None

    @property
    def has_bias(self) -> bool:
        """Whether the last row is a bias."""
        return len(self.variables) == 2

    @property
    def shape(self) -> tuple[int, int]:
        """`(I, O)`; raises ValueError where the weights are no matrix."""
        if self.outputs is None:
            raise ValueError(
                "This curvature block needs weights that form one matrix. Received: variables of "
                f"shapes {self.variables}. Use an elementwise block, such as 'rmsprop'."
            )
        return math.prod(self.variables[0]) // self.outputs + self.has_bias, self.outputs

    def kernel_matrix(self, kernel: tf.Tensor) -> tf.Tensor:
        """A kernel-shaped tensor as the matrix without the bias row."""
        if self.order is not None:
            kernel = tf.transpose(kernel, self.order)
        return _shaped(kernel, (self.shape[0] - self.has_bias, self.shape[1]))

    def kernel(self, matrix: tf.Tensor) -> tf.Tensor:
        """The inverse of `kernel_matrix`."""
        if self.order is None:
            return _shaped(matrix, self.variables[0])
        ordered = tf.reshape(matrix, [self.variables[0][axis] for axis in self.order])
        return tf.transpose(ordered, [self.order.index(i) for i in range(len(self.order))])

    def matrix(self, tensors: Sequence) -> tf.Tensor:
        """Variable-shaped tensors as one `(I, O)` matrix."""
        kernel = self.kernel_matrix(tf.convert_to_tensor(tensors[0]))
        if not self.has_bias:
            return kernel
        return tf.concat([kernel, tf.reshape(tensors[1], (1, self.shape[1]))], 0)

    def tensors(self, matrix: tf.Tensor) -> tuple:
        """An `(I, O)` matrix as tensors in the shapes of the variables."""
        if not self.has_bias:
            return (self.kernel(matrix),)
        return self.kernel(matrix[:-1]), tf.reshape(matrix[-1], self.variables[1])


def _shaped(tensor: tf.Tensor, shape: tuple[int, ...]) -> tf.Tensor:
    return tensor if tuple(tensor.shape) == shape else tf.reshape(tensor, shape)
