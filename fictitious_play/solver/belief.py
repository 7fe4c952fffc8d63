"""What the players expect of each other: controls of earlier stages, weighted."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from fictitious_play import checks, devices
from fictitious_play.games.base import Game
from fictitious_play.networks.feedback_policy import FeedbackPolicy
from fictitious_play.networks.joint_policy import JointPolicy

#: α^0: a number, an array that broadcasts to `game.controls_shape`, or a function of initial
#: states and Brownian increments that gives (batch, *game.controls_shape).
InitialBelief = Any

RULES = ("last", "average", "damped", "sequential")


def initial_belief_array(game: Game, belief: InitialBelief) -> np.ndarray:
    """α^0 that is a number or an array, as (steps, players, control_size)."""
    array = checks.finite_array("initial_belief", belief)
    try:
        array = np.broadcast_to(array, game.controls_shape)
    except ValueError as error:
        raise ValueError(
            f"`initial_belief` must broadcast to the shape {game.controls_shape} "
            f"(steps, players). Received: shape {array.shape}"
        ) from error
    return array.reshape(game.steps, game.players, game.control_size)


def initial_belief_function(game: Game, belief: InitialBelief) -> Callable:
    """α^0 as a function of (initial_state, noise), with (batch, steps, players, control_size)."""
    full = (game.steps, game.players, game.control_size)
    if callable(belief):

        def evaluated(initial_state, noise):
            controls = np.asarray(belief(initial_state, noise))
            expected = (len(initial_state), *game.controls_shape)
            checks.shaped("initial_belief(initial_state, noise)", controls, expected)
            return controls.reshape(-1, *full)

        return evaluated
    array = initial_belief_array(game, belief)
    return lambda initial_state, noise: np.broadcast_to(array, (len(initial_state), *full))


def copy_weights(source, target) -> None:
    """Gives one network the weights of another, in memory of its own."""
    for variable, value in zip(target.weights, source.weights, strict=True):
        variable.assign(ops.copy(value))  # a training step may give the original's memory away


class Belief:
    """An open-loop belief: Σ_k w_k α^k over α^0 and the profiles of earlier stages.

    - "last" and "sequential": all weight on the last profile that was announced;
    - "average": the mean of α^0, …, α^k (divisor k + 1);
    - "damped": α ← (1 - ω) α + ω α^k with ω = `damping`.

    Args:
        game: the `Game`.
        evaluator: a built `JointPolicy` of the belief's own, which evaluates earlier profiles with
            their moving averages.
        rule: one of the above.
        damping: ω.
        initial: α^0.

    Attributes:
        profiles: numpy weights of the profiles that still count, oldest first.
        stages: the stages they were announced in.
        shares: the weights w_k of α^0 and of every profile.
    """

    def __init__(
        self,
        game: Game,
        evaluator: JointPolicy,
        rule: str = "last",
        damping: float = 0.5,
        initial: InitialBelief = 0.0,
    ):
        self.evaluator = evaluator
        self.rule = checks.one_of("belief", rule, RULES)
        self.damping = damping
        self._initial = initial_belief_function(game, initial)
        self._loaded: int | None = None
        self._moved = np.zeros(game.players, bool)
        self.profiles: list[list[np.ndarray]] = []
        self.stages: list[int] = []
        self.shares = np.ones(1)

    def announce(self, stage: int, policy: JointPolicy, player: int | None = None) -> None:
        """The players tell each other their controls: all at the end of a stage, or one of them
        at the end of her turn."""
        self._moved[slice(None) if player is None else player] = True
        if self.rule in ("last", "sequential"):
            copy_weights(policy, self.evaluator)
            self.shares, self.stages, self.profiles = np.array([0.0, 1.0]), [stage], [[]]
            self._loaded = 0
            return
        self.profiles.append([np.array(ops.convert_to_numpy(value)) for value in policy.weights])
        self.stages.append(stage)
        if self.rule == "average":
            self.shares = np.full(len(self.profiles) + 1, 1.0 / (len(self.profiles) + 1))
        else:
            self.shares = np.append((1.0 - self.damping) * self.shares, self.damping)

    def restore(self, stage, policy, profiles: dict[int, list[np.ndarray]], shares) -> None:
        """The belief after `stage`, from saved profiles by stage and their shares."""
        if self.rule in ("last", "sequential"):
            self.announce(stage, policy)
            return
        self._moved[:] = True
        self.stages = sorted(profiles)
        self.profiles = [profiles[number] for number in self.stages]
        self.shares = shares

    def controls(self, sample) -> np.ndarray:
        """The belief along a sample, (paths, steps, players, control_size)."""
        total = np.zeros(())
        if self.shares[0]:
            total = self.shares[0] * self._initial(*sample)
        for number, share in enumerate(self.shares[1:]):
            if self._loaded != number:
                for variable, value in zip(
                    self.evaluator.weights, self.profiles[number], strict=True
                ):
                    variable.assign(value)
                self._loaded = number
            total = total + share * devices.predict(self.evaluator, list(sample))
        if self._moved.any() and not self._moved.all():
            total[:, :, ~self._moved] = self._initial(*sample)[:, :, ~self._moved]
        return np.asarray(total, sample.noise.dtype)


class FeedbackBelief:
    """A closed-loop belief: the last feedback that was announced; at first constant controls α^0.

    Args:
        game: the `Game`.
        evaluator: a built `FeedbackPolicy`, part of the training model.
        initial: α^0, a number or an array.
    """

    def __init__(self, game: Game, evaluator: FeedbackPolicy, initial: InitialBelief = 0.0):
        if callable(initial):
            raise ValueError(
                "`initial_belief` of a closed-loop game must be a number or an array. "
                f"Received: {initial!r}"
            )
        self.evaluator = evaluator
        array = initial_belief_array(game, initial)
        networks = evaluator.output_bias.shape[0]
        if networks == 1 and np.any(array != array[:1]):
            raise ValueError(
                "`initial_belief` of networks that are shared in time must be the same at all "
                "steps. Received: an array that changes in time"
            )
        evaluator.output_bias.assign(array[:networks])

    def announce(self, stage: int, policy: FeedbackPolicy) -> None:
        """The end of a stage: the players tell each other their feedback."""
        copy_weights(policy, self.evaluator)
