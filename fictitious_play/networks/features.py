"""What a player's network sees of the initial state and the past noise, in standard units.

Features are rows ordered by time, so that what Euler step t may see is the first `size(t)` of them:
causality is a slice.
"""

import numpy as np
from keras import ops

from fictitious_play import checks
from fictitious_play.games.base import Game, constant


def initial_scale(game: Game) -> np.ndarray:
    """1 / initial_std, and 0 where the initial state is deterministic; (state_size,)."""
    std = game.initial_std
    return np.divide(1.0, std, out=np.zeros_like(std), where=std > 0.0)


class FullPath:
    """The faithful features: x_0 and every column of ΔW_0, …, ΔW_{t-1} (Hu 2019, Section 2).

    They are the same for all players.
    """

    shared = True

    def __init__(self, game: Game):
        self.game = game

    def size(self, step: int) -> int:
        """Number of features of Euler step `step`."""
        return self.game.state_size + step * self.game.noise_size

    def __call__(self, initial_state, noise):
        """Features as rows, (size(steps - 1), batch), of (batch, state_size) initial states and
        (batch, steps, noise_size) Brownian increments."""
        game = self.game
        features = _standard_initial_state(game, initial_state)
        if game.steps > 1:
            past = _standard_past(game, noise)
            past = ops.reshape(past, (-1, (game.steps - 1) * game.noise_size))
            features = ops.concatenate([features, past], axis=1)
        return ops.transpose(features)


class OwnAndMean:
    """The player's own path, the common noise and the weighted means of everybody's paths.

    Of the initial state and of each past step player i sees her own component, the mean Σ_j W_ij
    of all components and, of the noise, the common column. The number of features does not grow
    with the number of players. In symmetric linear-quadratic games nothing is lost: equilibrium
    controls depend on the own and the mean path only.

    The game must give every player the same number of states and of Brownian motions, after the
    common one in column 0. The weights are the game's `weights` where it has them, else 1/N.
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
        self.game = game
        self.states = game.state_size // players
        self.motions = (game.noise_size - 1) // players
        weights = getattr(game, "weights", None)
        self.uniform = weights is None or getattr(game, "uniform_weights", False)
        self.weights = np.full((players, players), 1.0 / players) if weights is None else weights

    def size(self, step: int) -> int:
        """Number of features of Euler step `step`."""
        return 2 * self.states + step * (2 * self.motions + 1)

    def __call__(self, initial_state, noise):
        """Features as rows of every player, (players, size(steps - 1), batch); arguments as in
        `FullPath`."""
        game, players, past_steps = self.game, self.game.players, self.game.steps - 1
        initial = _standard_initial_state(game, initial_state)
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

    def _means(self, values):
        """Σ_j W_ij values_j of every player i, in standard units; (players, ...)."""
        scale = np.sqrt((self.weights**2).sum(axis=1))
        weights = self.weights / np.where(scale > 0.0, scale, 1.0)[:, None]
        if self.uniform:
            mean = ops.sum(values, axis=0, keepdims=True) * float(weights[0, 0])
            return ops.repeat(mean, self.game.players, axis=0)
        shape = ops.shape(values)
        flat = ops.matmul(constant(weights, values), ops.reshape(values, (shape[0], -1)))
        return ops.reshape(flat, shape)


FEATURES: dict[str, type[FullPath] | type[OwnAndMean]] = {
    "full_path": FullPath,
    "own_and_mean": OwnAndMean,
}


def make_features(name: str, game: Game) -> FullPath | OwnAndMean:
    """The features of that name, "full_path" or "own_and_mean", for a game."""
    return FEATURES[checks.one_of("features", name, FEATURES)](game)


def _standard_initial_state(game: Game, initial_state):
    mean = constant(game.initial_mean, initial_state)
    return (initial_state - mean) * constant(initial_scale(game), initial_state)


def _standard_past(game: Game, noise):
    """ΔW_0, …, ΔW_{N_T-2} with variance one, (batch, steps - 1, noise_size)."""
    return noise[:, : game.steps - 1] / game.step_size**0.5
