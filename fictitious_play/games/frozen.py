"""Objects that do not change once they are built."""

import inspect
from abc import ABCMeta
from collections.abc import Callable
from functools import cached_property, wraps
from typing import Any

import numpy as np


class Frozen(ABCMeta):
    """The class of classes whose objects are frozen when their constructor has returned, whatever
    constructor a subclass has; what they compute once, as a `cached_property`, is `kept` too."""

    def __init__(cls, name: str, bases: tuple, namespace: dict[str, Any], **named: Any):
        super().__init__(name, bases, namespace, **named)
        for value in namespace.values():
            if isinstance(value, cached_property):
                value.func = _keeping(value.func)

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        made = super().__call__(*arguments, **named)
        vars(made).update(kept(vars(made)), _is_built=True)
        return made

    @property
    def __signature__(cls) -> inspect.Signature:
        """The constructor's arguments, which `__call__` above would hide."""
        constructor = inspect.signature(cls.__init__)  # type: ignore[misc]
        return constructor.replace(parameters=list(constructor.parameters.values())[1:])


def _keeping(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return wraps(function)(lambda owner: kept(function(owner)))


def kept(value: Any) -> Any:
    """A value to be kept: arrays as read-only copies, also within lists, tuples and dictionaries,
    which are copied."""
    if isinstance(value, np.ndarray):
        if not value.flags.writeable and value.base is None:
            return value
        copy = value.copy()
        copy.flags.writeable = False
        return copy
    if type(value) in (list, tuple):
        return type(value)(kept(each) for each in value)
    if type(value) is dict:
        return {key: kept(each) for key, each in value.items()}
    return value
