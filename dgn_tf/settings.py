"""Objects that are made of settings, and the rules that a setting has to keep."""

import inspect
from collections.abc import Callable, Iterable
from functools import partial
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


def number(name: str, value: Any, rule: str, holds: Callable, kind: Any = Real) -> Any:
    """The value, if it is a number of that kind for which the rule holds, or a ValueError."""
    if isinstance(value, bool) or not isinstance(value, kind) or not holds(value):
        raise ValueError(f"`{name}` must {rule}. Received: {name}={value!r}")
    return int(value) if kind is Integral else float(value)


positive = partial(number, rule="be a positive number", holds=lambda x: 0 < x < 1e30)
fraction = partial(number, rule="lie in [0, 1)", holds=lambda x: 0 <= x < 1)
count = partial(number, rule="be an integer, at least 0", holds=lambda x: x >= 0, kind=Integral)
period = partial(number, rule="be a positive integer", holds=lambda x: x > 0, kind=Integral)


def one_of(name: str, value: Any, known: Iterable[str], more: str = "") -> None:
    """Raises a ValueError for a value that is none of the known names."""
    known = list(known)
    if not isinstance(value, str) or value not in known:
        names = ", ".join(f'"{name}"' for name in known)
        raise ValueError(f"`{name}` must be one of {names}{more}. Received: {name}={value!r}")
