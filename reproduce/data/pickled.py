"""Pickles that hold numbers only, read without running what else a pickle can ask for.

A pickle is a program that may call any function it names. Here it can name three things, which
NumPy arrays are made of, and gets none of NumPy's own: each name stands for a small recorder, whose
arrays are made afterwards, from checked shapes and types.
"""

import pickle
from collections.abc import Callable
from typing import IO, Any

import numpy as np

_NAMES = {
    ("numpy", "ndarray"): "kind",
    ("numpy", "dtype"): "dtype",
    ("numpy.core.multiarray", "_reconstruct"): "array",
    ("numpy._core.multiarray", "_reconstruct"): "array",
}


def load(file: IO[bytes]) -> Any:
    """Containers, text, bytes, numbers and arrays of numbers.

    Args:
        file: a pickle; strings of Python 2 become bytes.

    Raises:
        UnpicklingError, ValueError: for a pickle that asks for anything else; others where it is
            damaged.
    """
    return _made(_Unpickler(file, encoding="bytes").load())


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        role = _NAMES.get((module, name))
        if role is None:
            raise pickle.UnpicklingError(
                f"it asks for `{module}.{name}`, and only arrays of numbers are allowed"
            )
        # A new object each time: a pickle may write to what it is given.
        makers: dict[str, Callable | None] = {
            "kind": None,
            "dtype": lambda code, *_: _Type(code),
            "array": lambda *_: _Array(),
        }
        return makers[role]


class _Type:
    """What a pickle says about the type of numbers."""

    def __init__(self, code: Any):
        self.code = code.decode("ascii") if isinstance(code, bytes) else code
        self.order = "="

    def __setstate__(self, state: tuple) -> None:
        order = state[1]
        self.order = order.decode("ascii") if isinstance(order, bytes) else order

    def made(self) -> np.dtype:
        kind = np.dtype(self.code if isinstance(self.code, str) else "O")
        if kind.kind not in "uifb":
            raise ValueError(f"its array must hold numbers. Received: type {self.code!r}")
        return kind.newbyteorder(">") if self.order == ">" else kind


class _Array:
    """What a pickle says about an array."""

    state: tuple | None = None

    def __setstate__(self, state: tuple) -> None:
        self.state = state

    def made(self) -> np.ndarray:
        if self.state is None:
            raise ValueError("its array has no content")
        _, shape, kind, by_columns, content = self.state
        if not isinstance(kind, _Type) or not isinstance(content, bytes):
            raise ValueError("its array must be bytes of numbers")
        return np.frombuffer(content, kind.made()).reshape(shape, order="F" if by_columns else "C")


def _made(value: Any) -> Any:
    """Arrays in place of their recorders, in the entries of dictionaries."""
    if isinstance(value, dict):
        return {key: _made(entry) for key, entry in value.items()}
    return value.made() if isinstance(value, _Array | _Type) else value
