"""Finds the best response to a profile that can be found: see `ResponseModel` for what it may be.

What is found on one sample is chosen on another and measured on a third, path by path against the
profile, so that a gain is neither the luck of a sample nor worse than nothing beyond its noise.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from fictitious_play.games.base import Game
from fictitious_play.networks.feedback_policy import FeedbackPolicy
from fictitious_play.scan import is_loop
from fictitious_play.solver import descent
from fictitious_play.solver.evaluation import policy_controls
from fictitious_play.solver.response import ResponseModel
from fictitious_play.solver.response_units import (
    ResponseUnits,
    control_unit,
    cost_unit,
    is_rotated,
    state_units,
)
from fictitious_play.solver.samples import Sample, response_sample

#: Paths on which units are measured, and those on which the unit of control is sought.
_UNIT_PATHS, _PROBE_PATHS = 512, 128
#: Most numbers that one feature layer of a training step may hold.
_ENTRIES = 2**24


@dataclass(frozen=True)
class Found:
    """What the search found.

    Attributes:
        gain: (players,), mean cost of the profile less that of the best deviation found, on paths
            that neither the search nor the choice has seen; exactly zero where nothing was found.
        standard_error: (players,), over antithetic pairs.
        by: what found it, player by player: "nothing", "exact", "linear" or "network".
        cost, spread: (players,) mean and standard deviation of the profile's path costs there.
        non_finite: (players,), numbers of those paths on which the profile's cost is not finite;
            the gain is NaN then.
        paths: how many paths there were.
        at_bounds: (players,) share of the profile's controls at the game's control bounds.
    """

    gain: np.ndarray
    standard_error: np.ndarray
    by: tuple[str, ...]
    cost: np.ndarray
    spread: np.ndarray
    non_finite: np.ndarray
    paths: int
    at_bounds: np.ndarray


class ResponseSearch:
    """The search for one profile's best responses.

    Args:
        game: the `Game`.
        policy: the profile; only the controls it plays are looked at.
        seed: of everything that is drawn.
        hidden: widths of the responses' networks; empty for linear responses alone.
        path: whether open-loop responses see the whole path of the noise.
        batch_size: most paths of a training step.
    """

    def __init__(self, game: Game, policy, seed: int, hidden=(), path=True, batch_size: int = 256):
        self.game, self.policy, self.seed = game, policy, seed
        self.closed = isinstance(policy, FeedbackPolicy)
        self.dtype = response_dtype(game)
        self._at_bounds = np.zeros(game.players)
        k, n = game.control_size, game.state_size
        widths = [1 + 4 * n + k * (1 if self.closed else 1 + game.players), *hidden]
        if self.closed:
            # The others' networks are evaluated in every copy.
            widths += [game.players * width for width in policy.hidden]
        #: What a path of a training step holds.
        self.numbers = game.steps * game.players * sum(widths)
        self.batch_size = max(16, min(batch_size, _ENTRIES // self.numbers) // 2 * 2)
        self._control: np.ndarray | None = None
        self.model = ResponseModel(
            game,
            _neutral_units(game),
            policy if self.closed else None,
            self.batch_size,
            hidden,
            path,
            dtype=self.dtype,
        )
        self.model.build()
        reader = _GradientReader(learning_rate=1.0, name="gradient_reader")
        self.model.compile(optimizer=reader, jit_compile="auto")

    def measure_units(self) -> None:
        """Measures the units of cost, controls and states on the profile as it is now."""
        game, model = self.game, self.model
        inputs = self._inputs(self._draw("units", 0, _UNIT_PATHS))
        costs, (everybody, states) = model.roll(inputs, None, keep=True)
        baseline = ops.convert_to_numpy(costs).astype(np.float64)
        controls, states = self._paths(everybody, states)
        self._at_bounds = share_at_bounds(game, controls)
        costs = baseline[np.isfinite(baseline).all(axis=1)]
        if len(costs) < 2:
            return
        cost = cost_unit(costs)
        generator = np.random.default_rng((self.seed, 5))
        shape = (_UNIT_PATHS, game.steps, game.players, game.control_size)
        shocks = generator.standard_normal(shape)
        probe = [array[:_PROBE_PATHS] for array in inputs]

        def change(size):
            disturbance = self._array(shocks[:_PROBE_PATHS] * size[:, None])
            costs, _ = model.roll(probe, None, disturbance)
            return ops.convert_to_numpy(costs).astype(np.float64) - baseline[:_PROBE_PATHS]

        size = control_unit(change, cost, controls, self._control)
        self._control = size
        disturbance = self._array(shocks * size[:, None])
        _, (_, moved) = model.roll(inputs, None, disturbance, keep=True)
        moved = np.swapaxes(ops.convert_to_numpy(moved), 0, 1)
        finite = np.isfinite(moved).all(axis=(1, 2, 3)) & np.isfinite(states).all(axis=(1, 2))
        mean, spread, rotation = state_units(states[finite], moved[finite].astype(np.float64))
        deviation = controls[finite].std(axis=0)
        model.units = ResponseUnits(
            cost=cost,
            control=np.repeat(size[:, None], game.control_size, axis=1),
            mean=mean,
            size=spread,
            rotation=rotation,
            control_mean=controls[finite].mean(axis=0),
            control_size=np.maximum(deviation, size[None, :, None]),
        )

    def run(
        self,
        paths: int,
        linear_evaluations: int,
        linear_paths: int,
        steps: int = 0,
        starts: dict[str, np.ndarray] | None = None,
    ) -> Found:
        """Searches, chooses and measures.

        Args:
            paths: on which the gains are measured; as many choose among what was found.
            linear_evaluations, linear_paths: of the quasi-Newton search over linear corrections.
            steps: Adam steps of the networks, over all their starts.
            starts: corrections (players, parameters) to begin with, by the name of where they come
                from.
        """
        chosen_on = self.inputs(self._draw("choice", 0, max(256, paths // 2)))
        choice = _Choice(self, chosen_on)
        for name, theta in (starts or {}).items():
            choice.offer(theta, name)
        if linear_evaluations > 1:
            function = self._function(self.inputs(self._draw("linear", 0, linear_paths)))
            for free in (self._constants(), self._linear()):
                self._descend(choice, function, free, linear_evaluations)
        if steps:
            self._train(choice, steps)
        return self._measure(choice, self.inputs(self._draw("measure", 0, paths)))

    def _descend(self, choice: "_Choice", function, free: np.ndarray, evaluations: int) -> None:
        """A quasi-Newton search from the best so far; points on the way are offered too, since the
        last may be the luck of the sample."""
        theta = choice.best
        for number, theta in enumerate(
            descent.quasi_newton(function, choice.best, free, evaluations)
        ):
            if (number + 1) & number == 0 or number % 8 == 7:
                choice.offer(theta, "linear")
        choice.offer(theta, "linear")

    def _train(self, choice: "_Choice", steps: int) -> None:
        """Adam with two step sizes from nothing and from the best so far, each with a seed of its
        own; what is then best goes on for the other half of the steps."""
        inputs = self.model.shapes["linear"][1] + self.model.past
        linear, nothing = choice.best, np.zeros_like(choice.best)
        tries = [(linear, 0.03), (nothing, 0.03), (linear, 0.003), (nothing, 0.1)]
        short = max(1, steps // (2 * len(tries)))
        best_rate = np.full(self.game.players, 0.03)
        for number, (begin, rate) in enumerate(tries):
            begin = self.with_network(begin, number)
            rates = np.full(self.game.players, rate / inputs**0.5)
            theta = descent.adam(self._fresh(f"train-{number}"), begin, rates, short)
            better = choice.offer(theta, "network")
            best_rate = np.where(better, rate, best_rate)
        begin = choice.best
        untrained = np.all(self._network_part(begin) == 0.0, axis=1)
        begin = np.where(untrained[:, None], self.with_network(begin, len(tries)), begin)
        rates = best_rate / inputs**0.5
        theta = descent.adam(self._fresh("train"), begin, rates, max(1, steps - 4 * short))
        choice.offer(theta, "network")

    def _measure(self, choice: "_Choice", inputs) -> Found:
        baseline = np.asarray(inputs[2], np.float64)
        non_finite: np.ndarray = np.sum(~np.isfinite(baseline), axis=0)
        with np.errstate(invalid="ignore"):
            cost, spread = baseline.mean(axis=0), baseline.std(axis=0)
        saved = -self.differences(inputs, choice.best)
        # A deviation whose cost does not exist on some path is none.
        bad: np.ndarray = ~np.isfinite(saved).all(axis=0) & (non_finite == 0)
        saved[:, bad] = 0.0
        by = tuple("nothing" if wrong else name for wrong, name in zip(bad, choice.by, strict=True))
        pairs = saved.reshape(-1, 2, saved.shape[1]).mean(axis=1)
        with np.errstate(invalid="ignore"):
            gain = pairs.mean(axis=0)
            error = pairs.std(axis=0, ddof=1) / np.sqrt(len(pairs))
        broken = non_finite > 0
        gain, error = (np.where(broken, np.nan, value) for value in (gain, error))
        paths = len(saved)
        return Found(gain, error, by, cost, spread, non_finite, paths, self._at_bounds)

    # Corrections

    @property
    def _nothing(self) -> np.ndarray:
        """The correction that changes nothing."""
        return np.zeros((self.game.players, self.parameters))

    @property
    def parameters(self) -> int:
        return sum(self.model.sizes)

    def _linear(self) -> np.ndarray:
        """Which parameters are coefficients of the linear part."""
        return np.arange(self.parameters) < self.model.sizes[0]

    def _constants(self) -> np.ndarray:
        """Which of them are constants, one a step: these are found first, however far they are."""
        steps, features, k = self.model.shapes["linear"]
        first = np.zeros((steps, features, k), bool)
        first[:, 0] = True
        return np.concatenate([first.ravel(), np.zeros(sum(self.model.sizes[1:]), bool)])

    def with_network(self, theta: np.ndarray, number: int) -> np.ndarray:
        """A correction with a fresh network, whose output is still zero."""
        model = self.model
        theta = theta.copy()
        generator = np.random.default_rng((self.seed, 6, number))
        start = 0
        for (name, shape), size in zip(model.shapes.items(), model.sizes, strict=True):
            if name.startswith("kernel"):
                scale = (2.0 / shape[0]) ** 0.5
                drawn = scale * generator.standard_normal((len(theta), size))
                theta[:, start : start + size] = drawn
            elif name not in ("linear", "past"):
                theta[:, start : start + size] = 0.0
            start += size
        return theta

    def affine(self, gains: np.ndarray, constants: np.ndarray) -> np.ndarray:
        """The correction with which every player plays an affine feedback instead of her control.

        Args:
            gains: (steps, players, control_size, state_size).
            constants: (steps, players, control_size).
        """
        game, units = self.game, self.model.units
        k, n = game.control_size, game.state_size
        shape = (game.players, *self.model.shapes["linear"])
        linear = np.zeros(shape)
        for step in range(game.steps):
            moves = np.isfinite(units.size[step])
            size = np.where(moves, units.size[step], 0.0)
            # x = mean + back z
            back = np.diag(size)
            if units.rotation is not None:
                back = back @ np.linalg.pinv(units.rotation[step]).T
            mean = gains[step] @ units.mean[step] + constants[step]
            linear[:, step, 0] = mean - units.control_mean[step]
            linear[:, step, 1 : 1 + n] = np.swapaxes(gains[step] @ back, 1, 2)
            for entry in range(k):
                linear[:, step, 1 + n + entry, entry] = -units.control_size[step, :, entry]
        linear /= units.control[:, None, None, :]
        theta = np.zeros((game.players, self.parameters))
        theta[:, : self.model.sizes[0]] = linear.reshape(game.players, -1)
        return theta

    # Costs

    def disturbed_profile(self, paths: int) -> tuple[np.ndarray, np.ndarray]:
        """What the profile answers where its players' disturbances lead, each alone and by the unit
        of control: controls (players * paths, steps, players, control_size) in states
        (players * paths, steps, state_size)."""
        game = self.game
        generator = np.random.default_rng((self.seed, 7))
        shape = (paths, game.steps, game.players, game.control_size)
        shocks = generator.standard_normal(shape) * self.model.units.control
        inputs = self._inputs(self._draw("profile", 0, paths))
        _, kept = self.model.roll(inputs, None, self._array(shocks), keep=True)
        everybody, states = (ops.convert_to_numpy(each).astype(np.float64) for each in kept)
        # (steps, paths, copies, ...): what is answered does not hold the disturbance itself.
        return tuple(
            np.moveaxis(each, 0, 2).reshape(-1, game.steps, *each.shape[3:])
            for each in (everybody, states)
        )

    def inputs(self, sample: Sample) -> list:
        """A sample with the costs of the profile, and in open loop its controls, as inputs of the
        model."""
        inputs = self._inputs(sample)
        inputs[2] = self._array(self._rolled(inputs, self._nothing))
        return inputs

    def differences(self, inputs, theta: np.ndarray) -> np.ndarray:
        """Cost of every deviation less that of the profile, path by path, (paths, players)."""
        return self._rolled(inputs, theta)

    def _inputs(self, sample: Sample) -> list:
        """The same without the costs of the profile, zero in their place."""
        given = [self._array(array) for array in sample]
        if not self.closed:
            kind = self.policy.variable_dtype
            controls = policy_controls(self.policy, Sample(*(a.astype(kind) for a in sample)))
            given.append(self._array(controls))
        costs = np.zeros((sample.paths, self.game.players), self.dtype)
        return [*given[:2], costs, *given[2:]]

    def _rolled(self, inputs, theta: np.ndarray) -> np.ndarray:
        """Path costs of every deviation less those in the inputs, (paths, players)."""
        paths = len(inputs[0])
        parts = []
        for start in range(0, paths, self.batch_size):
            # Every batch has the same shape: there is one step to compile.
            place = np.arange(start, start + self.batch_size) % paths
            changes, _ = self._step(theta, [array[place] for array in inputs])
            parts.append(changes[: paths - start])
        return np.concatenate(parts) * self.model.units.cost

    def _paths(self, everybody, states) -> tuple[np.ndarray, np.ndarray]:
        """Controls (paths, steps, players, control_size) and states (paths, steps, state_size) of
        the profile, from what the roll-out of undisturbed copies has kept."""
        read = (ops.convert_to_numpy(each)[:, :, 0] for each in (everybody, states))
        controls, states = (np.swapaxes(each, 0, 1).astype(np.float64) for each in read)
        return controls, states

    def _function(self, inputs) -> descent.Function:
        """Mean change of cost on a fixed sample and its gradient."""
        finite = np.isfinite(inputs[2]).all(axis=1)
        if not finite.any():
            return lambda theta: (np.full(len(theta), np.nan), np.full_like(theta, np.nan))
        # Paths on which the profile itself has no cost teach nothing; the shape stays the same.
        paths = -(-len(finite) // self.batch_size) * self.batch_size
        order = np.resize(np.flatnonzero(finite), paths)
        inputs = [array[order] for array in inputs]

        def evaluated(theta):
            values, gradients = np.zeros(len(theta)), np.zeros_like(theta)
            for start in range(0, paths, self.batch_size):
                part = [array[start : start + self.batch_size] for array in inputs]
                changes, gradient = self._step(theta, part)
                values += changes.mean(axis=0) * self.batch_size / paths
                gradients += gradient * self.batch_size / paths
            return values, gradients

        return evaluated

    def _step(self, theta, batch) -> tuple[np.ndarray, np.ndarray]:
        """Changes of cost, in their units, (batch, players), and the gradient of their means."""
        model = self.model
        model.theta.assign(theta)
        model.train_on_batch(batch)
        changes, gradient = ops.convert_to_numpy(model.changes), ops.convert_to_numpy(model.theta)
        return np.array(changes, np.float64), np.array(gradient, np.float64)

    def _fresh(self, name: str) -> Iterator[descent.Function]:
        step = 0
        while True:
            # The profile's costs only shift the values, which Adam does not look at.
            yield self._function(self._inputs(self._draw(name, step, self.batch_size)))
            step += 1

    def _draw(self, name: str, step: int, paths: int) -> Sample:
        return response_sample(self.game, self.seed, name, step, paths, self.dtype)

    def _array(self, values) -> np.ndarray:
        return np.asarray(values, self.dtype)

    def _network_part(self, theta: np.ndarray) -> np.ndarray:
        return theta[:, sum(self.model.sizes[: 1 + self.model.sees_past]) :]


class _Choice:
    """The best correction so far of every player, on a sample of its own."""

    def __init__(self, search: ResponseSearch, inputs):
        self._search = search
        finite = np.isfinite(np.asarray(inputs[2])).all(axis=1)
        self._inputs = [array[finite] for array in inputs]
        players = search.game.players
        self.best = np.zeros((players, search.parameters))
        self.saved = np.zeros(players)
        self.by = ["nothing"] * players

    def offer(self, theta: np.ndarray, name: str) -> np.ndarray:
        """Takes a correction for the players whom it saves more; (players,), which ones."""
        if not len(self._inputs[0]):
            return np.zeros(len(theta), bool)
        differences = self._search.differences(self._inputs, theta)
        with np.errstate(invalid="ignore"):
            saved = -differences.mean(axis=0)
        better = saved > self.saved  # never for NaN
        self.saved = np.where(better, saved, self.saved)
        self.best = np.where(better[:, None], theta, self.best)
        self.by = [name if new else old for new, old in zip(better, self.by, strict=True)]
        return better


class _GradientReader(keras.optimizers.Optimizer):
    """An optimizer that leaves the gradient in place of the variable, to be read from there."""

    def update_step(self, gradient, variable, learning_rate):
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


def share_at_bounds(game: Game, controls: np.ndarray) -> np.ndarray:
    """(players,) share of controls (paths, steps, players, control_size) within a thousandth of
    the distance of the game's control bounds; zero without bounds."""
    bounds = getattr(game, "control_bounds", None)
    if bounds is None:
        return np.zeros(game.players)
    low, high = (np.broadcast_to(bound, controls.shape[2:]) for bound in bounds)
    near = 1e-3 * np.where(np.isfinite(high - low), high - low, 1.0)
    return np.mean((controls <= low + near) | (controls >= high - near), axis=(0, 1, 3))


def _neutral_units(game: Game) -> ResponseUnits:
    steps, n, players, k = game.steps, game.state_size, game.players, game.control_size
    return ResponseUnits(
        cost=np.ones(players),
        control=np.ones((players, k)),
        mean=np.zeros((steps, n)),
        size=np.ones((steps, n)),
        rotation=np.zeros((steps, n, n)) if is_rotated(n) else None,
        control_mean=np.zeros((steps, players, k)),
        control_size=np.ones((steps, players, k)),
    )
