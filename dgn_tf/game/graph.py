"""A Keras model as a flat list of calls: nested models opened, tensors named by integers."""

import contextlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from dgn_tf.game import keras_surface as surface


@dataclass(frozen=True)
class Call:
    """One use of one operation.

    Attributes:
        index: its place in the order of execution.
        operation: the Keras layer or operation.
        inputs, outputs: keys of the tensors it reads and makes, in order.
        arguments: {key: value} → `(args, kwargs)`.
    """

    index: int
    operation: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    arguments: Callable[[dict], tuple]

    @property
    def name(self) -> str:
        return str(getattr(self.operation, "name", type(self.operation).__name__))


@dataclass
class Graph:
    """The calls of a model, in an order in which they can run.

    Attributes:
        inputs, outputs: keys of the model's tensors, flattened.
        shapes, dtypes: key → symbolic shape, batch axis first, and dtype name.
    """

    calls: list[Call] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    shapes: dict[int, tuple] = field(default_factory=dict)
    dtypes: dict[int, str] = field(default_factory=dict)

    def new_key(self, tensor: Any) -> int:
        key = len(self.shapes)
        self.shapes[key] = tuple(tensor.shape)
        self.dtypes[key] = str(tensor.dtype)
        return key


def functional_of(model: keras.Model) -> keras.Model:
    """The Functional model behind a Functional or built Sequential one.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if the model has no graph (a subclassed or an unbuilt one).
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"`model` must be a Keras model. Received: {type(model).__name__}")
    functional = surface.functional_of(model)
    if functional is None:
        raise ValueError(
            "A game is read from the graph of a Functional or built Sequential model. "
            f"Received: {type(model).__name__} without a graph. Build a Sequential model first "
            "(`keras.Input` as first entry), or rewrite a subclassed one with the Functional API."
        )
    if any(tensor.sparse or tensor.ragged for tensor in functional.inputs):
        raise ValueError(
            "The inputs of a game must be dense tensors. "
            f"Received: model '{model.name}' with a sparse or ragged input."
        )
    return functional


def read_graph(model: keras.Model) -> Graph:
    """Reads a Functional or built Sequential model, nested ones opened, or raises as above."""
    functional, graph = functional_of(model), Graph()
    keys = {id(tensor): graph.new_key(tensor) for tensor in functional.inputs}
    graph.inputs = list(keys.values())
    _read_into(graph, functional, keys)
    graph.outputs = [keys[id(tensor)] for tensor in functional.outputs]
    return graph


def _read_into(graph: Graph, functional: Any, keys: dict[int, int]) -> None:
    for node in surface.nodes_in_order(functional):
        if any(id(tensor) not in keys for tensor in node.input_tensors):
            continue
        inner = _opened(node)
        if inner is None:
            _add_call(graph, node.operation, node, node.outputs, keys)
            continue
        inner_keys = _enter(graph, inner, node, keys)
        _read_into(graph, inner, inner_keys)
        for outside, inside in zip(node.outputs, inner.outputs, strict=True):
            keys[id(outside)] = inner_keys[id(inside)]


def _opened(node: Any) -> Any:
    """The Functional graph to read in the place of a node; None for what stays one call.

    A nested model stays one call if it runs by a `call` of its own or is handed more than inputs.
    """
    if not isinstance(node.operation, keras.Model):
        return None
    known = ("inputs", "training", "mask")
    kwargs = {k: v for k, v in node.arguments.kwargs.items() if k not in known}
    handed = keras.tree.flatten([node.arguments.args[1:], kwargs])
    if any(value is not None for value in handed):
        return None
    return surface.functional_of(node.operation)


def _enter(graph: Graph, inner: Any, node: Any, keys: dict[int, int]) -> dict[int, int]:
    """Keys of a nested model's inputs, matched as the model itself matches what it is handed."""
    args, kwargs = node.arguments.args, node.arguments.kwargs
    handed = args[0] if args else kwargs["inputs"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        matched = surface.standardize_inputs(inner, handed)
    origins = [surface.unconverted(tensor, keys) for tensor in matched]
    masks = keras.tree.flatten(kwargs.get("mask"))
    own = map(surface.mask_of, matched)
    masked = any(m is not None and m is not o for o, m in zip(own, masks, strict=False))
    if not masked and all(tensor is not None for tensor in origins):
        pairs = zip(inner.inputs, origins, strict=True)
        return {id(inside): keys[id(outside)] for inside, outside in pairs}
    # A cast, a change of rank or a mask: the model's own preparation of its inputs becomes a call.
    inner_keys = dict(keys)
    _add_call(graph, _Entrance(inner), node, inner.inputs, inner_keys)
    return inner_keys


class _Entrance:
    """What a Functional model does to its inputs before the first layer."""

    def __init__(self, inner: Any):
        self.inner, self.name = inner, f"{inner.name}/inputs"

    def __call__(self, inputs: Any, training: Any = None, mask: Any = None) -> list:
        return surface.standardize_inputs(self.inner, inputs, mask)


def _add_call(graph: Graph, operation: Any, node: Any, made: list, keys: dict[int, int]) -> None:
    read = [(id(tensor), keys[id(tensor)]) for tensor in node.input_tensors]
    outputs = tuple(graph.new_key(tensor) for tensor in made)
    keys.update(zip(map(id, made), outputs, strict=True))

    def fill(values: dict) -> tuple:
        return node.arguments.fill_in({tensor: values[key] for tensor, key in read})

    inputs = tuple(key for _, key in read)
    graph.calls.append(Call(len(graph.calls), operation, inputs, outputs, fill))


def run_call(call: Call, values: dict, training: bool, contexts: Sequence = ()) -> list[tf.Tensor]:
    """Runs one call on `values`, within contexts, stores its outputs there and returns them."""
    args, kwargs = call.arguments(values)
    with contextlib.ExitStack() as stack:
        for context in contexts:
            stack.enter_context(context)
        outputs = surface.call_operation(call.operation, args, kwargs, training)
    flat = keras.tree.flatten(outputs)
    for key, value in zip(call.outputs, flat, strict=True):
        values[key] = value
    return flat
