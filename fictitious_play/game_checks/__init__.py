"""A game of one's own is tried before it is believed."""

import warnings
from dataclasses import dataclass

import keras
import numpy as np

from fictitious_play import checks
from fictitious_play.game_checks.agreement import check_config, check_form
from fictitious_play.game_checks.gradients import check_gradients
from fictitious_play.game_checks.once import OncePerGame
from fictitious_play.game_checks.paths import check_paths
from fictitious_play.game_checks.probe import make_trial
from fictitious_play.game_checks.shapes import (
    check_initial_states,
    check_shapes,
    check_tensor_time,
)
from fictitious_play.game_checks.simulation import Simulator
from fictitious_play.games.base import Game
from fictitious_play.scan import is_loop

#: Stakes of the games that have passed, by dtype.
_passed = OncePerGame()


@dataclass(frozen=True)
class Findings:
    """What does not forbid training: sentences on paths without finite values, and on a
    configuration that does not make the same game; and the `stakes` of `check_paths`."""

    paths: list[str]
    config: list[str]
    stakes: np.ndarray


def check_game(game: Game, dtype: str | None = None) -> None:
    """Tries all methods of a game on small arrays, in a fraction of a second.

    - Methods take states (..., state_size) and controls (..., players, control_size) with any
      leading axes, and return the documented shapes in the dtype of the states. A cost of shape
      (..., 1), which would be broadcast over the players, is refused.
    - Where the roll-out is a loop on the device, methods take the time as a scalar tensor.
    - Every path has values of its own: nothing is mixed across the batch, and a second call gives
      the same values.
    - `initial_states` is a function of its normals, path by path.
    - Values are finite along simulated paths without controls, and gradients of the costs with
      respect to the controls wherever the costs are.
    - No player's cost falls without end along a few rays of her controls: a `RuntimeWarning`.
    - `linear_quadratic_form`, where it gives one, has the costs and the initial law of the methods.
    - `get_config`, where the class is registered with Keras or defines it, makes the same game.

    `DeepFictitiousPlay.solve` does this once for a game. It warns of values that are not finite on
    some paths, which the result then counts, and leaves `get_config` to those who save.

    Args:
        game: the `Game`.
        dtype: "float32" or "float64"; None means Keras's `floatx`.

    Raises:
        ValueError: names the method, the rule, what came and the likely cause.
        TypeError: where `game` is not a `Game`.
    """
    findings = _tried(game, dtype)
    for sentence in (*findings.paths, *findings.config):
        raise ValueError(sentence)


def admit(game: Game, dtype: str | None = None) -> np.ndarray:
    """As `check_game`, once for a game, with warnings where training can still begin.

    Returns:
        (players,): how much random controls of unit size change a path's cost.
    """

    def tried() -> np.ndarray:
        findings = _tried(game, dtype)
        for sentence in findings.paths:
            warnings.warn(sentence, RuntimeWarning, stacklevel=6)
        return findings.stakes

    return _passed(game, dtype, tried)


def stakes_in(game: Game, dtype: str, unit: np.ndarray) -> np.ndarray:
    """As `admit` gives them, of a game that has been admitted, for other units of control
    (players, control_size)."""
    trial = make_trial(game, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # told before
        return check_paths(trial, Simulator(trial), unit)[1]


def _tried(game: Game, dtype: str | None) -> Findings:
    if not isinstance(game, Game):
        raise TypeError(f"`game` must be a Game. Received: game={game!r}")
    dtype = keras.config.floatx() if dtype is None else dtype
    trial = make_trial(game, checks.one_of("dtype", dtype, ("float32", "float64")))
    check_initial_states(trial)
    check_shapes(trial)
    if is_loop(game.steps):
        check_tensor_time(trial)
    simulate = Simulator(trial)
    paths, stakes = check_paths(trial, simulate)
    check_gradients(trial)
    check_form(trial, simulate)
    return Findings(paths, check_config(trial), stakes)
