"""More players than layers: fictitious agents, and the naive partition they improve on."""

from collections.abc import Mapping
from typing import Any

import keras

from dgn_tf.game_model import GameModel


def with_agents(
    model: keras.Model,
    agents: int | Mapping[str, int],
    form: str | None = "coupled",
    **kwargs: Any,
) -> GameModel:
    """Lets N fictitious agents share each player's weights, θ = Σ_n θ_n (equation (16)).

    Every agent sees the same input and the same gradient, so agents need no weights of their own:
    they exist in the recursion, and their updates are summed. In the coupled form N agents
    interpolate from gradient descent to Gauss-Newton (Levenberg-Marquardt with damping
    1/(lr (N - 1))); in the proximal and the explicit form they are a learning rate of N lr.

    Args:
        model: a Functional or built Sequential model, or a `GameModel`; its layers are shared.
        agents: N for every player, or {layer name: N} with the same N within a stage.
        form: the form the game is solved in, instead of the optimizer's; None for that one.
        kwargs: as for `GameModel`.

    Returns:
        An uncompiled `GameModel`.
    """
    if isinstance(model, GameModel):
        kwargs = {**model.settings(), **kwargs}
    kwargs.update(agents=agents, agents_form=form)
    return GameModel.from_model(model, **kwargs)


def naive_partition(model: keras.Model, parts: int, **kwargs: Any) -> GameModel:
    """Splits the units of every Dense layer between `parts` players (the paper's Section 6).

    The parts see the same input and write to different units. In the cooperative structure with
    M = I they are one player again: the partition changes nothing. It is here to be compared with
    fictitious agents.

    Args:
        model: a Functional or built Sequential model; its weights are copied.
        parts: players a layer, at most its units.
        kwargs: as for `GameModel`.

    Raises:
        ValueError: for a number of parts below one or above the units of a layer.
    """
    if isinstance(parts, bool) or not isinstance(parts, int) or parts < 1:
        raise ValueError(f"`parts` must be a positive integer. Received: parts={parts!r}")
    made: list[tuple[Any, list[Any]]] = []

    def call(layer: Any, *args: Any, **call_kwargs: Any) -> Any:
        splits = type(layer) is keras.layers.Dense
        splits = splits and layer.activation is not keras.activations.softmax
        if not splits or layer in [whole for whole, _ in made]:
            return layer(*args, **call_kwargs)
        if parts > layer.units:
            raise ValueError(
                f"`parts` must not exceed the units of layer '{layer.name}', {layer.units}. "
                f"Received: parts={parts}"
            )
        config = layer.get_config()
        sizes = [(layer.units + i) // parts for i in range(parts)]
        pieces = [
            keras.layers.Dense.from_config(
                {**config, "units": size, "name": f"{layer.name}_part{i}"}
            )
            for i, size in enumerate(sizes)
        ]
        made.append((layer, pieces))
        outputs = [piece(*args, **call_kwargs) for piece in pieces]
        return outputs[0] if parts == 1 else keras.layers.Concatenate()(outputs)

    clone = keras.models.clone_model(keras.Model(model.inputs, model.outputs), call_function=call)
    partition = GameModel.from_model(clone, **kwargs)
    _copy_weights(model, partition, made)
    return partition


def _copy_weights(model: keras.Model, clone: keras.Model, made: list) -> None:
    split = {whole.name: pieces for whole, pieces in made}
    for layer in model.layers:
        pieces = split.get(layer.name)
        if pieces is None:
            if layer.weights:
                clone.get_layer(layer.name).set_weights(layer.get_weights())
            continue
        start = 0
        for piece in pieces:
            end = start + piece.units
            piece.set_weights([weight[..., start:end] for weight in layer.get_weights()])
            start = end
