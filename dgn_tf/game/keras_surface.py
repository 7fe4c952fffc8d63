"""Every private Keras surface this package touches, in one place.

`TESTED_KERAS` names the minor versions these hold for; a test compares it with the installed one.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import tensorflow as tf
from keras.src import backend
from keras.src.losses.losses import LossFunctionWrapper
from keras.src.models.functional import Functional
from keras.src.utils.tracking import no_automatic_dependency_tracking

TESTED_KERAS = ("3.15",)

untracked = no_automatic_dependency_tracking
"""Decorator: attributes set inside a method are not tracked as state."""

__all__ = [
    "TESTED_KERAS",
    "Functional",
    "additional_losses",
    "as_loss",
    "build_metrics",
    "call_operation",
    "compute_loss",
    "copy_mask",
    "data_loss",
    "flat_losses",
    "functional_of",
    "inference_batch_norm",
    "inner_layers",
    "is_adapted",
    "loss_arguments",
    "mask_of",
    "nodes_in_order",
    "pack_outputs",
    "producer",
    "seed_states",
    "standardize_inputs",
    "structure",
    "track_loss",
    "untracked",
    "update_average",
    "uses_weight_decay",
    "with_activation",
]


def functional_of(model: keras.Model) -> Any:
    """The Functional graph of a Functional or a built Sequential model, None if there is none."""
    if isinstance(model, keras.Sequential):
        return getattr(model, "_functional", None)
    return model if isinstance(model, Functional) else None


def standardize_inputs(model: Any, inputs: Any) -> list:
    """A call's inputs as the flat list of tensors that a Functional graph starts from."""
    return model._standardize_inputs(inputs)


def pack_outputs(model: Any, flat: list) -> Any:
    """Flat outputs in the structure a Functional model returns them in."""
    packed = keras.tree.pack_sequence_as(model._outputs_struct, flat)
    single = isinstance(packed, list | tuple) and len(packed) == 1
    return packed[0] if single else packed


def structure(model: Any) -> tuple:
    """The symbolic inputs and outputs of a Functional model, nested as they were given."""
    return model._inputs_struct, model._outputs_struct


def nodes_in_order(functional: Any) -> list:
    """The nodes of a Functional graph in the order Keras runs them, inputs left out."""
    by_depth = functional._nodes_by_depth
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    return [node for node in nodes if node.operation is not None and not node.is_input]


def producer(tensor: Any) -> tuple:
    """(operation, node index, tensor index) that made a symbolic tensor."""
    return tuple(tensor._keras_history)


def call_operation(operation: Any, args: tuple, kwargs: dict, training: bool) -> Any:
    """Calls an operation as a Functional model does: `training` where the call knows it."""
    if "training" in getattr(operation, "_call_context_args", ()):
        kwargs = {**kwargs, "training": training}
    return operation(*args, **kwargs)


def mask_of(tensor: Any) -> Any:
    """Keras's mask of a tensor, None if it has none."""
    return backend.get_keras_mask(tensor)


def copy_mask(source: Any, target: Any) -> None:
    """Carries Keras's mask from one tensor to its copy."""
    mask = backend.get_keras_mask(source)
    if mask is not None:
        backend.set_keras_mask(target, mask)


class with_activation:
    """Within this context a layer's activation is another function; the layer is left as it was."""

    def __init__(self, layer: Any, activation: Any):
        self.layer, self.activation = layer, activation

    def __enter__(self) -> None:
        self.saved = self.layer.activation
        object.__setattr__(self.layer, "activation", self.activation)

    def __exit__(self, *_: object) -> None:
        object.__setattr__(self.layer, "activation", self.saved)


def seed_states(model: keras.Model) -> list:
    """The state variables of every seed generator in a model, in the order of its layers."""
    found: dict[int, Any] = {}

    def visit(layer: Any) -> None:
        for generator in getattr(layer, "_seed_generators", ()):
            found.setdefault(id(generator.state), generator.state)
        for inner in getattr(layer, "_layers", ()):
            visit(inner)

    visit(model)
    return list(found.values())


def inference_batch_norm(layer: Any, inputs: tf.Tensor, mask: Any = None) -> list[tuple]:
    """State under which inference of a batch normalisation repeats this batch's training output.

    Returns pairs (moving variable, batch statistic) for a stateless scope.
    """
    dtype = backend.result_type(inputs.dtype, "float32")
    mean, variance = layer._moments(tf.cast(inputs, dtype), mask)
    shape = layer.moving_mean.shape
    return [
        (layer.moving_mean, tf.reshape(mean, shape)),
        (layer.moving_variance, tf.reshape(variance, shape)),
    ]


def is_adapted(layer: Any) -> str | None:
    """'LoRA' or 'quantised' where a layer's kernel is not its own variable, else None."""
    if getattr(layer, "lora_enabled", False):
        return "LoRA"
    if getattr(layer, "quantization_mode", None) is not None:
        return "quantised"
    return None


def compute_loss(model: Any, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> tf.Tensor:
    """The model's training loss, regularisers and added losses included."""
    return model._compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True)


def data_loss(model: Any, y: Any, y_pred: Any, sample_weight: Any) -> tf.Tensor:
    """The compiled loss alone, without regularisers and added losses."""
    return model._compile_loss(y, y_pred, sample_weight)


def additional_losses(model: Any) -> list:
    """Regularisers and added losses of the last call, as scalars."""
    return [tf.reduce_sum(loss) for loss in model.losses]


def track_loss(model: Any, loss: tf.Tensor, size: tf.Tensor) -> None:
    """Moves the model's running mean of the loss."""
    model._loss_tracker.update_state(loss, sample_weight=size)


def build_metrics(model: Any, y: Any, y_pred: Any) -> None:
    """Creates the variables of the compiled metrics apart from a step that is being traced.

    Where a step creates variables, TensorFlow traces the whole of it a second time.
    """
    metrics = model._compile_metrics
    if metrics is None or metrics.built or tf.executing_eagerly():
        return
    kept = ("initial_value", "trainable", "dtype", "name", "shape")

    def create(_: Any, **settings: Any) -> tf.Variable:
        # The recorder of a trace's variables, which `tf.init_scope` keeps, is one of this thread.
        with ThreadPoolExecutor(1) as apart:
            mine = {name: settings[name] for name in kept if name in settings}
            return apart.submit(tf.Variable, **mine).result()

    with tf.init_scope(), tf.variable_creator_scope(create):
        metrics.build(y, y_pred)


def flat_losses(model: Any) -> list[tuple]:
    """(path, loss object, loss weight) of every output with a loss, after the loss was built."""
    compiled = model._compile_loss
    if compiled is None or not compiled.built:
        return []
    return [(path, loss, weight) for path, loss, weight, _ in compiled._flat_losses]


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


def uses_weight_decay(optimizer: Any, variable: Any) -> bool:
    """Whether Keras's exclusions leave a variable to weight decay."""
    return optimizer._use_weight_decay(variable)


def update_average(optimizer: Any, variables: list) -> None:
    """Keras's own weight averaging, with its periodic overwrite."""
    if not optimizer.use_ema:
        return
    optimizer._update_model_variables_moving_average(variables)
    every = optimizer.ema_overwrite_frequency
    if every:
        due = tf.equal((optimizer.iterations.value + 1) % every, 0)

        def overwrite() -> tf.Tensor:
            optimizer._overwrite_model_variables_with_average_value(variables)
            return tf.constant(True)

        tf.cond(due, overwrite, lambda: tf.constant(False))


def inner_layers(layer: Any) -> Iterator[Any]:
    """The layers a layer holds, itself first."""
    yield from layer._flatten_layers()
