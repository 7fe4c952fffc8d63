"""The network of one player as a Functional Keras model: the paper's Figure 2."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from fictitious_play import checks
from fictitious_play.games.base import Game
from fictitious_play.layers.bounds import BoundedControl
from fictitious_play.layers.control_network import ControlNetwork
from fictitious_play.layers.costs import Rcost, Tcost
from fictitious_play.layers.saturation import Saturation
from fictitious_play.layers.standard_units import StandardUnits
from fictitious_play.networks.units import initial_units


def player_model(
    game: Game,
    player: int,
    hidden: Sequence[int] = (32, 32),
    batch_normalization: bool = True,
    skip: bool = False,
    seed: int | None = None,
    dtype: str | None = None,
    activation: str = "relu",
    control_unit: Any = None,
) -> keras.Model:
    """One player's cost as a function of the noise and of what the others do.

    For every Euler step a `ControlNetwork` (layer "control_t") maps what the player has seen to
    her control, an `Rcost` layer ("rcost_t") adds h f^i and moves the states, and a `Concatenate`
    layer ("seen_t") appends the step's noise to the next subnetwork's input; where the game has
    control bounds or a unit, a `BoundedControl` layer ("bounded_t") meets them; a `Tcost` layer
    ("tcost") ends the path. The model can be summarised, plotted, fitted (with `MeanCost` as its
    loss) and saved like any other.

    Args:
        game: the `Game`.
        player: index of the player, 0 ≤ player < players.
        hidden, batch_normalization, skip, activation: as in `ControlNetwork`.
        seed: of the initial weights.
        dtype: of weights and computation, "float32" or "float64"; None means Keras's own.
        control_unit: of all players' controls; None for the game's. A policy that a solver has
            trained may have measured one, `policy.control_unit`.

    Returns:
        A model with the inputs "initial_state" (batch, state_size), "noise"
        (batch, steps, noise_size) and "others" (batch, *game.controls_shape), the controls of all
        players, of which the player's own entry is not used; its output is the cost, (batch, 1).
    """
    if not isinstance(game, Game):
        raise TypeError(f"`game` must be a Game. Received: game={game!r}")
    seeds: list[int | None] = [None] * game.steps
    if seed is not None:
        seed = checks.integer("seed", seed, least=0)
        seeds = [seed + 7919 * step for step in range(game.steps)]
    control_unit = checks.control_unit(control_unit, (game.players, game.control_size))
    kind = keras.dtype_policies.get(dtype or keras.config.dtype_policy()).variable_dtype
    initial_state = layers.Input((game.state_size,), name="initial_state", dtype=kind)
    noise = layers.Input((game.steps, game.noise_size), name="noise", dtype=kind)
    others = layers.Input(game.controls_shape, name="others", dtype=kind)
    observed = StandardUnits(*initial_units(game), name="standard_initial_state", dtype=dtype)(
        initial_state
    )
    standard_noise = StandardUnits(scale=game.step_size**-0.5, name="standard_noise", dtype=dtype)(
        noise
    )
    cost, states = ops.zeros_like(initial_state[:, :1]), initial_state
    for step in range(game.steps):
        control = ControlNetwork(
            hidden,
            game.control_size,
            batch_normalization,
            skip,
            seeds[step],
            activation,
            name=f"control_{step}",
            dtype=dtype,
        )(observed)
        if Saturation.of(game, unit=control_unit) is not None:
            bounded = BoundedControl(
                game, player, control_unit, name=f"bounded_{step}", dtype=dtype
            )
            control = bounded(control)
        cost, states = Rcost(game, player, step, name=f"rcost_{step}", dtype=dtype)(
            [cost, states, control, others[:, step], noise[:, step]]
        )
        if step + 1 < game.steps:
            observed = layers.Concatenate(name=f"seen_{step + 1}", dtype=dtype)(
                [observed, standard_noise[:, step]]
            )
    cost = Tcost(game, player, name="tcost", dtype=dtype)([cost, states])
    return keras.Model([initial_state, noise, others], cost, name=f"player_{player}")
