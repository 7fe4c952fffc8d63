"""What every call of a graph does with variables and random numbers.

Each call is traced once, in a scope that takes note, on placeholders for the model's inputs. That
finds every use of a weight, however the layer got hold of it: as an attribute, in a closure or as
an argument.
"""

import random
import re
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from dgn_tf.game import keras_surface as surface
from dgn_tf.game.graph import Call, Graph, run_call

BATCH = 13
"""Samples in the batch that shows where they are: a size that no other axis is likely to have."""
_RANDOM = re.compile(
    r"Random(?!Dataset)|Stateful(?!PartitionedCall)|Truncated|Parameterized|Multinomial"
    r"|NonDeterministic|Rng|SampleDistorted|\w*CandidateSampler|\w*PyFunc$"
)
_WEIGHTLESS = (layers.Add, layers.Activation, layers.ReLU, layers.Flatten, layers.Reshape)


@dataclass
class Uses:
    """The variables and random numbers of a graph in training.

    Attributes:
        reads: id of variable → indices of the calls that read it.
        states: call index → variables that the call reads and that calls write.
        rewrites: indices of calls that write a trainable variable.
        unrepeatable: call index → why a second run of it is not the first one.
        in_activations: ids of variables that an activation of a layer reads.
        not_by_sample: keys of tensors whose first axis is not that of the samples.
        random: states that are not saved with the weights, such as those of seed generators.
        global_seed: the state of Keras's own generator, when the calls were traced.
    """

    reads: dict[int, list[int]] = field(default_factory=dict)
    states: dict[int, list[Any]] = field(default_factory=dict)
    rewrites: set[int] = field(default_factory=set)
    unrepeatable: dict[int, str] = field(default_factory=dict)
    in_activations: set[int] = field(default_factory=set)
    not_by_sample: set[int] = field(default_factory=set)
    random: list[Any] = field(default_factory=list)
    global_seed: Any = None

    def now(self, states: list[Any]) -> list[Any]:
        """The states, of which Keras's own generator is the one there is now."""
        return [surface.global_seed_state() if v is self.global_seed else v for v in states]


class _Notes(keras.StatelessScope):
    """Takes note of the variables that are read and written in it; nothing is written."""

    def __init__(self, read: list | tuple = ()) -> None:
        super().__init__()
        self.read: dict[int, Any] = {id(variable): variable for variable in read}
        self.written: dict[int, Any] = {}

    def get_current_value(self, variable: Any) -> Any:
        self.read[id(variable)] = variable
        return super().get_current_value(variable)

    def add_update(self, update: Any) -> None:
        self.written[id(update[0])] = update[0]
        super().add_update(update)


def read_uses(graph: Graph, weights: list) -> Uses:
    """Traces every call of a graph, `weights` the variables that are saved with the model; a
    ValueError for a layer that cannot be traced."""
    # The generator is there before the first scope, in which it could not be created.
    uses = Uses(global_seed=surface.global_seed_state())
    notes: list[_Notes] = []
    drawn_before = random.getstate()
    sizes = {BATCH, *(graph.shapes[key][0] for key in graph.inputs)}
    with tf.__internal__.FuncGraph("scratch").as_default() as scratch:
        values = _placed(graph, graph.inputs, BATCH)
        for call in graph.calls:
            firsts = {values[key].shape.rank and values[key].shape[0] for key in call.inputs}
            if len(firsts) == 1 and _is_plain(call):
                notes.append(_Notes(call.operation.variables))
                values.update(_placed(graph, call.outputs, *firsts))
                continue
            try:
                notes.append(_trace_again(call, values, uses))
            except ValueError:  # as there is no batch of such a size
                symbolic = {**values, **_placed(graph, call.inputs)}
                notes.append(_trace_again(call, symbolic, uses, "open"))
                values.update({key: symbolic[key] for key in call.outputs})
            for key in call.outputs:
                value = values[key]
                if isinstance(value, tf.Tensor) and value.shape.rank and value.shape[0] is None:
                    values[key] = surface.masked_copy(value, (BATCH, *value.shape[1:]))
    shapes = {key: getattr(value, "shape", tf.TensorShape(None)) for key, value in values.items()}
    known = {key: shape for key, shape in shapes.items() if shape.rank is not None}
    uses.not_by_sample = {key for key, s in known.items() if not s.rank or s[0] not in sizes}
    random.setstate(drawn_before)
    written = {key: v for note in notes for key, v in note.written.items()}
    for call, note in zip(graph.calls, notes, strict=True):
        for key in note.read:
            uses.reads.setdefault(key, []).append(call.index)
        held = [v for key, v in note.read.items() if key in written and not v.trainable]
        if held:
            uses.states[call.index] = held
        if any(variable.trainable for variable in note.written.values()):
            uses.rewrites.add(call.index)
    saved = {id(variable) for variable in weights}
    states = {id(v): v for held in uses.states.values() for v in held}
    uses.random = [v for key, v in states.items() if key not in saved]
    _note_unrepeatable(graph, scratch.as_graph_def(), uses)
    return uses


def _trace(call: Call, values: dict, scope: str, uses: Uses) -> _Notes:
    """Runs a call in the scratch graph and returns what it read and wrote."""
    notes = _Notes()
    contexts: list[Any] = [notes, tf.name_scope(scope)]
    activation = getattr(call.operation, "activation", None)
    if surface.has_fused_activation(call.operation) and activation is not None:

        def noted(z: tf.Tensor) -> tf.Tensor:
            before, notes.read = notes.read, {}
            y = activation(z)
            uses.in_activations.update(notes.read)
            notes.read.update(before)
            return y

        contexts.append(surface.replaced(call.operation, "activation", noted))
    try:
        run_call(call, values, True, contexts)
    except Exception as error:
        raise ValueError(
            "Each layer is traced to see which weights it uses. "
            f"Received: layer '{call.name}' ({type(call.operation).__name__}), which cannot be "
            f"traced: {error}"
        ) from error
    return notes


def _trace_again(call: Call, values: dict, uses: Uses, scope: str = "call") -> _Notes:
    """`_trace`, twice of what may come out differently."""
    if _is_foreign(call.operation):
        _trace(call, dict(values), f"again_{scope}{call.index}", uses)
    return _trace(call, values, f"{scope}{call.index}", uses)


def _placed(graph: Graph, keys: list | tuple, first: int | None = None) -> dict[int, Any]:
    """Placeholders for the tensors with these keys, of a batch of that size where it is open."""
    made = {key: [n if i or n else first for i, n in enumerate(graph.shapes[key])] for key in keys}
    return {key: tf.compat.v1.placeholder(graph.dtypes[key], made[key]) for key in keys}


def _is_plain(call: Call) -> bool:
    """Whether a call does what its Keras class says: it reads all variables of its layer and no
    others, writes none, and keeps the first axis; no functions come from elsewhere."""
    if not (surface.has_fused_activation(call.operation) or type(call.operation) in _WEIGHTLESS):
        return False
    held = vars(call.operation).values()
    handed = keras.tree.flatten(call.arguments(dict.fromkeys(call.inputs)))
    own = {id(value) for value in (*held, *handed) if isinstance(value, keras.Variable)}
    functions = [value for value in held if callable(value)]
    return (
        own == {id(variable) for variable in call.operation.variables}
        and all(str(getattr(f, "__module__", "")).startswith("keras.") for f in functions)
        and not any(isinstance(f, layers.Layer) or hasattr(f, "__self__") for f in functions)
    )


def _is_foreign(operation: Any) -> bool:
    """Whether an operation may be traced differently a second time: only Keras is known not to."""
    return any(
        isinstance(layer, keras.layers.Lambda | keras.layers.AugMix)
        or not type(layer).__module__.startswith("keras.")
        for layer in (operation, *surface.inner_layers(operation))
    )


def _note_unrepeatable(graph: Graph, traced: Any, uses: Uses) -> None:
    """Finds random operations, and what came out differently in a second trace."""
    bodies = {function.signature.name: function.node_def for function in traced.library.function}
    operations: dict[str, list[tuple[str, bytes]]] = {}

    def visit(node: Any, scope: str, outer: frozenset[str]) -> None:
        value = node.attr["value"].SerializeToString() if node.op == "Const" else b""
        if node.op != "Placeholder":  # a captured variable, which is captured once
            operations.setdefault(scope, []).append((node.op, value))
        for attribute in node.attr.values():
            for function in (attribute.func, *attribute.list.func):
                if function.name in bodies and function.name not in outer:
                    for inner in bodies[function.name]:
                        visit(inner, scope, outer | {function.name})

    for node in traced.node:
        visit(node, node.name.split("/")[0], frozenset())
    for call in graph.calls:
        scope = f"open{call.index}" if f"open{call.index}" in operations else f"call{call.index}"
        first = operations.get(scope, [])
        drawn = sorted({kind for kind, _ in first if _RANDOM.match(kind)})
        if drawn:
            uses.unrepeatable[call.index] = f"it draws by {', '.join(drawn)}"
        elif _is_foreign(call.operation) and first != operations.get(f"again_{scope}", []):
            uses.unrepeatable[call.index] = "traced twice it is not the same"
        elif call.index in uses.rewrites and not isinstance(
            call.operation, keras.layers.SpectralNormalization
        ):
            uses.unrepeatable[call.index] = "it assigns a trainable weight"
