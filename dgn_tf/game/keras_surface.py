"""Every private Keras and TensorFlow surface this package touches, in one place.

`TESTED_KERAS` names the minor versions these hold for; a test compares it with the installed one.
"""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src import backend
from keras.src.losses.losses import LossFunctionWrapper
from keras.src.models.functional import Functional as Functional
from keras.src.random.seed_generator import global_seed_generator
from keras.src.utils.tracking import no_automatic_dependency_tracking

TESTED_KERAS = ("3.15",)
untracked = no_automatic_dependency_tracking
"""Decorator: attributes set inside a method are not tracked as state."""


def functional_of(model: keras.Model) -> Any:
    """The Functional graph of a Functional or a built Sequential model; None if there is none, or
    where a subclass has a `call` of its own that does not say `runs_graph`."""
    own = type(model).call not in (Functional.call, keras.Sequential.call)
    if own and not getattr(type(model), "runs_graph", False):
        return None
    if isinstance(model, keras.Sequential):
        return getattr(model, "_functional", None)
    return model if isinstance(model, Functional) else None


def unconverted(tensor: Any, known: dict) -> Any:
    """The symbolic tensor, of those with an id in `known`, that this one is; None for another."""
    while tensor is not None and id(tensor) not in known:
        operation, index, _ = tensor._keras_history
        sources = operation._inbound_nodes[index].input_tensors
        # A conversion to the dtype that a tensor has already is that tensor.
        same = type(operation).__name__ == "ConvertToTensor" and sources[0].dtype == tensor.dtype
        tensor = sources[0] if same else None
    return tensor


def standardize_inputs(model: keras.Model, inputs: Any, mask: Any = None) -> list:
    """A call's inputs as the flat list of tensors that a Functional graph starts from."""
    flat = model._standardize_inputs(inputs)
    for tensor, given in zip(flat, keras.tree.flatten(mask), strict=False):
        if given is not None:
            backend.set_keras_mask(tensor, given)
    return flat


def mask_of(tensor: Any) -> Any:
    """The mask that a tensor carries; None for none."""
    return backend.get_keras_mask(tensor)


def batch_size(x: Any, size: int | None) -> int | None:
    """Samples in a batch of what `fit` is given as x and batch size (None where x is one batch);
    None where it cannot be seen."""
    while isinstance(x, tf.data.Dataset):
        batched = getattr(x, "_batch_size", None)
        if batched is not None:
            return int(batched)
        x = getattr(x, "_input_dataset", None)
    shapes = [getattr(part, "shape", None) for part in keras.tree.flatten(x)]
    if not shapes or not shapes[0]:
        return getattr(x, "batch_size", None)
    return shapes[0][0] if size is None else min(size, shapes[0][0])


def pack_outputs(model: keras.Model, flat: list) -> Any:
    """Flat outputs in the structure a Functional model returns them in."""
    packed = keras.tree.pack_sequence_as(model._outputs_struct, flat)
    single = isinstance(packed, list | tuple) and len(packed) == 1
    return packed[0] if single else packed


def structure(model: keras.Model) -> tuple:
    """The symbolic inputs and outputs of a Functional model, nested as they were given."""
    return model._inputs_struct, model._outputs_struct


def nodes_in_order(functional: Any) -> list:
    """The nodes of a Functional graph in the order Keras runs them, inputs left out."""
    by_depth = functional._nodes_by_depth
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    return [node for node in nodes if node.operation is not None and not node.is_input]


def call_operation(operation: Any, args: tuple, kwargs: dict, training: bool) -> Any:
    """Calls an operation as a Functional model does: `training` where the call knows it."""
    if "training" in getattr(operation, "_call_context_args", ()):
        kwargs = {**kwargs, "training": training}
    return operation(*args, **kwargs)


def masked_copy(source: Any, shape: tuple | None = None) -> tf.Tensor:
    """A copy of a tensor, of a shape that is known, with Keras's mask."""
    copy = tf.identity(source) if shape is None else tf.ensure_shape(source, shape)
    backend.set_keras_mask(copy, mask_of(source))
    return copy


def has_fused_activation(operation: Any) -> bool:
    """Whether a layer's output is its `activation` of a pre-activation, and nothing else."""
    name = type(operation).__name__
    fused = re.fullmatch(r"(Einsum)?Dense|(Depthwise|Separable)?Conv[123]D(Transpose)?", name)
    return bool(fused) and type(operation) is getattr(keras.layers, name, None)


@contextmanager
def replaced(layer: Any, name: str, value: Any) -> Iterator[None]:
    """Within this context an attribute of a layer is another one; the layer is left as it was."""
    missing = object()
    saved = layer.__dict__.get(name, missing)
    object.__setattr__(layer, name, value)
    try:
        yield
    finally:
        object.__delattr__(layer, name)
        if saved is not missing:
            object.__setattr__(layer, name, saved)


def cond(condition: tf.Tensor, then: Callable, otherwise: Callable) -> Any:
    """`tf.cond` of a branch that seldom runs, which stays a function of its own: TensorFlow would
    put it into the graph, with an operation for every tensor that it reads."""
    outputs = tf.cond(condition, then, otherwise)
    if not tf.executing_eagerly():
        operation = tf.nest.flatten(outputs)[0].op.inputs[0].op
        operation._set_attr("_lower_using_switch_merge", tf.compat.v1.AttrValue(b=False))
    return outputs


def global_seed_state() -> Any:
    """The state of Keras's own generator, which draws where a layer names none."""
    return global_seed_generator().state


def batch_norms(operation: Any) -> list:
    """The batch normalisations a layer is or holds."""
    kind = keras.layers.BatchNormalization
    return [layer for layer in inner_layers(operation) if isinstance(layer, kind)]


def with_moments(layer: Any, moments: Any) -> Any:
    """Within this context batch statistics come from `moments(compute, inputs, mask)`."""
    return replaced(layer, "_moments", partial(moments, layer._moments))


def compute_loss(model: keras.Model, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> tf.Tensor:
    """The model's training loss, regularisers and added losses included."""
    return model._compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True)


def data_loss(model: keras.Model, y: Any, y_pred: Any, sample_weight: Any) -> tf.Tensor:
    """The compiled loss alone, without regularisers and added losses."""
    return model._compile_loss(y, y_pred, sample_weight)


def track_loss(model: keras.Model, loss: tf.Tensor, size: tf.Tensor) -> None:
    """Moves the model's running mean of the loss."""
    model._loss_tracker.update_state(loss, sample_weight=size)


def mean_loss(model: keras.Model, otherwise: tf.Tensor) -> tf.Tensor:
    """The model's running mean of the loss, or another value before it has seen a batch."""
    tracker = model._loss_tracker
    mean = tracker.result()
    return tf.where(tracker.count.value > 0, mean, tf.cast(otherwise, mean.dtype))


def build_metrics(model: keras.Model, y: Any, y_pred: Any) -> None:
    """Creates the variables of the compiled metrics apart from a step that is being traced: where
    a step creates variables, TensorFlow traces the whole of it a second time."""
    metrics = model._compile_metrics
    if metrics is None or metrics.built:
        return
    if tf.executing_eagerly():
        metrics.build(y, y_pred)
        return
    kept = ("initial_value", "trainable", "dtype", "name", "shape")

    def create(_: Any, **settings: Any) -> tf.Variable:
        # The recorder of a trace's variables, which `tf.init_scope` keeps, is one of this thread.
        with ThreadPoolExecutor(1) as apart:
            mine = {name: settings[name] for name in kept if name in settings}
            return apart.submit(tf.Variable, **mine).result()

    with tf.init_scope(), tf.variable_creator_scope(create):
        metrics.build(y, y_pred)


def built_losses(model: keras.Model, y: Any, y_pred: Any) -> list[tuple]:
    """(path, loss object, loss weight) of every output with a loss, built as a first call does."""
    compiled = model._compile_loss
    if not compiled.built:
        compiled.build(keras.tree.pack_sequence_as(y_pred, keras.tree.flatten(y)), y_pred)
    return [(path, loss, weight) for path, loss, weight, _ in compiled._flat_losses]


def is_plain(loss: Any) -> bool:
    """Whether a loss is a function that Keras masks, weights and reduces, and nothing else."""
    kind, plain = type(loss), (LossFunctionWrapper.call, keras.losses.Loss.__call__)
    return isinstance(loss, LossFunctionWrapper) and (kind.call, kind.__call__) == plain


def logits_of(output: tf.Tensor) -> tuple:
    """The logits that Keras's cross-entropies read in the place of probabilities, None if none,
    and the function that made the probabilities of them, None if it is neither a softmax over the
    last axis nor a sigmoid."""
    known = {"Softmax": keras.activations.softmax, "Sigmoid": keras.activations.sigmoid}
    logits = getattr(output, "_keras_logits", None)
    if tf.executing_eagerly():
        for activation in known.values() if logits is not None else ():
            if np.allclose(activation(logits), output, atol=1e-6):
                return logits, activation
        return logits, None
    kind = output.op.type
    if logits is None and kind in known:
        plain = {"Softmax": tf.nn.softmax, "Sigmoid": tf.sigmoid}
        return output.op.inputs[0], plain[kind]
    return logits, known.get(kind)


def with_logits(output: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The output, with these logits for Keras's cross-entropies to read."""
    output._keras_logits = logits
    return output


def as_loss(given: Any) -> Any:
    """A loss as Keras resolves it before it has seen data."""
    loss = keras.losses.get(given)
    if isinstance(loss, keras.losses.Loss):
        return loss
    name = given if isinstance(given, str) else getattr(given, "__name__", "loss")
    return LossFunctionWrapper(loss, name=name)


def loss_arguments(loss: Any) -> dict:
    """The settings of a loss, those handed to its function included."""
    return {**(getattr(loss, "_fn_kwargs", None) or {}), **getattr(loss, "__dict__", {})}


def uses_weight_decay(optimizer: keras.optimizers.Optimizer, variable: Any) -> bool:
    """Whether Keras's exclusions leave a variable to weight decay."""
    return optimizer._use_weight_decay(variable)


def update_average(optimizer: keras.optimizers.Optimizer, variables: list) -> None:
    """Keras's own weight averaging, with its periodic overwrite."""
    optimizer._update_model_variables_moving_average(variables)
    every = optimizer.ema_overwrite_frequency
    if not optimizer.use_ema or not every:
        return

    def overwrite() -> tf.Tensor:
        optimizer._overwrite_model_variables_with_average_value(variables)
        return tf.constant(True)

    due = tf.equal((optimizer.iterations.value + 1) % every, 0)
    tf.cond(due, overwrite, lambda: tf.constant(False))


def inner_layers(operation: Any) -> Iterator[Any]:
    """The layers an operation holds, a layer itself first."""
    if isinstance(operation, keras.layers.Layer):
        yield from operation._flatten_layers()
