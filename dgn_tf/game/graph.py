"""A Keras model as a flat list of calls: nested models opened, tensors named by integers."""

import contextlib
from collections.abc import Callable
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
        inputs: keys of the tensors it reads, in order of appearance.
        outputs: keys of the tensors it makes.
        arguments: maps a dictionary from key to value to `(args, kwargs)`.
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
    """The calls of a model from its inputs to its outputs.

    Attributes:
        calls: in an order in which they can run.
        inputs: keys of the model's inputs, flattened.
        outputs: keys of the model's outputs, flattened.
        shapes: key → symbolic shape, batch axis first.
        dtypes: key → dtype name.
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

    def producer_of(self) -> dict[int, Call]:
        """Tensor key → the call that makes it."""
        return {key: call for call in self.calls for key in call.outputs}

    def consumers_of(self) -> dict[int, list[Call]]:
        """Tensor key → the calls that read it."""
        readers: dict[int, list[Call]] = {key: [] for key in self.shapes}
        for call in self.calls:
            for key in dict.fromkeys(call.inputs):
                readers[key].append(call)
        return readers


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
    return functional


def read_graph(model: keras.Model) -> Graph:
    """Reads a Functional or built Sequential model, nested ones opened.

    Raises:
        TypeError, ValueError: as `functional_of`.
    """
    functional = functional_of(model)
    graph = Graph()
    keys: dict[int, int] = {}
    for tensor in functional.inputs:
        keys[id(tensor)] = graph.new_key(tensor)
        graph.inputs.append(keys[id(tensor)])
    _read_into(graph, functional, keys)
    graph.outputs = [keys[id(tensor)] for tensor in functional.outputs]
    return graph


def _read_into(graph: Graph, functional: Any, keys: dict[int, int]) -> None:
    for node in surface.nodes_in_order(functional):
        if any(id(tensor) not in keys for tensor in node.input_tensors):
            continue
        inner = surface.functional_of(node.operation) if _is_model(node.operation) else None
        if inner is not None:
            inner_keys = {
                id(inside): keys[id(outside)]
                for inside, outside in zip(inner.inputs, node.input_tensors, strict=True)
            }
            _read_into(graph, inner, inner_keys)
            for outside, inside in zip(node.outputs, inner.outputs, strict=True):
                keys[id(outside)] = inner_keys[id(inside)]
            continue
        inputs = tuple(keys[id(tensor)] for tensor in node.input_tensors)
        ids = {id(tensor): keys[id(tensor)] for tensor in node.input_tensors}
        outputs = []
        for tensor in node.outputs:
            keys[id(tensor)] = graph.new_key(tensor)
            outputs.append(keys[id(tensor)])
        graph.calls.append(
            Call(len(graph.calls), node.operation, inputs, tuple(outputs), _filler(node, ids))
        )


def _is_model(operation: Any) -> bool:
    return isinstance(operation, keras.Model)


def _filler(node: Any, ids: dict[int, int]) -> Callable[[dict], tuple]:
    def fill(values: dict) -> tuple:
        return node.arguments.fill_in({tensor: values[key] for tensor, key in ids.items()})

    return fill


def run_call(
    call: Call, values: dict[int, tf.Tensor], training: bool, context: Any = None
) -> list[tf.Tensor]:
    """Runs one call on `values`, stores its outputs there and returns them."""
    args, kwargs = call.arguments(values)
    with context if context is not None else contextlib.nullcontext():
        outputs = surface.call_operation(call.operation, args, kwargs, training)
    flat = keras.tree.flatten(outputs)
    for key, value in zip(call.outputs, flat, strict=True):
        values[key] = value
    return flat


def run_graph(graph: Graph, inputs: list, training: bool = False) -> list[tf.Tensor]:
    """The model's outputs, call by call, from the flat list of its inputs."""
    values = dict(zip(graph.inputs, inputs, strict=True))
    for call in graph.calls:
        run_call(call, values, training)
    return [values[key] for key in graph.outputs]
