"""Initial states and Brownian increments from a seed, in antithetic pairs."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from fictitious_play.games.base import Game
from fictitious_play.solver import noise

_TRAINING, _VALIDATION, _CERTIFICATE, _RESPONSE, _KEYS = 0, 1, 2, 3, 4
#: Seed of what does not depend on the solve's.
_PROBE = 2019
#: Streams of the normals of a training step.
_BROWNIAN, _TREMBLES = 0, 1


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


@dataclass(frozen=True)
class Chunk:
    """What training steps of a stage are drawn from, on the device.

    Attributes:
        batches: "initial_state", (capacity, paths, state_size), and "key", (capacity, 2), of
            `noise.normals`, of the first `count` steps; zero after.
        count, number: how many steps there are, as a number and as a tensor.
    """

    batches: dict
    count: int
    number: Any

    @property
    def shape(self) -> tuple[int, int]:
        """Room for steps, and paths of a step."""
        return tuple(self.batches["initial_state"].shape[:2])


def training_chunk(
    game: Game, seed: int, stage: int, first: int, count: int, capacity: int, paths: int, dtype: Any
) -> Chunk:
    """Fresh batches for the training steps first, …, first + count - 1 of a stage, in arrays with
    room for `capacity` steps; those of a step are a function of seed, stage and step alone, so
    that a solve can go on in the middle without any generator's state."""
    initial = np.zeros((capacity, paths, game.state_size), dtype)
    keys = np.zeros((capacity, 2), np.int32)
    for row, step in enumerate(range(first, first + count)):
        generator = np.random.default_rng((seed, _TRAINING, stage, step))
        initial[row] = _initial_states(game, generator, paths // 2, np.dtype(dtype))
        words = np.random.SeedSequence((seed, _KEYS, stage, step)).generate_state(2)
        keys[row] = words.astype(np.uint32).view(np.int32)
    initial_state, key = map(ops.convert_to_tensor, (initial, keys))
    return Chunk({"initial_state": initial_state, "key": key}, count, _tensor(count))


@lru_cache(maxsize=64)
def _tensor(count: int) -> Any:
    return ops.convert_to_tensor(np.int32(count))


def increments(game: Game, key: Any, paths: int, dtype: str) -> Any:
    """The Brownian increments of a training step from its key, on the device:
    (paths, steps, noise_size)."""
    half = noise.normals(key, (paths // 2, game.steps, game.noise_size), dtype, _BROWNIAN)
    return noise.antithetic(game.step_size**0.5 * half)


def trembles(game: Game, key: Any, paths: int, dtype: str) -> Any:
    """Standard normals for the players' hands in a training step, on the device:
    (paths, steps, players, control_size)."""
    shape = (paths // 2, game.steps, game.players, game.control_size)
    return noise.antithetic(noise.normals(key, shape, dtype, _TREMBLES))


def training_sample(game: Game, seed: int, stage: int, step: int, paths: int, dtype: Any) -> Sample:
    """The batch of one training step."""
    chunk = training_chunk(game, seed, stage, step, 1, 1, paths, dtype)
    initial_state, key = (array[0] for array in chunk.batches.values())
    drawn = increments(game, key, paths, dtype)
    return Sample(*(ops.convert_to_numpy(each) for each in (initial_state, drawn)))


def validation_sample(game: Game, seed: int, paths: int, dtype: Any) -> Sample:
    """The fixed sample on which costs are measured. Paths 2k and 2k + 1 are a pair, so that any
    even number of first paths is an antithetic sample too."""
    return _antithetic(game, np.random.default_rng((seed, _VALIDATION)), paths, dtype)


def certificate_sample(game: Game, seed: int, paths: int, dtype: Any) -> Sample:
    """A sample that neither training nor validation has seen, paired like the validation's."""
    return _antithetic(game, np.random.default_rng((seed, _CERTIFICATE)), paths, dtype)


def response_sample(game: Game, seed: int, name: str, step: int, paths: int, dtype: Any) -> Sample:
    """A sample of the search for best responses, one for every purpose `name` and step."""
    place = (seed, _RESPONSE, step, *name.encode())
    return _antithetic(game, np.random.default_rng(place), paths, dtype)


def probe_sample(game: Game, paths: int, dtype: Any) -> Sample:
    """A sample on which a game is looked at before a solve, the same for every seed."""
    return _antithetic(game, np.random.default_rng(_PROBE), paths, dtype)


def _antithetic(game: Game, generator: np.random.Generator, paths: int, dtype: Any) -> Sample:
    pairs = paths // 2
    kind = np.dtype(dtype)
    initial = _initial_states(game, generator, pairs, kind)
    half = generator.standard_normal((pairs, game.steps, game.noise_size), dtype=_drawn(kind))
    half *= game.step_size**0.5
    increments = np.stack([half, -half], axis=1).astype(kind, copy=False)
    return Sample(initial, increments.reshape(-1, game.steps, game.noise_size))


def _initial_states(
    game: Game, generator: np.random.Generator, pairs: int, kind: Any
) -> np.ndarray:
    """(2 · pairs, state_size), from opposite normals in every pair."""
    normals = generator.standard_normal((pairs, game.state_size), dtype=_drawn(kind))
    initial = np.empty((pairs, 2, game.state_size), kind)
    initial[:, 0] = game.initial_states(normals)
    initial[:, 1] = game.initial_states(-normals)
    return initial.reshape(-1, game.state_size)


def _drawn(kind: Any) -> type:
    return np.float32 if kind == np.float32 else np.float64
