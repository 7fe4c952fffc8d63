"""What a solve returns."""

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from fictitious_play import checks, rollout
from fictitious_play.games.base import Game
from fictitious_play.networks.feedback_policy import FeedbackPolicy
from fictitious_play.networks.joint_policy import JointPolicy
from fictitious_play.networks.player_model import player_model
from fictitious_play.networks.transfer import transfer_weights
from fictitious_play.solver.certificate import Certificate, certify
from fictitious_play.solver.evaluation import policy_controls
from fictitious_play.solver.samples import Sample


@dataclass(frozen=True)
class StageRecord:
    """One stage of fictitious play.

    Attributes:
        stage: 1, 2, ….
        cost: (players,) J^i of the joint profile after the stage, on the stage sample.
        cost_standard_error: (players,).
        change: largest relative change of a player's cost since the stage before; NaN in stage 1.
        loss: (steps,) sum of the players' mean costs against the belief, training step by step.
        learning_rate: of the stage's last step.
        seconds, cpu_seconds: wall and processor time of the stage.
    """

    stage: int
    cost: np.ndarray
    cost_standard_error: np.ndarray
    change: float
    loss: np.ndarray
    learning_rate: float
    seconds: float
    cpu_seconds: float

    def to_json(self) -> dict[str, Any]:
        """The record as JSON-serialisable values; `from_json` gives back the same bits."""
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in vars(self).items()
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "StageRecord":
        arrays: dict[str, Any] = {
            name: np.asarray(value, np.float64) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**arrays)


@dataclass(frozen=True)
class Result:
    """The profile that deep fictitious play ended with.

    Attributes:
        game: the game.
        policy: all players' networks; a Keras model that can be saved.
        cost: (players,) J^i of the final joint profile, on the validation sample.
        cost_standard_error: (players,), over antithetic pairs.
        history: one `StageRecord` a stage.
        converged: whether the last stage's change was below the tolerance (1e-3 without one).
        reason: why the solve stopped: "tolerance", "max_stages" or "non_finite".
        message: a sentence on how it ended.
        control_variate: whether an exact equilibrium served as control variate.
        settings: everything that determined the run.
    """

    game: Game
    policy: JointPolicy | FeedbackPolicy = field(repr=False)
    cost: np.ndarray
    cost_standard_error: np.ndarray
    history: tuple[StageRecord, ...] = field(repr=False)
    converged: bool
    reason: str
    message: str
    control_variate: bool
    settings: dict[str, Any] = field(repr=False)

    def relative_error(self, exact) -> np.ndarray:
        """(cost - exact.cost) / exact.cost, signed, (players,); NaN where |exact.cost| ≤ 1e-12."""
        return self._relative(self.cost - self._exact_cost(exact), exact)

    def relative_standard_error(self, exact) -> np.ndarray:
        """Standard error of `relative_error`, (players,)."""
        return np.abs(self._relative(self.cost_standard_error, exact))

    def control(self, initial_state, noise) -> np.ndarray:
        """Everybody's equilibrium controls along given noise.

        Args:
            initial_state: (batch, state_size).
            noise: (batch, steps, noise_size) Brownian increments of variance h, column 0 common.

        Returns:
            (batch, steps, players); with a last axis control_size where that is more than 1. The
            controls of step t depend on the increments before t only.
        """
        sample = self._sample(initial_state, noise)
        controls = policy_controls(self.policy, sample)
        return controls.reshape(-1, *self.game.controls_shape)

    def states(self, initial_state, noise) -> np.ndarray:
        """States under the final profile, (batch, steps + 1, state_size); arguments as above."""
        sample = self._sample(initial_state, noise)
        controls = policy_controls(self.policy, sample)
        arrays = (sample.initial_state, controls, sample.noise)
        tensors = [keras.ops.convert_to_tensor(array) for array in arrays]
        return keras.ops.convert_to_numpy(rollout.joint_states(self.game, *tensors))

    def exploitability(
        self,
        method: str = "auto",
        steps: int = 300,
        hidden: tuple[int, ...] | None = None,
        paths: int = 4096,
        batch_size: int = 256,
        seed: int = 0,
    ) -> Certificate:
        """What each player would gain by leaving the profile alone.

        Args:
            method: "exact", for open-loop profiles of linear-quadratic games; "trained", a best
                response trained against the frozen profile, for all; "auto", exact where it can be.
            steps, batch_size: training steps of the best response and paths a step.
            hidden: its hidden sizes; None means twice the profile's widths. It has a linear path.
            paths: fresh antithetic paths on which the gain is measured, even.
            seed: of training and paths.

        Returns:
            A `Certificate` with gains, standard errors and relative gains, (players,).

        Raises:
            ValueError, TypeError: for settings out of range, or "exact" where it cannot be.
        """
        return certify(self, method, steps, hidden, paths, seed, batch_size)

    def player_model(self, player: int) -> keras.Model:
        """One player's trained network as an ordinary Functional model (`fp.player_model`)."""
        policy = self.policy
        if not isinstance(policy, JointPolicy):
            raise ValueError(
                "Only open-loop networks have the form of a player model. Received: the result of "
                "a closed-loop solve"
            )
        model = player_model(
            self.game,
            player,
            policy.hidden,
            policy.batch_normalization,
            policy.skip,
            dtype=policy.variable_dtype,
        )
        transfer_weights(policy, model, player)
        return model

    def _sample(self, initial_state, noise) -> Sample:
        game = self.game
        initial_state = checks.shaped("initial_state", initial_state, (None, game.state_size))
        noise = checks.shaped("noise", noise, (None, game.steps, game.noise_size))
        if len(initial_state) != len(noise):
            raise ValueError(
                "`initial_state` and `noise` must hold the same number of paths. "
                f"Received: {len(initial_state)} and {len(noise)}"
            )
        dtype = self.policy.variable_dtype
        return Sample(initial_state.astype(dtype), noise.astype(dtype))

    def _exact_cost(self, exact) -> np.ndarray:
        if not hasattr(exact, "cost"):
            raise TypeError(
                f"`exact` must be an equilibrium, with a `cost`. Received: exact={exact!r}"
            )
        return checks.shaped("exact.cost", exact.cost, (self.game.players,))

    def _relative(self, value, exact) -> np.ndarray:
        cost = self._exact_cost(exact)
        return np.divide(value, cost, out=np.full_like(cost, np.nan), where=np.abs(cost) > 1e-12)
