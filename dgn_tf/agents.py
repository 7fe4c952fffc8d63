"""More players than layers: fictitious agents, and the naive partition they improve on."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from dgn_tf.game_model import GameModel
from dgn_tf.settings import period


def with_agents(
    model: keras.Model, agents: int | Mapping[str, int], form: str | None = "coupled", **kwargs: Any
) -> GameModel:
    """Lets N fictitious agents share each player's weights, θ = Σ_n θ_n (equation (16)).

    Agents exist in the recursion, where their updates are summed. In the coupled form N agents
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
    """Splits the units of every layer between `parts` players (the paper's Section 6).

    The parts see the same input and write to different units of a Dense layer, or filters of a
    Conv2D layer. In the cooperative structure and proximal form with M = I they are one player
    again. It is here to be compared with fictitious agents. Layers of other types, convolutions in
    groups or channels first, and layers with a softmax, which mixes units, stay whole.

    Args:
        model: a Functional or built Sequential model; its weights are copied.
        parts: players per layer, at most its units or filters.
        kwargs: as for `GameModel`.

    Raises:
        ValueError: for a number of parts below one or above the units or filters of a layer.
    """
    period("parts", parts)
    made: dict[str, list[Any]] = {}

    def call(layer: Any, *args: Any, **call_kwargs: Any) -> Any:
        if not isinstance(layer, keras.Layer):
            return layer(*args, **call_kwargs)
        weights = model.get_layer(layer.name).get_weights()
        if not _can_split(layer):
            outputs = layer(*args, **call_kwargs)
            layer.set_weights(weights)
            return outputs
        if layer.name not in made:
            made[layer.name] = _pieces(layer, parts)
        pieces = made[layer.name]
        outputs = [piece(*args, **call_kwargs) for piece in pieces]
        ends = np.cumsum([piece.kernel.shape[-1] for piece in pieces])[:-1]
        shares = [np.split(weight, ends, axis=-1) for weight in weights]
        for piece, *own in zip(pieces, *shares, strict=True):
            piece.set_weights(own)
        return outputs[0] if parts == 1 else keras.layers.Concatenate()(outputs)

    plain = keras.Model(model.input, model.output)
    return GameModel.from_model(keras.models.clone_model(plain, call_function=call), **kwargs)


def _can_split(layer: Any) -> bool:
    shape = getattr(layer, "groups", 1), getattr(layer, "data_format", "channels_last")
    known = type(layer) in (keras.layers.Dense, keras.layers.Conv2D)
    plain = known and shape == (1, "channels_last")
    return plain and layer.activation is not keras.activations.softmax


def _pieces(layer: Any, parts: int) -> list[Any]:
    """Layers that together compute what `layer` does."""
    name = "units" if isinstance(layer, keras.layers.Dense) else "filters"
    width = getattr(layer, name)
    if parts > width:
        raise ValueError(
            f"`parts` must not exceed the {name} of layer '{layer.name}', {width}. "
            f"Received: parts={parts}"
        )
    config = layer.get_config()
    sizes = [(width + i) // parts for i in range(parts)]
    return [
        type(layer).from_config({**config, name: size, "name": f"{layer.name}_part{i}"})
        for i, size in enumerate(sizes)
    ]
