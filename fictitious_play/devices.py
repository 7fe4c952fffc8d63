"""Devices: the players sharded over several with Keras's own distribution API, the batch split with
`tf.distribute`, and the precision of products on a GPU."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import keras

from fictitious_play import checks

#: Of matrix products in float32 on a GPU.
PRECISIONS = ("float32", "tf32")
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
        ValueError: on another backend, without devices, or for one that is not there.
    """
    if keras.config.backend() != "jax":
        raise ValueError(
            "Players are sharded with Keras's model parallelism, which needs the JAX backend. "
            f"Received: KERAS_BACKEND={keras.config.backend()}"
        )
    there = keras.distribution.list_devices()
    devices = there if devices is None else list(devices)
    if not devices:
        raise ValueError("`devices` must name at least one device. Received: none")
    if not set(devices) <= set(there):
        raise ValueError(
            f"`devices` must be among {', '.join(map(repr, there))}. Received: devices={devices!r}"
        )
    mesh = keras.distribution.DeviceMesh((1, len(devices)), ("batch", _PLAYERS), devices)
    layout = keras.distribution.LayoutMap(mesh)
    for path, axes in _LAYOUTS.items():
        layout[path] = axes
    return keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")


def check_players(players: int) -> None:
    """ValueError where players are sharded over a number of devices that does not divide theirs."""
    distribution = keras.distribution.distribution()
    if not isinstance(distribution, keras.distribution.ModelParallel):
        return
    sizes = dict(
        zip(distribution.device_mesh.axis_names, distribution.device_mesh.shape, strict=True)
    )
    if players % sizes.get(_PLAYERS, 1):
        raise ValueError(
            "The number of players must be divisible by the number of devices that they are "
            f"sharded over. Received: {players} players on {sizes[_PLAYERS]} devices. Name fewer "
            "of them, as in fp.player_sharding(keras.distribution.list_devices()[:2])"
        )


def check_precision(precision: str, dtype: str) -> str:
    """The precision of matrix products that will be used: what was asked for on a GPU, and the
    dtype's own elsewhere.

    Raises:
        ValueError: for another precision, or a dtype that the backend does not have.
    """
    checks.one_of("precision", precision, PRECISIONS)
    if dtype == "float64" and precision == "tf32":
        raise ValueError(
            "`precision=\"tf32\"` is for products in float32. Received: dtype='float64'"
        )
    if dtype == "float64" and keras.config.backend() == "jax":
        import jax

        if not jax.config.jax_enable_x64:  # type: ignore[attr-defined]
            raise ValueError(
                "dtype=\"float64\" needs the double precision of JAX. Received: dtype='float64' "
                "with jax_enable_x64 off. Switch it on before anything is computed, by "
                'jax.config.update("jax_enable_x64", True) or the environment variable '
                "JAX_ENABLE_X64=1."
            )
    return precision if dtype == "float32" and has_gpu() else dtype


def has_gpu() -> bool:
    """Whether the backend computes on a GPU."""
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.get_visible_devices("GPU"))
    if backend == "jax":
        import jax

        return jax.default_backend() == "gpu"
    import torch

    return torch.cuda.is_available()


@contextmanager
def products_in(precision: str) -> Iterator[None]:
    """Matrix products of float32 on a GPU in this precision, "float32" or "tf32"; as it was
    afterwards."""
    backend = keras.config.backend()
    if not has_gpu() or precision not in PRECISIONS:
        yield
    elif backend == "jax":
        import jax

        with jax.default_matmul_precision("tensorfloat32" if precision == "tf32" else "float32"):
            yield
    elif backend == "tensorflow":
        import tensorflow as tf

        before = tf.config.experimental.tensor_float_32_execution_enabled()
        tf.config.experimental.enable_tensor_float_32_execution(precision == "tf32")
        try:
            yield
        finally:
            tf.config.experimental.enable_tensor_float_32_execution(before)
    else:
        import torch

        before = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        try:
            yield
        finally:
            torch.backends.cuda.matmul.allow_tf32 = before


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
