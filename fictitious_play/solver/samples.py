"""Initial states and Brownian increments from a seed, in antithetic pairs."""

from typing import NamedTuple

import numpy as np

from fictitious_play.games.base import Game

_TRAINING, _VALIDATION, _CERTIFICATE, _RESPONSE, _TREMBLES = 0, 1, 2, 3, 4


class Sample(NamedTuple):
    """Initial states (paths, state_size) and increments (paths, steps, noise_size)."""

    initial_state: np.ndarray
    noise: np.ndarray

    @property
    def paths(self) -> int:
        return len(self.initial_state)

    def part(self, start: int, size: int) -> "Sample":
        """The paths start, …, start + size - 1."""
        return Sample(*(array[start : start + size] for array in self))


def training_sample(game: Game, seed: int, stage: int, step: int, paths: int, dtype) -> Sample:
    """The fresh batch of one training step; a function of its arguments alone, so that a solve
    can go on in the middle without any generator's state."""
    return _antithetic(game, np.random.default_rng((seed, _TRAINING, stage, step)), paths, dtype)


def tremble_sample(game: Game, seed: int, stage: int, step: int, paths: int, dtype) -> np.ndarray:
    """Standard normals for the players' hands in one training step, in antithetic pairs:
    (paths, steps, players, control_size); a function of its arguments alone."""
    generator = np.random.default_rng((seed, _TREMBLES, stage, step))
    shape = (paths // 2, game.steps, game.players, game.control_size)
    half = generator.standard_normal(shape, dtype=np.dtype(dtype))
    return np.stack([half, -half], axis=1).reshape(paths, *shape[1:])


def validation_sample(game: Game, seed: int, paths: int, dtype) -> Sample:
    """The fixed sample on which costs are measured. Paths 2k and 2k + 1 are a pair, so that any
    even number of first paths is an antithetic sample too."""
    return _antithetic(game, np.random.default_rng((seed, _VALIDATION)), paths, dtype)


def certificate_sample(game: Game, seed: int, paths: int, dtype) -> Sample:
    """A sample that neither training nor validation has seen, paired like the validation's."""
    return _antithetic(game, np.random.default_rng((seed, _CERTIFICATE)), paths, dtype)


def response_sample(game: Game, seed: int, name: str, step: int, paths: int, dtype) -> Sample:
    """A sample of the search for best responses, one for every purpose `name` and step."""
    place = (seed, _RESPONSE, step, *name.encode())
    return _antithetic(game, np.random.default_rng(place), paths, dtype)


def _antithetic(game: Game, generator: np.random.Generator, paths: int, dtype) -> Sample:
    pairs = paths // 2
    kind = np.dtype(dtype)
    drawn = np.float32 if kind == np.float32 else np.float64
    normals = generator.standard_normal((pairs, game.state_size), dtype=drawn)
    half = generator.standard_normal((pairs, game.steps, game.noise_size), dtype=drawn)
    half *= game.step_size**0.5
    initial = np.empty((pairs, 2, game.state_size), kind)
    initial[:, 0] = game.initial_states(normals)
    initial[:, 1] = game.initial_states(-normals)
    noise = np.stack([half, -half], axis=1).astype(kind, copy=False)
    return Sample(
        initial.reshape(-1, game.state_size), noise.reshape(-1, game.steps, game.noise_size)
    )
