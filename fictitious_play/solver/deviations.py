"""What everybody's corrections of a profile change in path costs, on samples of any size."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from fictitious_play.compiled import Compiled
from fictitious_play.games.base import Game
from fictitious_play.networks.feedback_policy import FeedbackPolicy
from fictitious_play.scan import is_loop
from fictitious_play.solver import descent
from fictitious_play.solver.corrections import Corrections
from fictitious_play.solver.deviation_gain import share_at_bounds
from fictitious_play.solver.evaluation import policy_controls
from fictitious_play.solver.response import ResponseModel
from fictitious_play.solver.response_units import (
    ResponseUnits,
    control_unit,
    cost_unit,
    state_units,
)
from fictitious_play.solver.samples import Sample, response_sample

#: Paths on which units are measured, and those on which the unit of control is sought.
_UNIT_PATHS, _PROBE_PATHS = 512, 128
#: Most numbers that one feature layer of a training step may hold.
_ENTRIES = 2**24


def path_numbers(game: Game, policy: Any, hidden: Sequence[int] = ()) -> int:
    """What a path of a training step holds, in numbers a player who responds."""
    closed = isinstance(policy, FeedbackPolicy)
    k, n = game.control_size, game.state_size
    widths = [1 + 4 * n + k * (1 if closed else 1 + game.players), *hidden]
    if closed:
        # The others' networks are evaluated in every copy.
        widths += [game.players * width for width in policy.hidden]
    return game.steps * sum(widths)


def batch_of(numbers: int, most: int = 256) -> int:
    """Paths of a training step, of so many numbers each."""
    return max(16, min(most, _ENTRIES // numbers) // 2 * 2)


class Deviations:
    """Evaluates corrections, all players' at once, in batches of one shape: one compiled step
    serves search, choice and measure.

    Args:
        game: the `Game`.
        policy: the profile; only the controls it plays are looked at.
        seed: of everything that is drawn.
        hidden, path: as in `Corrections`.
        batch_size: most paths of a training step.
        who: indices of the players who respond, in increasing order; None for all.

    Attributes:
        corrections: the layout of their parameters.
        model: the `ResponseModel`.
        at_bounds: of the players who respond, as in `DeviationGain`, once units are measured.
    """

    def __init__(
        self,
        game: Game,
        policy: Any,
        seed: int,
        hidden: Sequence[int] = (),
        path: bool = True,
        batch_size: int = 256,
        who: np.ndarray | None = None,
    ):
        self.game, self.policy, self.seed = game, policy, seed
        self.closed = isinstance(policy, FeedbackPolicy)
        self.dtype = response_dtype(game)
        self.who = np.arange(game.players) if who is None else who
        rows = len(self.who)
        self.at_bounds = np.zeros(rows)
        self.batch_size = batch_of(rows * path_numbers(game, policy, hidden), batch_size)
        self._control: np.ndarray | None = None
        self.corrections = Corrections(game, self.closed, hidden, path, rows)
        self.model = ResponseModel(
            game,
            self.corrections,
            policy if self.closed else None,
            self.batch_size,
            self.dtype,
            self.who,
        )
        self.model.build()
        reader = _GradientReader(learning_rate=1.0, name="gradient_reader")
        self.model.compile(optimizer=reader, jit_compile="auto")
        self._disturbed = Compiled(
            lambda disturbance, *inputs: self.model.roll(inputs, None, disturbance),
            self.model.variables,
        )

    def measure_units(self) -> None:
        """Measures the units of cost, controls and states on the profile as it is now."""
        game, model, who = self.game, self.model, self.who
        inputs = self._inputs(self.draw("units", 0, _UNIT_PATHS))
        shape = (_UNIT_PATHS, game.steps, len(who), game.control_size)
        costs, kept = self._disturbed(np.zeros(shape, self.dtype), *inputs)
        baseline = ops.convert_to_numpy(costs).astype(np.float64)
        # (paths, steps, ...) of the profile, from copies of the game that nobody disturbs.
        controls, states = (
            np.swapaxes(ops.convert_to_numpy(each)[:, :, 0], 0, 1).astype(np.float64)
            for each in kept
        )
        self.at_bounds = share_at_bounds(game, controls)[who]
        costs = baseline[np.isfinite(baseline).all(axis=1)]
        if len(costs) < 2:
            return
        cost = cost_unit(costs)
        generator = np.random.default_rng((self.seed, 5))
        shocks = generator.standard_normal(shape)
        probe = [array[:_PROBE_PATHS] for array in inputs]

        def change(size: Any) -> Any:
            disturbance = self._array(shocks[:_PROBE_PATHS] * size[:, None])
            costs, _ = self._disturbed(disturbance, *probe)
            return ops.convert_to_numpy(costs).astype(np.float64) - baseline[:_PROBE_PATHS]

        size = control_unit(change, cost, controls[:, :, who], self._control)
        self._control = size
        disturbance = self._array(shocks * size[:, None])
        _, (_, moved) = self._disturbed(disturbance, *inputs)
        moved = np.swapaxes(ops.convert_to_numpy(moved), 0, 1)
        finite = np.isfinite(moved).all(axis=(1, 2, 3)) & np.isfinite(states).all(axis=(1, 2))
        mean, spread, rotation = state_units(states[finite], moved[finite].astype(np.float64))
        deviation = controls[finite].std(axis=0)
        # Of players who do not respond, controls are seen in a unit of those who do.
        everybodys = np.full(game.players, np.median(size))
        everybodys[who] = size
        costs_of_all = np.ones(game.players)
        costs_of_all[who] = cost
        model.units = ResponseUnits(
            cost=costs_of_all,
            control=np.repeat(everybodys[:, None], game.control_size, axis=1),
            mean=mean,
            size=spread,
            rotation=rotation,
            control_mean=controls[finite].mean(axis=0),
            control_size=np.maximum(deviation, everybodys[None, :, None]),
        )

    def draw(self, name: str, step: int, paths: int) -> Sample:
        """The sample of a purpose and a step."""
        return response_sample(self.game, self.seed, name, step, paths, self.dtype)

    def inputs(self, sample: Sample) -> list:
        """A sample with the costs of the profile, and in open loop its controls, as inputs of the
        model."""
        inputs = self._inputs(sample)
        inputs[2] = self._array(self.differences(inputs, self.corrections.nothing))
        return inputs

    def differences(self, inputs: Any, theta: np.ndarray) -> np.ndarray:
        """Cost of every deviation less that of the profile, path by path, (paths, players)."""
        paths = len(inputs[0])
        parts = []
        for start in range(0, paths, self.batch_size):
            # Every batch has the same shape: there is one step to compile.
            place = np.arange(start, start + self.batch_size) % paths
            changes, _ = self._step(theta, [array[place] for array in inputs])
            parts.append(changes[: paths - start])
        return np.concatenate(parts) * self.model.units.cost[self.who]

    def function(self, inputs: Any) -> descent.Function:
        """Mean change of cost on a fixed sample and its gradient."""
        finite = np.isfinite(inputs[2]).all(axis=1)
        if not finite.any():
            return lambda theta: (np.full(len(theta), np.nan), np.full_like(theta, np.nan))
        # Paths on which the profile itself has no cost teach nothing; the shape stays the same.
        paths = -(-len(finite) // self.batch_size) * self.batch_size
        order = np.resize(np.flatnonzero(finite), paths)
        inputs = [array[order] for array in inputs]

        def evaluated(theta: Any) -> tuple:
            values, gradients = np.zeros(len(theta)), np.zeros_like(theta)
            for start in range(0, paths, self.batch_size):
                part = [array[start : start + self.batch_size] for array in inputs]
                changes, gradient = self._step(theta, part)
                values += changes.mean(axis=0) * self.batch_size / paths
                gradients += gradient * self.batch_size / paths
            return values, gradients

        return evaluated

    def fresh(self, name: str) -> Iterator[descent.Function]:
        """Such functions, each on a batch of its own."""
        step = 0
        while True:
            # The profile's costs only shift the values, which Adam does not look at.
            yield self.function(self._inputs(self.draw(name, step, self.batch_size)))
            step += 1

    def _inputs(self, sample: Sample) -> list:
        """Inputs of the model with zero in place of the profile's costs."""
        given = [self._array(array) for array in sample]
        if not self.closed:
            kind = self.policy.variable_dtype
            controls = policy_controls(self.policy, Sample(*(a.astype(kind) for a in sample)))
            given.append(self._array(controls))
        costs = np.zeros((sample.paths, len(self.who)), self.dtype)
        return [*given[:2], costs, *given[2:]]

    def _step(self, theta: Any, batch: Any) -> tuple[np.ndarray, np.ndarray]:
        """Changes of cost, in their units, (batch, players), and the gradient of their means."""
        model = self.model
        model.theta.assign(theta)
        model.train_on_batch(batch)
        changes, gradient = ops.convert_to_numpy(model.changes), ops.convert_to_numpy(model.theta)
        return np.array(changes, np.float64), np.array(gradient, np.float64)

    def _array(self, values: Any) -> np.ndarray:
        return np.asarray(values, self.dtype)


class _GradientReader(keras.optimizers.Optimizer):
    """An optimizer that leaves the gradient in place of the variable, to be read from there."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        self.assign(variable, ops.cast(gradient, variable.dtype))


def response_dtype(game: Game) -> str:
    """float64 where the game keeps it and the backend has it, else float32."""
    if keras.backend.standardize_dtype(ops.array(np.zeros(1)).dtype) != "float64":
        return "float32"
    shapes = ((game.state_size,), (game.players, game.control_size), (game.noise_size,))
    states, controls, noise = (ops.zeros((2, *shape), dtype="float64") for shape in shapes)
    # Where steps are a loop on the device, the time is a tensor.
    time = ops.convert_to_tensor(0.0, dtype="float64") if is_loop(game.steps) else 0.0
    try:
        after = game.euler_step(time, states, controls, noise)
        costs = (game.running_cost(time, states, controls), game.terminal_cost(states))
        kinds = {keras.backend.standardize_dtype(each.dtype) for each in (after, *costs)}
    except Exception:  # each backend has errors of its own for a product of two dtypes
        return "float32"
    return "float64" if kinds == {"float64"} else "float32"
