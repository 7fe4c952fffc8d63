"""What a solve returns."""

import os
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from fictitious_play import checks
from fictitious_play.games.base import Game
from fictitious_play.networks.feedback_policy import FeedbackPolicy
from fictitious_play.networks.joint_policy import JointPolicy
from fictitious_play.networks.player_model import player_model
from fictitious_play.networks.transfer import transfer_weights
from fictitious_play.solver.certificate import Certificate, certify
from fictitious_play.solver.evaluation import play, policy_controls
from fictitious_play.solver.record import StageRecord
from fictitious_play.solver.samples import Sample
from fictitious_play.solver.scale import cost_scale
from fictitious_play.solver.stop_reason import StopReason
from fictitious_play.solver.summary import summary


@dataclass(frozen=True)
class Result:
    """The profile that deep fictitious play ended with.

    Attributes:
        game: the game.
        policy: all players' networks; a Keras model that can be saved.
        cost: (players,) J^i of the final joint profile, on the validation sample.
        cost_standard_error: (players,), over antithetic pairs.
        cost_spread: (players,), standard deviation of a path's cost.
        non_finite: (players,), how many validation paths had a cost that is NaN or infinite; the
            cost is then not finite either.
        history: one `StageRecord` per stage.
        settled: whether the last stage's change was below the tolerance (1e-3 without one): the
            costs have stopped moving, wherever that is.
        converged: whether the regret at the end and two of its standard errors are below the
            tolerance (1 % of the scale of cost without one) for every player. False where the
            regret was not estimated.
        regret: the estimate behind it, a `Certificate`; None where none was made. It is cheap, and
            `exploitability` is not: see `RegretMeter`.
        reason: why the solve stopped, a `StopReason`.
        message: a sentence on how it ended.
        control_variate: whether an exact equilibrium served as control variate.
        settings: everything that determined the run.
        contraction: `lq.contraction` under the belief rule of the solve, in linear-quadratic games
            where it was cheap; above one, play with exact best responses diverges.
        notices: sentences on the game that were warnings before training: that it has no
            equilibrium, or that plain play does not converge in it. And, where the solve has not
            converged, that controls are of another size than the game's `control_unit`.
    """

    game: Game
    policy: JointPolicy | FeedbackPolicy = field(repr=False)
    cost: np.ndarray
    cost_standard_error: np.ndarray
    cost_spread: np.ndarray
    non_finite: np.ndarray
    history: tuple[StageRecord, ...] = field(repr=False)
    settled: bool
    converged: bool
    regret: Certificate | None = field(repr=False)
    reason: StopReason
    message: str
    control_variate: bool
    settings: dict[str, Any] = field(repr=False)
    contraction: float | None = None
    notices: tuple[str, ...] = ()

    def relative_error(self, exact: Any, scale: Any = None) -> np.ndarray:
        """(cost - exact.cost) / scale, (players,): positive where the profile costs more.

        Args:
            exact: an equilibrium, with a `cost`.
            scale: what errors are relative to; None means |exact.cost|, or the standard deviation
                of a path's cost where |exact.cost| is below a tenth of that. NaN where both are at
                most 1e-30.
        """
        return (self.cost - self._exact_cost(exact)) / self._scale(exact, scale)

    def relative_standard_error(self, exact: Any, scale: Any = None) -> np.ndarray:
        """Standard error of `relative_error`, (players,)."""
        return self.cost_standard_error / self._scale(exact, scale)

    def summary(self) -> str:
        """What the solve ended with, in a few lines of text."""
        return summary(self)

    def to_records(self) -> list[dict[str, Any]]:
        """The history as plain dictionaries of numbers and lists, one per stage, for a table or
        JSON; in place of the loss of every training step, that of the last one."""
        records = [record.to_json() for record in self.history]
        return [{**record, "loss": record["loss"][-1]} for record in records]

    def save(self, path: str | os.PathLike) -> None:
        """Writes the result to one file, whole or not at all; `fictitious_play.load` reads it.

        The game's class need not be registered with Keras: the game can be given again to `load`.

        Args:
            path: the file, replaced where it is there.

        Raises:
            OSError: where it cannot be written; names the file.
        """
        from fictitious_play.solver.storage import save

        save(self, path)

    def plot(self, certificate: Certificate | None = None, paths: int = 3, seed: int = 0) -> Any:
        """A figure of costs by stage, with those of the equilibrium where the game is
        linear-quadratic, and of states and controls along a few paths. Needs matplotlib.

        Args:
            certificate: what `exploitability` gave, to be drawn too.
            paths: how many paths.
            seed: of their noise.

        Returns:
            A `matplotlib.figure.Figure`.
        """
        from fictitious_play.solver.plots import plot

        return plot(self, certificate, paths, seed)

    def control(self, initial_state: ArrayLike, noise: ArrayLike) -> np.ndarray:
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

    def states(self, initial_state: ArrayLike, noise: ArrayLike) -> np.ndarray:
        """States under the final profile, (batch, steps + 1, state_size); arguments as above."""
        return play(self.policy, self._sample(initial_state, noise), "states")[0]

    def exploitability(
        self,
        method: str = "auto",
        steps: int = 300,
        hidden: tuple[int, ...] | None = None,
        paths: int = 4096,
        batch_size: int = 256,
        seed: int = 0,
        scale: Any = None,
    ) -> Certificate:
        """What each player would gain by leaving the profile alone.

        Responses know the profile by the controls it plays and by nothing else: they see
        everything that there is to see, in units of their own. What is found on one sample is
        chosen on another and measured on a third, path by path against the profile.

        Args:
            method: "exact", by the theory of linear-quadratic games; "trained", by the best of
                many responses, linear and networks, for all games; "auto", exact where the game is
                linear-quadratic, and in closed loop the larger of both.
            steps: Adam steps of the networks, over all their starts; the search for linear
                responses takes up to 40 evaluations on 1,024 paths besides.
            batch_size: paths per step.
            hidden: hidden sizes of the networks; None means (32, 32).
            paths: fresh antithetic paths on which the gain is measured, even.
            seed: of everything drawn.
            scale: what gains are relative to, a number or one per player; None means |J|, or the
                standard deviation of a path's cost where |J| is below a tenth of that.

        Returns:
            A `Certificate` with gains, standard errors and relative gains, (players,).

        Raises:
            ValueError, TypeError: for settings out of range, or "exact" where it cannot be.
        """
        return certify(
            self.game, self.policy, method, steps, hidden, paths, seed, batch_size, scale
        )

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
            activation=policy.activation,
        )
        transfer_weights(policy, model, player)
        return model

    def _sample(self, initial_state: Any, noise: Any) -> Sample:
        game = self.game
        initial_state = checks.shaped("initial_state", initial_state, (None, game.state_size))
        noise = checks.shaped("noise", noise, (None, game.steps, game.noise_size))
        if len(initial_state) != len(noise):
            raise ValueError(
                "`initial_state` and `noise` must hold the same number of paths. "
                f"Received: {len(initial_state)} and {len(noise)}"
            )
        if not len(noise):
            raise ValueError(
                "`initial_state` and `noise` must hold at least one path. Received: none"
            )
        dtype = self.policy.variable_dtype
        return Sample(initial_state.astype(dtype), noise.astype(dtype))

    def _exact_cost(self, exact: Any) -> np.ndarray:
        if not hasattr(exact, "cost"):
            raise TypeError(
                f"`exact` must be an equilibrium, with a `cost`. Received: exact={exact!r}"
            )
        return checks.shaped("exact.cost", exact.cost, (self.game.players,))

    def _scale(self, exact: Any, given: Any) -> np.ndarray:
        return cost_scale(self._exact_cost(exact), self.cost_spread, given)[0]
