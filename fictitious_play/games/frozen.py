"""Objects that do not change once they are built."""

import inspect
from abc import ABCMeta
from collections.abc import Callable
from functools import cached_property, wraps
from typing import Any

import keras
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


def _refuse(container: Any, *arguments: Any, **named: Any) -> Any:
    raise TypeError(
        "A game must stay as it was built, with the lists and dictionaries in it. Received: a "
        f"change of {container!r}. Make another game with the constructor; for values to compute "
        "once, use functools.cached_property; a copy, as by list(...) or dict(...), may be changed."
    )


def _read_only(kind: type, methods: str) -> Any:
    """A kind of list or dictionary, which arrays are indexed by and JSON writes as before, whose
    methods that would change it raise."""
    refused = dict.fromkeys(methods.split(), _refuse)
    # A pickle would otherwise fill an empty one.
    whole = {"__reduce__": lambda container: (type(container), (kind(container),))}
    return type(f"ReadOnly{kind.__name__.capitalize()}", (kind,), {**refused, **whole})


ReadOnlyList = _read_only(
    list,
    "__setitem__ __delitem__ __iadd__ __imul__ append clear extend insert pop remove reverse sort",
)
ReadOnlyDict = _read_only(
    dict, "__setitem__ __delitem__ __ior__ clear pop popitem setdefault update"
)
if keras.config.backend() == "jax":  # which takes lists of a registered kind as an index
    import jax

    jax.tree_util.register_pytree_node(
        ReadOnlyList, lambda each: (tuple(each), None), lambda _, parts: ReadOnlyList(parts)
    )


def kept(value: Any) -> Any:
    """A value to be kept: arrays, lists, dictionaries and sets as read-only copies, also within
    each other and within tuples."""
    if isinstance(value, np.ndarray):
        if not value.flags.writeable and value.base is None:
            return value
        copy = value.copy()
        copy.flags.writeable = False
        return copy
    if type(value) in (list, ReadOnlyList):
        return ReadOnlyList(kept(each) for each in value)
    if type(value) in (dict, ReadOnlyDict):
        return ReadOnlyDict({key: kept(each) for key, each in value.items()})
    if type(value) is tuple:
        return tuple(kept(each) for each in value)
    if isinstance(value, tuple) and hasattr(value, "_make"):
        return value._make(kept(each) for each in value)
    return frozenset(value) if type(value) is set else value
