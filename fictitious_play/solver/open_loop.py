"""Open-loop play: controls are functions of the noise, and the others do not answer a deviation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from fictitious_play.beliefs import BeliefRule
from fictitious_play.games.base import Game
from fictitious_play.networks.joint_policy import JointPolicy
from fictitious_play.solver.averaging import copy_values
from fictitious_play.solver.belief import Belief
from fictitious_play.solver.initial_belief import InitialBelief, initial_belief_function
from fictitious_play.solver.loops import StepLoop
from fictitious_play.solver.samples import Chunk, increments
from fictitious_play.solver.training import BestResponseModel


class OpenLoopBelief(Belief):
    """The others' controls along the noise, an input of the training models.

    Args:
        game: the `Game`.
        evaluator: a built `JointPolicy` of the belief's own, which evaluates earlier profiles with
            their moving averages, one after another.
        rule, damping: as in `Belief`.
        initial: α^0.
    """

    def __init__(
        self,
        game: Game,
        evaluator: JointPolicy,
        rule: str | BeliefRule = "last",
        damping: float = 0.5,
        initial: InitialBelief = 0.0,
    ):
        super().__init__(game.players, rule, damping)
        self.game, self.evaluator, self.dtype = game, evaluator, evaluator.variable_dtype
        self._initial = initial_belief_function(game, initial)
        self._on_noise = callable(initial)
        self._loaded: int | None = None
        self._loop: StepLoop | None = None
        self._shares = np.empty(0)
        self._on_device: list = []

    def by_step(self, chunk: Any) -> dict[str, Any]:
        return {"others": self.controls(chunk)}

    def controls(self, chunk: Chunk) -> Any:
        """The belief along the paths of a chunk, on the device:
        (capacity, paths, steps, players, control_size)."""
        capacity, paths = chunk.shape
        shares = self.shares_of_players()[:, :, None].astype(self.dtype)
        if not np.array_equal(shares, self._shares):
            self._shares, self._on_device = shares, ops.unstack(ops.convert_to_tensor(shares))
        shape = (capacity, paths, self.game.steps, self.game.players, self.game.control_size)
        total = ops.zeros(shape, dtype=self.dtype)
        if shares[0].any():
            total = ops.convert_to_tensor(self._initially(chunk, shape) * shares[0])
        for stage, profile, share in zip(
            self.stages, self.profiles, self._on_device[1:], strict=True
        ):
            if self._loaded != stage:
                for variable, value in zip(self.evaluator.weights, profile, strict=True):
                    variable.assign(value)
                self._loaded = stage
            given, fixed = {**chunk.batches, "total": total}, {"share": share}
            total = self._evaluation(chunk)(given, fixed, chunk.number)
        return total

    def _initially(self, chunk: Chunk, shape: Any) -> np.ndarray:
        """α^0 along the paths of a chunk."""
        initial_states, keys = map(ops.convert_to_numpy, chunk.batches.values())
        if not self._on_noise:
            return np.broadcast_to(self._initial(initial_states[0, :1], None), shape).astype(
                self.dtype
            )
        beliefs = np.zeros(shape, self.dtype)
        for step in range(chunk.count):
            key = ops.convert_to_tensor(keys[step])
            drawn = ops.convert_to_numpy(increments(self.game, key, shape[1], self.dtype))
            beliefs[step] = self._initial(initial_states[step], drawn)
        return beliefs

    def _evaluation(self, chunk: Chunk) -> StepLoop:
        """The loop that adds a profile's controls, with its share of every player."""
        if self._loop is None:
            paths = chunk.shape[1]
            shape = (paths, self.game.steps, self.game.players, self.game.control_size)

            def step(now: Any, fixed: Any) -> Any:
                drawn = increments(self.game, now["key"], paths, self.dtype)
                controls = self.evaluator([now["initial_state"], drawn], training=False)
                return now["total"] + fixed["share"] * controls

            self._loop = StepLoop(
                step,
                self.evaluator.variables,
                shape,
                self.dtype,
                False,
                self.evaluator.jit_compile,
            )
        return self._loop

    def _take(self, policy: Any) -> None:
        copy_values(policy.weights, self.evaluator.weights)
        self._loaded = self.stages[0]


class OpenLoop:
    """What open-loop play is made of.

    Args:
        game: the `Game`.
        network: arguments of `JointPolicy`.
        initial_belief: α^0.
    """

    def __init__(self, game: Game, network: dict, initial_belief: InitialBelief):
        self.game, self.network, self.initial_belief = game, network, initial_belief

    def policy(self, only: int | None = None) -> JointPolicy:
        """The networks of all players, or of one."""
        return self._policy("policy", only)

    def follow(self, policy: JointPolicy, others: Sequence[JointPolicy] = ()) -> None:
        """Moves no units: those of the noise are known and those of X_0 are the game's."""

    def belief(self, rule: str | BeliefRule, damping: float) -> OpenLoopBelief:
        """A belief in which nobody has moved."""
        evaluator = self._policy("belief")
        return OpenLoopBelief(self.game, evaluator, rule, damping, self.initial_belief)

    def fixed(self, left: float, paths: int) -> dict:
        """What else the training models are told: nothing."""
        return {}

    def model(self, policy: JointPolicy, belief: OpenLoopBelief) -> BestResponseModel:
        """The model that trains a policy against a belief."""
        return BestResponseModel(policy)

    def fits(self, model: BestResponseModel, belief: OpenLoopBelief) -> bool:
        """Whether a model still serves a belief that has moved: always, as it is an input."""
        return True

    def _policy(self, name: str, only: int | None = None) -> JointPolicy:
        policy = JointPolicy(self.game, **self.network, only=only, name=name)
        policy.build()
        return policy
