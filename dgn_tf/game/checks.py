"""What a model must be for its game to be trained; each raises a ValueError where it is not."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dgn_tf.game import keras_surface as surface
from dgn_tf.game.game import Game


def one_replica() -> None:
    """No distribution strategy of several replicas."""
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas > 1:
        raise ValueError(
            "A game's batch is one: its samples meet in the recursion, so a step cannot be split "
            f"over replicas. Received: tf.distribute strategy with {replicas} replicas."
        )


def one_precision(model: Any) -> None:
    """All weights of one type, single or double, and computations in it."""
    for layer in surface.inner_layers(model):
        policy = layer.dtype_policy
        if policy.compute_dtype != policy.variable_dtype:
            raise ValueError(
                "Gains and kernels need the precision of the weights: mixed precision is not "
                f"supported. Received: layer '{layer.name}' with policy '{policy.name}'."
            )
    graph, alive = model.game.graph, {key for stage in model.game.stages for key in stage.cut}
    alive.update(graph.outputs)
    made = {graph.dtypes[k]: f"by '{c.name}'" for c in graph.calls for k in c.outputs if k in alive}
    kinds = {**made, **{v.dtype: v.path for v in model.weights}}
    kinds = {kind: where for kind, where in kinds.items() if "float" in kind}
    if len(kinds) > 1 or not set(kinds) <= {"float32", "float64"}:
        raise ValueError(
            "The weights of a game and what its layers make must be of one type, float32 or "
            f"float64. Received: {kinds}. Set the `dtype` of every layer to that one."
        )


def samples_first(games: Sequence[Game], at_cuts: bool) -> None:
    """The samples along the first axis of the output and, at cuts, of the states."""
    graph, wrong = games[0].graph, games[0].uses.not_by_sample
    cuts = [stage.cut for game in games if at_cuts for stage in game.stages]
    wrong = wrong.intersection([*graph.outputs, *(key for cut in cuts for key in cut)])
    for call in graph.calls:
        if not wrong.isdisjoint(call.outputs):
            raise ValueError(
                "The first axis of the output, and with state feedback that of every tensor "
                "which is alive between two stages, must be that of the samples. "
                f"Received: layer '{call.name}', which makes another. Bring the samples to the "
                "front, or compile with a preconditioner and state_feedback=False."
            )


def repeatable(games: Sequence[Game], to_the_end: bool) -> None:
    """Layers whose second pass repeats the first, those of the last stage only if it runs there."""
    reasons = games[0].uses.unrepeatable
    stages = [stage for game in games for stage in game.stages[: None if to_the_end else -1]]
    for call in [call for stage in stages for call in stage.calls if call.index in reasons]:
        raise ValueError(
            "The update pass runs every layer a second time, and it must repeat the first. "
            f"Received: layer '{call.name}' ({type(call.operation).__name__}), which does not: "
            f"{reasons[call.index]}. Give it a `keras.random.SeedGenerator` as attribute and draw "
            "by `keras.random` with it, keep what changes in non-trainable weights, or compile "
            "with state_feedback=False."
        )
