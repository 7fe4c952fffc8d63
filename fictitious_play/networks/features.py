"""What a player's network sees of the initial state and the past noise, in standard units.

Features are rows ordered by time, so that what Euler step t may see is the first `size(t)` of them:
causality is a slice.
"""

from abc import ABC, abstractmethod
from typing import Any

import keras
import numpy as np
from keras import ops

from fictitious_play import checks
from fictitious_play.games.base import Game, constant
from fictitious_play.networks.units import Units, initial_units
from fictitious_play.tensors import Tensor

#: Players whose costs are probed, and random states that they are probed in.
_PROBED, _STATES = 8, 16
#: A change below this share of the largest value is rounding in float32.
_ROUNDING = 1e-3


class Features(ABC):
    """What the players' open-loop networks see: rows of numbers, ordered by time.

    Euler step t may see the first `size(t)` rows, so these must depend on x_0 and
    ΔW_0, …, ΔW_{t-1} alone: that makes a control adapted. Networks learn best from rows of mean
    zero and variance one. A class of one's own is given as `features=` once it is registered with
    Keras (`keras.saving.register_keras_serializable`), by which a saved policy finds it again.

    Attributes:
        shared: whether all players see the same rows.
    """

    shared = True

    def __init__(self, game: Game):
        self.game = game

    @abstractmethod
    def size(self, step: int) -> int:
        """Number of features of Euler step `step`, not falling with the step."""

    @abstractmethod
    def __call__(self, initial_state: Tensor, noise: Tensor) -> Any:
        """The rows.

        Args:
            initial_state: (batch, state_size).
            noise: (batch, steps, noise_size), Brownian increments of variance `game.step_size`.

        Returns:
            (size(steps - 1), batch), or (players, size(steps - 1), batch) where not `shared`.
        """

    def get_config(self) -> dict[str, Any]:
        """Empty: features are made of their game, and saved by their name alone."""
        return {}


class FullPath(Features):
    """The paper's features: x_0 and every column of ΔW_0, …, ΔW_{t-1} (Hu 2019, Section 2).

    They are the same for all players.
    """

    def __init__(self, game: Game):
        super().__init__(game)
        self.initial = initial_units(game)

    def size(self, step: int) -> int:
        """Number of features of Euler step `step`."""
        return self.game.state_size + step * self.game.noise_size

    def __call__(self, initial_state: Tensor, noise: Tensor) -> Any:
        """Features as rows, (size(steps - 1), batch), of (batch, state_size) initial states and
        (batch, steps, noise_size) Brownian increments."""
        game = self.game
        features = _standard_initial_state(self.initial, initial_state)
        if game.steps > 1:
            past = _standard_past(game, noise)
            past = ops.reshape(past, (-1, (game.steps - 1) * game.noise_size))
            features = ops.concatenate([features, past], axis=1)
        return ops.transpose(features)


class OwnAndMean(Features):
    """The player's own path, the common noise and the weighted means of everybody's paths.

    Of the initial state and of each past step player i sees her own component, the mean Σ_j W_ij
    of all components and, of the noise, the common column. The number of features does not grow
    with the number of players. In symmetric linear-quadratic games nothing is lost: equilibrium
    controls depend on the own and the mean path only.

    The game must give every player the same number of states and of Brownian motions, after the
    common one in column 0. The weights are `Game.mean_weights`. Where random states show that a
    player's costs or her own states' drift depend on what these features leave out, the game is
    refused; what they do not show is left to the certificate.

    Raises:
        ValueError: for a game that does not split by player, weights that do not fit it, or a
            player who depends on more than her own path and the mean.
    """

    shared = False

    def __init__(self, game: Game):
        players = game.players
        if game.state_size % players or (game.noise_size - 1) % players or game.noise_size == 1:
            raise ValueError(
                '`features="own_and_mean"` needs as many states and Brownian motions for every '
                f"player, and one common motion. Received: {game.state_size} states and "
                f"{game.noise_size} motions of {players} players"
            )
        super().__init__(game)
        self.states = game.state_size // players
        self.motions = (game.noise_size - 1) // players
        self.initial = initial_units(game)
        weights = game.mean_weights()
        if weights is None:
            weights = np.full((players, players), 1.0 / players)
        self.weights = checks.shaped("game.mean_weights()", weights, (players, players))
        self.uniform = not np.ptp(self.weights)
        player = _who_depends_on_more(game, self.weights)
        if player is not None:
            raise ValueError(
                '`features="own_and_mean"` leave out what others do beyond the weighted mean. '
                f"Received: {type(game).__name__}, in which costs or own states of player {player} "
                "(from 0) change when others move and the mean does not; give the weights of "
                'that mean in `mean_weights`, or use features="full_path"'
            )

    def size(self, step: int) -> int:
        """Number of features of Euler step `step`."""
        return 2 * self.states + step * (2 * self.motions + 1)

    def __call__(self, initial_state: Tensor, noise: Tensor) -> Any:
        """Features as rows of every player, (players, size(steps - 1), batch); arguments as in
        `FullPath`."""
        game, players, past_steps = self.game, self.game.players, self.game.steps - 1
        initial = _standard_initial_state(self.initial, initial_state)
        own = ops.transpose(ops.reshape(initial, (-1, players, self.states)), (1, 2, 0))
        features = ops.concatenate([own, self._means(own)], axis=1)
        if not past_steps:
            return features
        past = _standard_past(game, noise)
        own = ops.reshape(past[:, :, 1:], (-1, past_steps, players, self.motions))
        own = ops.transpose(own, (2, 1, 3, 0))
        common = ops.transpose(past[:, :, :1], (1, 2, 0))[None]
        common = ops.repeat(common, players, axis=0)
        by_step = ops.concatenate([own, self._means(own), common], axis=2)
        rows = past_steps * (2 * self.motions + 1)
        return ops.concatenate([features, ops.reshape(by_step, (players, rows, -1))], axis=1)

    def _means(self, values: Any) -> Any:
        """Σ_j W_ij values_j of every player i, in standard units; (players, ...)."""
        scale = np.sqrt((self.weights**2).sum(axis=1))
        weights = self.weights / np.where(scale > 0.0, scale, 1.0)[:, None]
        if self.uniform:
            mean = ops.sum(values, axis=0, keepdims=True) * float(weights[0, 0])
            return ops.repeat(mean, self.game.players, axis=0)
        shape = ops.shape(values)
        flat = ops.matmul(constant(weights, values), ops.reshape(values, (shape[0], -1)))
        return ops.reshape(flat, shape)


FEATURES: dict[str, type[Features]] = {
    "full_path": FullPath,
    "own_and_mean": OwnAndMean,
}


def _who_depends_on_more(game: Game, weights: np.ndarray) -> int | None:
    """A player whose costs, or her own states' drift, change between two random states that differ
    neither in her own part nor in her weighted mean; None where there is none."""
    players, states = game.players, game.state_size // game.players
    rng = np.random.default_rng(0)
    probed = np.unique(np.linspace(0, players - 1, _PROBED).astype(int))
    kind = keras.config.floatx()

    def values(x: Any, u: Any) -> list:
        x, u = (ops.convert_to_tensor(each, dtype=kind) for each in (x, u))
        values = [game.terminal_cost(x)]
        for time in (0.0, 0.5 * game.horizon):
            values += [game.running_cost(time, x, u), game.drift(time, x, u)]
        arrays = [np.asarray(ops.convert_to_numpy(each), np.float64) for each in values]
        # A cost of each player, or drifts of each player's states: (_STATES, players, any).
        return [
            np.broadcast_to(each, (_STATES, each.shape[-1])).reshape(_STATES, players, -1)
            for each in arrays
        ]

    for player in probed.tolist():
        base = game.initial_mean + rng.standard_normal((_STATES, game.state_size))
        controls = rng.standard_normal((_STATES, players, game.control_size))
        move = rng.standard_normal((_STATES, players, states))
        row = np.where(np.arange(players) == player, 0.0, weights[player])
        if np.any(row):
            move -= row[:, None] * np.einsum("j,bjs->bs", row, move)[:, None] / (row @ row)
        move[:, player] = 0.0
        before = values(base, controls)
        after = values(base + move.reshape(_STATES, -1), controls)
        for one, two in zip(before, after, strict=True):
            scale = max(np.max(np.abs(one)), np.max(np.abs(two)))
            if np.max(np.abs(one - two)[:, player]) > _ROUNDING * scale:
                return player
    return None


def features_name(features: str | type[Features]) -> str:
    """The name that features are saved under: one of `FEATURES`, or Keras's of a class.

    Raises:
        ValueError, TypeError: for no such name, and for a class that is not registered with Keras.
    """
    if not isinstance(features, type):
        known = isinstance(features, str) and _registered(features) is not None
        return str(features) if known else checks.one_of("features", features, FEATURES)
    name = keras.saving.get_registered_name(features)
    if not issubclass(features, Features) or _registered(name) is not features:
        raise TypeError(
            "`features` must be a name or a class derived from `fictitious_play.Features` and "
            f"registered with Keras. Received: features={features!r}. Decorate it with "
            "@keras.saving.register_keras_serializable()."
        )
    return name


def make_features(name: str, game: Game) -> Features:
    """The features of a name that `features_name` gave, for a game."""
    return (FEATURES.get(name) or _registered(name))(game)


def _registered(name: str) -> Any:
    registered = keras.saving.get_registered_object(name)
    return registered if isinstance(registered, type) and issubclass(registered, Features) else None


def _standard_initial_state(units: Units, initial_state: Tensor) -> Any:
    mean, scale = (constant(each, initial_state) for each in units)
    return (initial_state - mean) * scale


def _standard_past(game: Game, noise: Tensor) -> Any:
    """ΔW_0, …, ΔW_{N_T-2} with variance one, (batch, steps - 1, noise_size)."""
    return noise[:, : game.steps - 1] / game.step_size**0.5
