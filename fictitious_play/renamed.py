"""Old names of public arguments and attributes, taken for one more release with a warning."""

import functools
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")


def argument(old: str, new: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Lets a function be called with the old name of a keyword argument."""

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        @functools.wraps(function)
        def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            if old in kwargs and new not in kwargs:
                _warn(old, new)
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return call

    return decorate


def attribute(old: str, new: str) -> Any:
    """A property that reads the attribute of the new name."""

    def read(self: Any) -> Any:
        _warn(old, new)
        return getattr(self, new)

    return property(read, doc=f"The old name of `{new}`.")


def _warn(old: str, new: str) -> None:
    warnings.warn(f"`{old}` is now `{new}`.", DeprecationWarning, stacklevel=3)
