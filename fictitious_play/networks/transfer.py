"""Carries one player's weights from the joint policy to her own Functional model."""

from typing import Any

import keras
import numpy as np
from keras import ops

from fictitious_play.layers.saturation import Saturation
from fictitious_play.networks.joint_policy import JointPolicy


def transfer_weights(policy: JointPolicy, model: keras.Model, player: int) -> None:
    """Gives `model` the weights that `policy` holds for `player`.

    Args:
        policy: a built `JointPolicy`.
        model: a `player_model` of the same game, hidden sizes and switches.
        player: index of the player.

    Raises:
        ValueError: where the two networks do not have the same form.
    """
    if policy.features_name != "full_path":
        raise ValueError(
            "Only a policy with the features of the paper's network can become a player model. "
            f"Received: features={policy.features_name!r}, not 'full_path'"
        )
    layers = {layer.name: layer for layer in model.layers}
    own, other = Saturation.of(policy.game, unit=policy.control_unit), None
    if (bounded := layers.get("bounded_0")) is not None:
        other = Saturation.of(bounded.game, unit=bounded.control_unit)
    mine, theirs = (1.0 if each is None else each.unit for each in (own, other))
    if np.any(mine != theirs):
        raise ValueError(
            "`policy` and `model` must count controls in the same units: make the model with "
            f"control_unit=policy.control_unit. Received: {np.asarray(mine).tolist()} and "
            f"{np.asarray(theirs).tolist()}"
        )
    kernels = np.split(ops.convert_to_numpy(policy.kernel)[:, player], policy.row_ends[:-1], axis=0)
    width = policy.hidden[0]
    for step, first in enumerate(kernels):
        network = model.get_layer(f"control_{step}")
        weights = []
        for number in range(len(policy.hidden)):
            kernel = first[:, :width]
            if number:
                kernel = _of(policy.later_kernels[number - 1], step, player).T
            weights.append(kernel)
            vectors = [policy.offsets[number]]
            if policy.batch_normalization:
                vectors = [
                    policy.scales[number],
                    policy.offsets[number],
                    policy.moving_means[number],
                    policy.moving_variances[number],
                ]
            weights.extend(_of(vector, step, player) for vector in vectors)
        weights.append(_of(policy.output_kernel, step, player).T)
        weights.append(_of(policy.output_bias, step, player))
        if policy.skip:
            weights.append(first[:, width:])
        targets = _ordered_variables(network)
        if [tuple(target.shape) for target in targets] != [value.shape for value in weights]:
            raise ValueError(
                "`policy` and `model` must have the same hidden sizes and switches. Received: "
                f"{[value.shape for value in weights]} for {network.name} with "
                f"{[tuple(target.shape) for target in targets]}"
            )
        for target, value in zip(targets, weights, strict=True):
            target.assign(value)


def _of(variable: Any, step: Any, player: int) -> Any:
    return ops.convert_to_numpy(variable)[step, player]


def _ordered_variables(network: Any) -> Any:
    """The variables of a `ControlNetwork`, layer by layer in the order of the computation."""
    variables = []
    for number, dense in enumerate(network.dense_layers):
        variables.extend(dense.weights)
        if network.batch_normalization:
            layer = network.normalizations[number]
            variables.extend([layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance])
    variables.extend([network.output_layer.kernel, network.output_layer.bias])
    if network.skip_layer is not None:
        variables.append(network.skip_layer.kernel)
    return variables
