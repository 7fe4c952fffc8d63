"""Pickles that hold numbers only, read without running what else a pickle can ask for.

A pickle is a program that may call any function it names. Here it can name three things, which
NumPy arrays are made of, and gets none of NumPy's own: each name stands for a small recorder, whose
arrays are made afterwards, from checked shapes and types.
"""

import pickle
from typing import IO, Any

import numpy as np


def load(file: IO[bytes]) -> Any:
    """Containers, text, bytes, numbers and arrays of numbers; strings of Python 2 become bytes. An
    UnpicklingError or ValueError for a pickle that asks for anything else, others where it is
    damaged."""
    return _made(_Unpickler(file, encoding="bytes").load())


class _Recorder:
    """What a pickle says about an array, or about the type of its numbers."""

    def __init__(self, *given: Any):
        self.given, self.state = given, None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Type(_Recorder):
    def made(self) -> np.dtype:
        code = _text(self.given[0])
        kind = np.dtype(code if isinstance(code, str) else "O")
        if kind.kind not in "uifb":
            raise ValueError(f"its array must hold numbers. Received: type {code!r}")
        return kind.newbyteorder(">") if self.state and _text(self.state[1]) == ">" else kind


class _Array(_Recorder):
    def made(self) -> np.ndarray:
        if self.state is None:
            raise ValueError("its array has no content")
        _, shape, kind, by_columns, content = self.state
        if not isinstance(kind, _Type) or not isinstance(content, bytes):
            raise ValueError("its array must be bytes of numbers")
        return np.frombuffer(content, kind.made()).reshape(shape, order="F" if by_columns else "C")


_NAMES: dict[str, type | None] = {
    "numpy.ndarray": None,
    "numpy.dtype": _Type,
    "numpy.core.multiarray._reconstruct": _Array,
    "numpy._core.multiarray._reconstruct": _Array,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (asked := f"{module}.{name}") not in _NAMES:
            raise pickle.UnpicklingError(
                f"it asks for `{asked}`, and only arrays of numbers are allowed"
            )
        made = _NAMES[asked]
        # A new object each time: a pickle may write to what it is given.
        return None if made is None else lambda *given: made(*given)


def _text(value: Any) -> Any:
    return value.decode("ascii") if isinstance(value, bytes) else value


def _made(value: Any) -> Any:
    """Arrays in place of their recorders, in the entries of dictionaries."""
    if isinstance(value, dict):
        return {key: _made(entry) for key, entry in value.items()}
    return value.made() if isinstance(value, _Array | _Type) else value
