"""The name of a tensor in annotations."""

from typing import Any, TypeAlias

#: A tensor of Keras's backend, TensorFlow's, JAX's or PyTorch's, which have no class in common.
Tensor: TypeAlias = Any
