"""One stage of fictitious play, in its three forms: simultaneous, sequential and closed loop."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from fictitious_play import devices, rollout
from fictitious_play.games.base import Game
from fictitious_play.networks.feedback_policy import FeedbackPolicy
from fictitious_play.networks.joint_policy import JointPolicy
from fictitious_play.solver.belief import (
    Belief,
    FeedbackBelief,
    initial_belief_array,
)
from fictitious_play.solver.samples import Sample, training_sample
from fictitious_play.solver.training import (
    BestResponseModel,
    FeedbackResponseModel,
    compile_model,
    players_not_finite,
)

_UNIT_PATHS = 2048


class NonFiniteLossError(ArithmeticError):
    """A training step's loss was NaN or infinite; the message names players, stage and step."""


@dataclass(frozen=True)
class Training:
    """How the networks are trained: paths a step, seed, dtype, and Adam's cosine schedule."""

    batch_size: int
    seed: int
    dtype: str
    learning_rate: float
    final_rate_ratio: float
    total_steps: int

    def compile(self, model):
        """Builds and compiles a model."""
        return compile_model(model, self.learning_rate, self.final_rate_ratio, self.total_steps)


class Play:
    """The state of a running solve: the players' networks, their optimizers and their belief.

    Attributes:
        policy: all players' networks.
        belief: what they expect of each other.
        models: the compiled training models by name; all that has to be saved of the networks.
    """

    policy: Any
    belief: Any
    models: dict[str, keras.Model]

    def __init__(self, game: Game, training: Training):
        self.game = game
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
        self.belief.announce(stage, self.policy)

    def _sample(self, stage: int, step: int) -> Sample:
        training = self.training
        return training_sample(
            self.game, training.seed, stage, step, training.batch_size, training.dtype
        )

    def _train(self, model, inputs, stage: int, step: int, first_player: int = 0) -> float:
        loss = devices.train_step(model, inputs)
        if not np.isfinite(loss):
            players = [first_player + column + 1 for column in players_not_finite(model, inputs)]
            who = f"player {', '.join(map(str, players))}" if players else "the belief"
            raise NonFiniteLossError(
                f"The loss of {who} became {loss} in stage {stage}, step {step + 1}. "
                f"The networks of stage {stage - 1} are kept; try a smaller learning_rate."
            )
        return loss


class SimultaneousPlay(Play):
    """All players answer the same belief at once: Algorithm 1 of Hu (2019)."""

    def __init__(self, game, network, training, rule, damping, initial_belief):
        super().__init__(game, training)
        self.policy = _built(JointPolicy(game, **network, name="policy"))
        evaluator = _built(JointPolicy(game, **network, name="belief"))
        self.belief = Belief(game, evaluator, rule, damping, initial_belief)
        self.models = {"model": training.compile(BestResponseModel(self.policy))}

    def stage(self, stage, steps, on_step):
        losses = []
        for step in range(steps):
            sample = self._sample(stage, step)
            inputs = [*sample, self.belief.controls(sample)]
            losses.append(self._train(self.models["model"], inputs, stage, step))
            on_step()
        self.belief.announce(stage, self.policy)
        return losses

    def resume(self, stage, profiles, shares):
        self.belief.restore(stage, self.policy, profiles, shares)


class SequentialPlay(Play):
    """The players answer one after another: each one knows the new controls of those before her.

    Every player has a model and an optimizer of her own, so a stage costs as much arithmetic as a
    simultaneous one, in N times as many and N times smaller steps.
    """

    def __init__(self, game, network, training, initial_belief):
        super().__init__(game, training)
        self.policy = _built(JointPolicy(game, **network, name="policy"))
        evaluator = _built(JointPolicy(game, **network, name="belief"))
        self.belief = Belief(game, evaluator, "sequential", initial=initial_belief)
        self.models = {}
        for player in range(game.players):
            alone = _built(JointPolicy(game, **network, only=player, name="policy"))
            for target, source in zip(alone.weights, self.policy.weights, strict=True):
                target.assign(ops.copy(source[:, player : player + 1]))
            self.models[f"player-{player}"] = training.compile(BestResponseModel(alone))

    def stage(self, stage, steps, on_step):
        losses = np.zeros(steps)
        for player, model in enumerate(self.models.values()):
            for step in range(steps):
                sample = self._sample(stage, step)
                inputs = [*sample, self.belief.controls(sample)]
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

    def _collect(self, player: int, alone: JointPolicy) -> None:
        for target, source in zip(self.policy.weights, alone.weights, strict=True):
            values = np.array(ops.convert_to_numpy(target))
            values[:, player] = ops.convert_to_numpy(source)[:, 0]
            target.assign(values)


class FeedbackPlay(Play):
    """All players at once, with feedback controls that answer a deviation."""

    def __init__(self, game, network, training, initial_belief):
        super().__init__(game, training)
        self.policy = _built(FeedbackPolicy(game, **network, name="policy"))
        evaluator = _built(FeedbackPolicy(game, **network, name="belief"))
        self.belief = FeedbackBelief(game, evaluator, initial_belief)
        sample = training_sample(game, training.seed, 0, 0, _UNIT_PATHS, training.dtype)
        controls = initial_belief_array(game, initial_belief).astype(training.dtype)
        controls = np.broadcast_to(controls, (sample.paths, *controls.shape))
        arrays = (sample.initial_state, controls, sample.noise)
        states = rollout.joint_states(game, *(ops.convert_to_tensor(array) for array in arrays))
        for policy in (self.policy, evaluator):
            policy.set_units(ops.convert_to_numpy(states))
        self.models = {"model": training.compile(FeedbackResponseModel(self.policy, evaluator))}

    def stage(self, stage, steps, on_step):
        losses = []
        for step in range(steps):
            inputs = list(self._sample(stage, step))
            losses.append(self._train(self.models["model"], inputs, stage, step))
            on_step()
        self.belief.announce(stage, self.policy)
        return losses


def make_play(game, network, training, information, rule, damping, initial_belief) -> Play:
    """The play of an information structure and a belief."""
    if information == "closed_loop":
        return FeedbackPlay(game, network, training, initial_belief)
    if rule == "sequential":
        return SequentialPlay(game, network, training, initial_belief)
    return SimultaneousPlay(game, network, training, rule, damping, initial_belief)


def _built(policy):
    policy.build()
    return policy
