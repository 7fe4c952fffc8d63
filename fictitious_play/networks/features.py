"""What a player's network sees: the initial state and the noise up to now, in standard units."""

import numpy as np
from keras import ops

from fictitious_play.games.base import Game, constant


def initial_scale(game: Game) -> np.ndarray:
    """1 / initial_std, and 0 where the initial state is deterministic; (state_size,)."""
    std = game.initial_std
    return np.divide(1.0, std, out=np.zeros_like(std), where=std > 0.0)


class FullPath:
    """The faithful features: x_0 and every column of ΔW_0, …, ΔW_{t-1} (Hu 2019, Section 2).

    Ordered by time, so that what step t may see is the first `size(t)` of them: causality is a
    slice. They are the same for all players.
    """

    def __init__(self, game: Game):
        self.game = game

    def size(self, step: int) -> int:
        """Number of features of Euler step `step`."""
        return self.game.state_size + step * self.game.noise_size

    def __call__(self, initial_state, noise):
        """Features as rows, (size(steps - 1), batch), of (batch, state_size) initial states and
        (batch, steps, noise_size) Brownian increments."""
        game = self.game
        initial = (initial_state - constant(game.initial_mean, initial_state)) * constant(
            initial_scale(game), initial_state
        )
        seen = noise[:, : game.steps - 1] / game.step_size**0.5
        past = ops.reshape(seen, (-1, (game.steps - 1) * game.noise_size))
        return ops.transpose(ops.concatenate([initial, past], axis=1))
