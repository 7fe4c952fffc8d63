"""Several devices: the players sharded with Keras's own distribution API, the batch split with
`tf.distribute`."""

from collections.abc import Sequence

import keras

#: Every weight of a `JointPolicy` has the players on its second axis; the rank decides the rest.
_PLAYERS = "players"
_LAYOUTS = {
    r".*policy.*/(kernel|output_bias|offset_\d+|scale_\d+|moving_\w+)$": (None, _PLAYERS, None),
    r".*policy.*/(kernel_\d+|output_kernel)$": (None, _PLAYERS, None, None),
}


def player_sharding(devices: Sequence[str] | None = None) -> keras.distribution.ModelParallel:
    """Spreads the players' networks over devices; every device sees the whole batch.

    Needs the JAX backend, and must be set before the solver is made:

        keras.distribution.set_distribution(fp.player_sharding())

    The number of players must be divisible by the number of devices.

    Args:
        devices: names as `keras.distribution.list_devices` gives them; None means all.

    Raises:
        ValueError: on another backend, or without devices.
    """
    if keras.config.backend() != "jax":
        raise ValueError(
            "Players are sharded with Keras's model parallelism, which needs the JAX backend. "
            f"Received: KERAS_BACKEND={keras.config.backend()}"
        )
    devices = keras.distribution.list_devices() if devices is None else list(devices)
    if not devices:
        raise ValueError("`devices` must name at least one device. Received: none")
    mesh = keras.distribution.DeviceMesh((1, len(devices)), ("batch", _PLAYERS), devices)
    layout = keras.distribution.LayoutMap(mesh)
    for path, axes in _LAYOUTS.items():
        layout[path] = axes
    return keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")


def train_step(model: keras.Model, inputs: list) -> float:
    """One training step on one batch that a `tf.distribute` strategy splits; its loss.

    `train_on_batch` would give every replica the whole batch; `fit` splits it.
    """
    fitted = model.fit(inputs, batch_size=len(inputs[0]), epochs=1, shuffle=False, verbose=0)
    return float(fitted.history["loss"][0])


def replicas(model: keras.Model) -> int:
    """Over how many devices `tf.distribute` splits a batch."""
    strategy = getattr(model, "distribute_strategy", None)
    return 1 if strategy is None else strategy.num_replicas_in_sync
