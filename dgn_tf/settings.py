"""Objects that are made of settings, and the rules that a setting has to keep."""

import inspect
from collections.abc import Callable, Iterable
from numbers import Integral, Real
from typing import Any, Self


class Settings:
    """An object that its constructor's arguments make, kept under their names: Keras saves it."""

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        made_by = inspect.signature(type(self)).parameters.values()
        listed = (p.name for p in made_by if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL))
        return {name: getattr(self, name) for name in listed}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**config)


def number(name: str, value: Any, rule: str, holds: Callable, kind: Any = Real) -> float:
    """The value, if it is a number for which the rule holds; a ValueError for another."""
    if isinstance(value, bool) or not isinstance(value, kind) or not holds(value):
        raise ValueError(f"`{name}` must {rule}. Received: {name}={value!r}")
    return float(value)


def positive(name: str, value: Any) -> float:
    """The value, if it is a positive finite number."""
    return number(name, value, "be a positive number", lambda x: 0 < x < 1e30)


def fraction(name: str, value: Any) -> float:
    """The value, if it lies in [0, 1)."""
    return number(name, value, "lie in [0, 1)", lambda x: 0 <= x < 1)


def count(name: str, value: Any) -> int:
    """The value, if it is an integer, at least 0."""
    return int(number(name, value, "be an integer, at least 0", lambda x: x >= 0, Integral))


def period(name: str, value: Any) -> int:
    """The value, if it is a positive integer."""
    return int(number(name, value, "be a positive integer", lambda x: x > 0, Integral))


def one_of(name: str, value: Any, known: Iterable[str], more: str = "") -> None:
    """Raises a ValueError for a value that is none of the known names."""
    known = list(known)
    if not isinstance(value, str) or value not in known:
        names = ", ".join(f'"{name}"' for name in known)
        raise ValueError(f"`{name}` must be one of {names}{more}. Received: {name}={value!r}")
