"""One stage of fictitious play: all players at once, or one after another."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from fictitious_play import devices
from fictitious_play.games.base import Game
from fictitious_play.solver.belief import Belief
from fictitious_play.solver.closed_loop import ClosedLoop
from fictitious_play.solver.open_loop import OpenLoop
from fictitious_play.solver.samples import Sample, training_sample, tremble_sample
from fictitious_play.solver.training import compile_model, players_not_finite, renewed_model

#: Paths on which the units of closed-loop networks are measured.
_UNIT_PATHS = 2048


class NonFiniteLossError(ArithmeticError):
    """A training step's loss was NaN or infinite; the message names players, stage and step."""


@dataclass(frozen=True)
class Training:
    """How the networks are trained: paths a step, seed, dtype, Adam's cosine schedule, and whether
    the step is compiled."""

    batch_size: int
    seed: int
    dtype: str
    learning_rate: float
    final_rate_ratio: float
    total_steps: int
    jit_compile: bool | str = "auto"

    def sample(self, game: Game, stage: int, step: int, paths: int | None = None) -> Sample:
        """The noise of a training step; that of step 0 of stage 0 is not trained on."""
        paths = self.batch_size if paths is None else paths
        return training_sample(game, self.seed, stage, step, paths, self.dtype)

    def rate(self, step: int) -> float:
        """The learning rate of a training step of the whole solve, counted from 0."""
        share = min(step, self.total_steps) / self.total_steps
        cosine = 0.5 * (1.0 + math.cos(math.pi * share))
        ratio = self.final_rate_ratio
        return self.learning_rate * ((1.0 - ratio) * cosine + ratio)

    def compile(self, model):
        """Builds and compiles a model."""
        schedule = (self.learning_rate, self.final_rate_ratio, self.total_steps)
        return compile_model(model, *schedule, jit_compile=self.jit_compile)


class Play:
    """The state of a running solve: the players' networks, their optimizers and their belief.

    Attributes:
        policy: all players' networks.
        belief: what they expect of each other.
        models: the compiled training models by name; all that has to be saved of the networks.
    """

    policy: Any
    belief: Belief
    models: dict[str, keras.Model]

    def __init__(self, information: OpenLoop | ClosedLoop, training: Training):
        self.information = information
        self.training = training

    def stage(self, stage: int, steps: int, on_step: Callable[[], None]) -> list[float]:
        """Plays one stage: everybody takes `steps` training steps, then the belief moves.

        Returns:
            The sum of the players' mean costs against the belief, step by step.

        Raises:
            NonFiniteLossError: the players' networks are then to be thrown away.
        """
        raise NotImplementedError

    def resume(self, stage: int, profiles: dict[int, list[np.ndarray]], shares) -> None:
        """Goes on after `stage`, whose models have just been loaded: restores the belief from
        earlier profiles by stage and their shares."""
        self.belief.restore(stage, self.policy, profiles, shares)

    def _inputs(self, stage: int, step: int, steps: int) -> list:
        """A fresh batch for the training models, in a stage of that many steps."""
        sample = self.training.sample(self.information.game, stage, step)
        return [*sample, *self.belief.inputs(sample), *self._trembles(stage, step, steps)]

    def _trembles(self, stage: int, step: int, steps: int) -> list[np.ndarray]:
        """Of the players' hands: none in open-loop play, where nobody answers a path."""
        if not isinstance(self.information, ClosedLoop):
            return []
        training, game = self.training, self.information.game
        arguments = (game, training.seed, stage, step, training.batch_size, training.dtype)
        done = (stage - 1) * steps / training.total_steps
        return [self.information.trembles(tremble_sample(*arguments), max(0.0, 1.0 - done))]

    def _train(self, model, inputs, stage: int, step: int, first_player: int = 0) -> float:
        loss = devices.train_step(model, inputs)
        if not np.isfinite(loss):
            players = [first_player + column for column in players_not_finite(model, inputs)]
            who = f"player {', '.join(map(str, players))}" if players else "the belief"
            raise NonFiniteLossError(
                f"The loss of {who} became {loss} in stage {stage}, step {step + 1}. "
                f"The networks of stage {stage - 1} are kept; try a smaller learning_rate."
            )
        return loss


class SimultaneousPlay(Play):
    """All players answer the same belief at once: Algorithm 1 of Hu (2019)."""

    def __init__(self, information, training, rule, damping):
        super().__init__(information, training)
        self.policy = information.policy()
        self.belief = information.belief(rule, damping)
        self.models = {"model": training.compile(information.model(self.policy, self.belief))}

    def stage(self, stage, steps, on_step):
        if stage > 1:
            self.information.follow(self.policy)
        losses = []
        for step in range(steps):
            inputs = self._inputs(stage, step, steps)
            losses.append(self._train(self.models["model"], inputs, stage, step))
            on_step()
        self.belief.announce(stage, self.policy)
        self._renew()
        return losses

    def resume(self, stage, profiles, shares):
        super().resume(stage, profiles, shares)
        self._renew()

    def _renew(self):
        """A belief that has outgrown its training model needs another one."""
        if not self.information.fits(self.models["model"], self.belief):
            model = self.information.model(self.policy, self.belief)
            self.models["model"] = renewed_model(model, self.models["model"])


class SequentialPlay(Play):
    """The players answer one after another: each one knows the new controls of those before her.

    Every player has a model and an optimizer of her own, so a stage costs as much arithmetic as a
    simultaneous one, in N times as many and N times smaller steps.
    """

    def __init__(self, information, training):
        super().__init__(information, training)
        self.policy = information.policy()
        self.belief = information.belief("sequential", 1.0)
        self.models = {}
        for player in range(information.game.players):
            alone = information.policy(player)
            for target, source in zip(
                alone.stacked_weights, self.policy.stacked_weights, strict=True
            ):
                target.assign(ops.copy(source[:, player : player + 1]))
            model = training.compile(information.model(alone, self.belief))
            self.models[f"player-{player}"] = model

    def stage(self, stage, steps, on_step):
        if stage > 1:
            alone = [model.policy for model in self.models.values()]
            self.information.follow(self.policy, alone)
        losses = np.zeros(steps)
        for player, model in enumerate(self.models.values()):
            for step in range(steps):
                inputs = self._inputs(stage, step, steps)
                losses[step] += self._train(model, inputs, stage, step, player)
                if player == 0:
                    on_step()
            self._collect(player, model.policy)
            self.belief.announce(stage, self.policy, player)
        return losses.tolist()

    def resume(self, stage, profiles, shares):
        for player, model in enumerate(self.models.values()):
            self._collect(player, model.policy)
        super().resume(stage, profiles, shares)

    def _collect(self, player: int, alone) -> None:
        for target, source in zip(self.policy.stacked_weights, alone.stacked_weights, strict=True):
            values = np.array(ops.convert_to_numpy(target))
            values[:, player] = ops.convert_to_numpy(source)[:, 0]
            target.assign(values)
        for target, source in zip(self.policy.unit_weights, alone.unit_weights, strict=True):
            target.assign(ops.copy(source))


def make_play(game, network, training, information, rule, damping, initial_belief) -> Play:
    """The play of an information structure and a belief."""
    made: OpenLoop | ClosedLoop
    if information == "closed_loop":
        units = training.sample(game, 0, 0, _UNIT_PATHS)
        made = ClosedLoop(game, network, initial_belief, units)
    else:
        made = OpenLoop(game, network, initial_belief)
    if rule == "sequential":
        return SequentialPlay(made, training)
    return SimultaneousPlay(made, training, rule, damping)
