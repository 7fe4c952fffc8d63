"""The parameters of corrections, one row per player who responds, and where each of them stands."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from fictitious_play.solver.response_units import ResponseUnits


class Corrections:
    """The layout of a row of parameters.

    Args:
        game: the `Game`.
        closed: whether the profile is a feedback; in open loop everybody's controls are seen.
        hidden: widths of the hidden layers; empty for the linear part alone.
        path: whether the noise since the beginning is seen, in open loop.
        rows: how many players respond; None for all.

    Attributes:
        shapes: shapes of a player's parts by name, in the order in which they stand: "linear"
            (steps, features, control_size), "past" with `path`, and kernels, biases and output of
            the network.
        past: how many numbers of the path are seen.
        parameters: of a player.
    """

    def __init__(
        self,
        game: Any,
        closed: bool,
        hidden: Sequence[int] = (),
        path: bool = True,
        rows: int | None = None,
    ):
        self.game, self.hidden = game, tuple(hidden)
        self.rows = game.players if rows is None else rows
        k, n = game.control_size, game.state_size
        inputs = n + k + (0 if closed else game.players * k)
        self.past = 0 if closed or not path else n + game.steps * game.noise_size
        self.shapes: dict[str, tuple[int, ...]] = {"linear": (game.steps, 1 + inputs + 3 * n, k)}
        if self.past:
            self.shapes["past"] = (game.steps, self.past, k)
        before = inputs + self.past
        for number, width in enumerate(self.hidden):
            self.shapes[f"kernel_{number}"] = (before, width)
            self.shapes[f"bias_{number}"] = (width,) if number else (game.steps, width)
            before = width
        if self.hidden:
            self.shapes["output"] = (before, k)
        sizes = [int(np.prod(shape)) for shape in self.shapes.values()]
        ends = np.cumsum(sizes).tolist()
        self._places = {
            name: slice(end - size, end)
            for name, size, end in zip(self.shapes, sizes, ends, strict=True)
        }
        self.parameters = ends[-1]

    def parts(self, theta: Any) -> dict:
        """A tensor (rows, parameters) as tensors (rows, *shape) by name."""
        return {
            name: ops.reshape(theta[:, place], (self.rows, *self.shapes[name]))
            for name, place in self._places.items()
        }

    @property
    def nothing(self) -> np.ndarray:
        """The correction that changes nothing."""
        return np.zeros((self.rows, self.parameters))

    @property
    def linear(self) -> np.ndarray:
        """(parameters,), which of them are coefficients of the linear part."""
        return np.arange(self.parameters) < self._places["linear"].stop

    @property
    def constants(self) -> np.ndarray:
        """(parameters,), which of them are constants, one per step."""
        steps, features, k = self.shapes["linear"]
        first = np.zeros((steps, features, k), bool)
        first[:, 0] = True
        return np.concatenate([first.ravel(), np.zeros(self.parameters - first.size, bool)])

    def without_network(self, theta: np.ndarray) -> np.ndarray:
        """(players,), whose network does nothing at all."""
        last = self._places["past" if self.past else "linear"].stop
        return np.all(theta[:, last:] == 0.0, axis=1)

    def with_network(self, theta: np.ndarray, seed: tuple[int, ...]) -> np.ndarray:
        """The same with a fresh network, whose output is still zero."""
        theta, generator = theta.copy(), np.random.default_rng(seed)
        for name, place in self._places.items():
            shape = theta[:, place].shape
            if name.startswith("kernel"):
                scale = (2.0 / self.shapes[name][0]) ** 0.5
                theta[:, place] = scale * generator.standard_normal(shape)
            elif name not in ("linear", "past"):
                theta[:, place] = 0.0
        return theta

    def affine(self, gains: np.ndarray, constants: np.ndarray, units: ResponseUnits) -> np.ndarray:
        """The correction with which every player plays an affine feedback instead of her control.

        Args:
            gains: (steps, players, control_size, state_size).
            constants: (steps, players, control_size).
            units: in which it is to be written.
        """
        k, n = self.game.control_size, self.game.state_size
        linear = np.zeros((self.game.players, *self.shapes["linear"]))
        for step in range(self.game.steps):
            moves = np.isfinite(units.size[step])
            # x = mean + back z
            back = np.diag(np.where(moves, units.size[step], 0.0))
            if units.rotation is not None:
                back = back @ np.linalg.pinv(units.rotation[step]).T
            mean = gains[step] @ units.mean[step] + constants[step]
            linear[:, step, 0] = mean - units.control_mean[step]
            linear[:, step, 1 : 1 + n] = np.swapaxes(gains[step] @ back, 1, 2)
            for entry in range(k):
                linear[:, step, 1 + n + entry, entry] = -units.control_size[step, :, entry]
        linear /= units.control[:, None, None, :]
        theta = self.nothing
        theta[:, self.linear] = linear.reshape(len(theta), -1)
        return theta
