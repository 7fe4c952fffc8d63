"""One stage of fictitious play: all players at once, or one after another."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from fictitious_play.games.base import Game
from fictitious_play.solver.averaging import WeightAverage, copy_values
from fictitious_play.solver.belief import Belief
from fictitious_play.solver.closed_loop import ClosedLoop
from fictitious_play.solver.open_loop import OpenLoop
from fictitious_play.solver.optimizers import OptimizerChoice
from fictitious_play.solver.samples import Chunk, Sample, training_chunk, training_sample
from fictitious_play.solver.training import Trainer, compile_model, renewed_model

#: Paths on which the units of closed-loop networks are measured.
_UNIT_PATHS = 2048
#: How long a chunk of steps should take, in seconds: progress moves that often.
CHUNK_SECONDS = 2.0
#: Most numbers in an array of a chunk.
_NUMBERS = 2**24


class NonFiniteLossError(ArithmeticError):
    """A training step's loss was NaN or infinite; the message names players, stage and step."""


@dataclass(frozen=True)
class Training:
    """How the networks are trained: paths per step, seed, dtype, optimizer, steps of the whole
    solve, whether the step is compiled, the players' `cost_weights`, of one where None, and whether
    players announce averages of a stage's weights or the last ones."""

    batch_size: int
    seed: int
    dtype: str
    optimizer: OptimizerChoice
    total_steps: int
    jit_compile: bool | str = "auto"
    cost_weights: np.ndarray | None = None
    average_weights: bool = True

    def sample(self, game: Game, stage: int, step: int, paths: int | None = None) -> Sample:
        """The noise of a training step; that of step 0 of stage 0 is not trained on."""
        paths = self.batch_size if paths is None else paths
        return training_sample(game, self.seed, stage, step, paths, self.dtype)

    def capacity(self, game: Game, steps: int) -> int:
        """How many of a stage's steps fit in a chunk's arrays."""
        controls = game.steps * game.players * game.control_size
        return max(1, min(steps, _NUMBERS // (self.batch_size * (game.state_size + controls))))

    def chunk(self, game: Game, stage: int, first: int, count: int, capacity: int) -> Chunk:
        """The batches of some training steps."""
        place = (self.seed, stage, first, count, capacity)
        return training_chunk(game, *place, self.batch_size, self.dtype)

    def rate(self, step: int) -> float:
        """The learning rate of a training step of the whole solve, counted from 0."""
        return self.optimizer.rate(step, self.total_steps)

    def compile(self, model: Any) -> Any:
        """Builds and compiles a model."""
        if self.cost_weights is not None:
            only = model.policy.only
            players = slice(None) if only is None else slice(only, only + 1)
            model.cost_weights = self.cost_weights[players]
        return compile_model(model, self.optimizer.make(self.total_steps), self.jit_compile)


class Play:
    """The state of a running solve: the players' networks, their optimizers and their belief.

    Attributes:
        policy: all players' networks.
        announced: what they tell each other of them, the policy itself or its average.
        belief: what they expect of each other.
        models: the compiled training models by name.
        averages: of the networks that they train, where weights are averaged; models and averages
            are all that has to be saved of the networks.
    """

    policy: Any
    announced: Any
    belief: Belief
    models: dict[str, keras.Model]
    averages: dict[str, WeightAverage]

    def __init__(self, structure: OpenLoop | ClosedLoop, training: Training):
        self.structure: Any = structure
        self.averages = {}
        self.training = training
        self._at_once = 1

    def stage(self, stage: int, steps: int, on_steps: Callable[[int], None]) -> np.ndarray:
        """Plays one stage: everybody takes `steps` training steps, then the belief moves.

        Args:
            stage: its number, from 1.
            steps: number of training steps.
            on_steps: called with the number of steps that everybody has just taken.

        Returns:
            The sum of the players' mean costs against the belief, step by step.

        Raises:
            NonFiniteLossError: the players' networks are then to be thrown away.
        """
        raise NotImplementedError

    def resume(self, stage: int, profiles: dict[int, list[np.ndarray]], shares: np.ndarray) -> None:
        """Goes on after `stage`, whose models have just been loaded: restores the belief from
        earlier profiles by stage and their shares."""
        self.belief.restore(stage, self.announced, profiles, shares)

    def snapshot(self) -> list:
        """Networks and optimizers as they are now, in memory of their own."""
        return [ops.copy(variable) for variable in self._variables()]

    def restore(self, before: list) -> None:
        """Goes back to the networks and optimizers of a snapshot."""
        for variable, value in zip(self._variables(), before, strict=True):
            variable.assign(value)

    def take_back(self, stage: int, before: list) -> None:
        """Undoes `stage`, which has just been played: everybody goes back to the networks of
        `before`, and announces once more what was announced then."""
        self.restore(before)
        self.belief.announce(stage, self.announced)

    def _variables(self) -> list:
        """All that training moves but the number of steps taken, which the learning rate follows;
        the policy's weights come first."""
        trained = [model.policy for model in self.models.values()]
        averages = [each.average for each in self.averages.values()]
        policies = {id(each): each for each in (self.policy, *trained, self.announced, *averages)}
        found = [weight for policy in policies.values() for weight in policy.weights]
        for model in self.models.values():
            optimizer = model.optimizer
            found += [each for each in optimizer.variables if each is not optimizer.iterations]
        return found

    def _average(self, name: str, policy: Any, only: int | None = None) -> WeightAverage | None:
        """What averages the weights of a model's policy."""
        if not self.training.average_weights:
            return None
        self.averages[name] = WeightAverage(policy, self.structure.policy(only))
        return self.averages[name]

    def _steps(
        self, trainer: Trainer, stage: int, steps: int, on_steps: Any, first_player: int = 0
    ) -> np.ndarray:
        """Takes the steps of a stage with one trainer, in chunks; the costs of its players
        against the belief, (steps, players).

        A chunk is as long as steps of the last one's length take `CHUNK_SECONDS`. No bit depends
        on how steps are divided into chunks.
        """
        capacity = self.training.capacity(self.structure.game, steps)
        costs_so_far, done = [], 0
        while done < steps:
            count = min(self._at_once, steps - done, capacity)
            clock = time.monotonic()
            costs = self._train(trainer, stage, done, count, steps)
            seconds = max(time.monotonic() - clock, 1e-6)
            self._at_once = max(1, min(8 * count, int(count * CHUNK_SECONDS / seconds)))
            _check_finite(costs, stage, done, first_player)
            costs_so_far.append(costs)
            done += count
            on_steps(count)
        if trainer.average is not None:
            trainer.average.close()
        return np.concatenate(costs_so_far)

    def _train(
        self, trainer: Trainer, stage: int, first: Any, count: Any, steps: int
    ) -> np.ndarray:
        """Takes `count` of a stage's steps from step `first` on, counted from 0."""
        return trainer(*self.arguments(stage, first, count, steps))

    def arguments(self, stage: int, first: int, count: int, steps: int) -> tuple[Chunk, dict, dict]:
        """What a `Trainer` is called with: a chunk, and what it is told of the belief."""
        training, structure = self.training, self.structure
        capacity = training.capacity(structure.game, steps)
        chunk = training.chunk(structure.game, stage, first, count, capacity)
        left = max(0.0, 1.0 - (stage - 1) * steps / training.total_steps)
        return chunk, self.belief.by_step(chunk), structure.fixed(left, training.batch_size)


def _check_finite(costs: np.ndarray, stage: int, first: int, first_player: int) -> None:
    bad = ~np.isfinite(costs)
    if not bad.any():
        return
    step = int(np.flatnonzero(bad.any(axis=1))[0])
    who = ", ".join(str(first_player + column) for column in np.flatnonzero(bad[step]))
    raise NonFiniteLossError(
        f"The loss of player {who} became {costs[step].sum()} in stage {stage}, step "
        f"{first + step + 1}. The networks of stage {stage - 1} are kept; try a smaller "
        "learning_rate."
    )


class SimultaneousPlay(Play):
    """All players answer the same belief at once: Algorithm 1 of Hu (2019)."""

    def __init__(self, structure: Any, training: Training, rule: Any, damping: Any):
        super().__init__(structure, training)
        self.policy = structure.policy()
        average = self._average("model", self.policy)
        self.announced = self.policy if average is None else average.average
        self.belief = structure.belief(rule, damping)
        self._serve(training.compile(structure.model(self.policy, self.belief)))

    def stage(self, stage: int, steps: int, on_steps: Any) -> Any:
        if stage > 1:
            self.structure.follow(self.policy)
        costs = self._steps(self._trainer, stage, steps, on_steps)
        self.belief.announce(stage, self.announced)
        self._renew()
        return costs.sum(axis=1, dtype=np.float64)

    def resume(self, stage: int, profiles: dict[int, list[np.ndarray]], shares: np.ndarray) -> None:
        super().resume(stage, profiles, shares)
        self._renew()

    def _serve(self, model: Any) -> None:
        self.models = {"model": model}
        self._trainer = Trainer(model, self.training.batch_size, self.averages.get("model"))

    def _renew(self) -> None:
        """A belief that has outgrown its training model needs another one."""
        if not self.structure.fits(self.models["model"], self.belief):
            model = self.structure.model(self.policy, self.belief)
            self._serve(renewed_model(model, self.models["model"]))


class SequentialPlay(Play):
    """The players answer one after another: each one knows the new controls of those before her.

    Every player has a model and an optimizer of her own, so a stage costs as much arithmetic as a
    simultaneous one, in N times as many and N times smaller steps.
    """

    def __init__(self, structure: Any, training: Training):
        super().__init__(structure, training)
        self.policy = self.announced = structure.policy()
        if training.average_weights:
            self.announced = structure.policy()
        self.belief = structure.belief("sequential", 1.0)
        self.models, self._trainers = {}, []
        for player in range(structure.game.players):
            alone = structure.policy(player)
            for target, source in zip(
                alone.stacked_weights, self.policy.stacked_weights, strict=True
            ):
                target.assign(ops.copy(source[:, player : player + 1]))
            model = training.compile(structure.model(alone, self.belief))
            name = f"player-{player}"
            self.models[name] = model
            average = self._average(name, alone, player)
            self._trainers.append(Trainer(model, training.batch_size, average))

    def stage(self, stage: int, steps: int, on_steps: Any) -> Any:
        if stage > 1:
            alone = [model.policy for model in self.models.values()]
            others = alone if self.announced is self.policy else [*alone, self.announced]
            self.structure.follow(self.policy, others)
        losses = np.zeros(steps)
        for player, trainer in enumerate(self._trainers):
            told = on_steps if player == 0 else lambda count: None
            losses += self._steps(trainer, stage, steps, told, player)[:, 0]
            self._collect(player)
            self.belief.announce(stage, self.announced, player)
        return losses

    def resume(self, stage: int, profiles: dict[int, list[np.ndarray]], shares: np.ndarray) -> None:
        for player in range(len(self.models)):
            self._collect(player)
        super().resume(stage, profiles, shares)

    def _collect(self, player: int) -> None:
        """Puts a player's networks, and what she announces, among everybody's."""
        trainer = self._trainers[player]
        _put(self.policy, player, trainer.model.policy)
        if trainer.average is not None:
            _put(self.announced, player, trainer.average.average)


def _put(joint: Any, player: int, alone: Any) -> None:
    for target, source in zip(joint.stacked_weights, alone.stacked_weights, strict=True):
        values = np.array(ops.convert_to_numpy(target))
        values[:, player] = ops.convert_to_numpy(source)[:, 0]
        target.assign(values)
    copy_values(alone.unit_weights, joint.unit_weights)


def make_play(
    game: Game,
    network: Any,
    training: Training,
    structure: Any,
    rule: Any,
    damping: Any,
    initial_belief: Any,
) -> Play:
    """The play of an information structure and a belief."""
    made: OpenLoop | ClosedLoop
    if structure == "closed_loop":
        units = training.sample(game, 0, 0, _UNIT_PATHS)
        made = ClosedLoop(game, network, initial_belief, units)
    else:
        made = OpenLoop(game, network, initial_belief)
    if rule == "sequential":
        return SequentialPlay(made, training)
    return SimultaneousPlay(made, training, rule, damping)
