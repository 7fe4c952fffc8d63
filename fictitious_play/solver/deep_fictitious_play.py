"""Deep fictitious play: Algorithm 1 of Hu (2019)."""

import os
import platform
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import keras
import numpy as np

from fictitious_play import checks, devices, renamed, rollout
from fictitious_play.beliefs import BeliefRule, belief_shares, check_rule
from fictitious_play.game_checks import admit, stakes_in
from fictitious_play.game_checks.agreement import configuration
from fictitious_play.games.base import Game
from fictitious_play.networks.features import Features, features_name
from fictitious_play.networks.feedback_policy import FeedbackPolicy
from fictitious_play.networks.joint_policy import JointPolicy
from fictitious_play.solver.callbacks import Callbacks
from fictitious_play.solver.checkpoint import SolveFolder
from fictitious_play.solver.control_scale import measured_units
from fictitious_play.solver.ending import conclude
from fictitious_play.solver.evaluation import CostMeter
from fictitious_play.solver.fingerprint import fingerprint
from fictitious_play.solver.initial_belief import (
    check_initial_belief,
    initial_belief_array,
    initial_belief_function,
)
from fictitious_play.solver.optimizers import choose_optimizer
from fictitious_play.solver.outlook import look_ahead
from fictitious_play.solver.plan import Plan
from fictitious_play.solver.play import Play, Training, make_play
from fictitious_play.solver.progress import SolveProgress
from fictitious_play.solver.regret import RegretMeter
from fictitious_play.solver.result import Result
from fictitious_play.solver.samples import probe_sample, validation_sample
from fictitious_play.solver.stages import Stages

INFORMATION = ("open_loop", "closed_loop")
#: Adam's first rate times √(number of features), without a linear skip connection and with one.
_FIRST_RATES = {"open_loop": 0.6, "closed_loop": 0.15}
_FIRST_RATE_LINEAR = 0.05


class DeepFictitiousPlay:
    """Finds a Nash equilibrium: stage after stage, every player answers the others.

    In a stage every player takes a few Adam steps on J^i(α^i; α^{-i}) against the others' controls
    of the stage before, all players at once, on fresh antithetic noise; at its end the players
    tell each other their controls, in open loop with weights averaged over the stage. Networks and
    optimizer go on from stage to stage.

    Args:
        game: the `Game`.
        hidden, batch_normalization, skip, activation: form of every subnetwork, as in
            `ControlNetwork`. The defaults are the paper's; `skip` adds a linear skip connection,
            which suits games whose equilibrium is nearly linear.
        features: what a player sees, as in `JointPolicy`: "full_path", "own_and_mean", or a class
            derived from `Features`.
        information_structure: "open_loop", controls adapted to the noise; or "closed_loop",
            feedback controls α^i(t, X_t), where the others' networks answer a deviation.
        time_shared: closed loop only: one network for all steps, which also reads the time,
            instead of one per step.
        belief: what the players expect of each other: "last", the profile of the stage before;
            "average", the mean of all profiles so far, α^0 among them; "damped",
            α ← (1 - ω) α + ω α^k; "sequential", the last profile too, but the players answer one
            after another within a stage; or a function of k that gives the weights of
            α^0, …, α^k after stage k. In closed-loop play α^k is a feedback, and the others
            answer a deviation with the weighted sum of their feedbacks in the state it leads to.
        damping: ω, above 0 and at most 1.
        batch_size: paths per training step, even.
        learning_rate: Adam's first rate; None means a number over √(number of features): 0.6 in
            open-loop play, 0.15 in closed-loop play, 0.05 with `skip` (docs/design.md has the
            search). Or a `keras.optimizers.schedules.LearningRateSchedule`, whose steps are the
            training steps of the whole solve.
        final_rate_ratio: last over first rate of the cosine over the whole solve; where the rate
            is a number.
        optimizer: another optimizer of Keras, with a learning rate or schedule of its own, or a
            function of the number of features that gives one; every model trains with a new one of
            the same configuration. Optimizers that update every weight by itself, as SGD, RMSprop,
            Adam and Lion do, are one optimizer per player, although the players' weights lie in the
            same tensors. With `global_clipnorm`, or `clipnorm`, and in Adafactor, Lamb and Muon,
            whose step looks at a whole tensor, players change each other's steps; under
            `belief="sequential"` everybody has tensors of her own.
        precision: of matrix products in float32 on a GPU: "float32", or "tf32", which is faster
            and keeps 10 bits. Elsewhere products are float32, and `Result.settings` says so.
        initial_belief: α^0: a number, an array that broadcasts to (steps, players), or, in
            open-loop play, a function of (initial_state, noise) that gives (batch, steps, players),
            path by path and without looking ahead.
        jit_compile: whether the training step is compiled by XLA, as in `keras.Model.compile`.
            "auto" leaves it to Keras, which compiles on a GPU or on JAX, and not on a CPU with
            TensorFlow, where it saves memory traffic and costs some seconds at the start.
        seed: of weights and noise. The same seed, versions and thread count give the same bits
            on a CPU.
        dtype: of the networks; None means Keras's `floatx`.
        average_weights: whether players tell each other controls with the averages of their
            weights over the stage's steps, in which later ones count more, and not with the last
            ones as in the paper: the noise of the last batches then does not go from stage to
            stage. Everybody goes on from her own last weights, which are also the result's. None
            means True in open-loop play and False in closed-loop play, where it gains little and
            can lose (docs/design.md).

    Raises:
        ValueError, TypeError: for settings that make no solve.
    """

    @renamed.argument("information", "information_structure")
    def __init__(
        self,
        game: Game,
        hidden: Sequence[int] = (32, 32),
        batch_normalization: bool = True,
        skip: bool = False,
        features: str | type[Features] = "full_path",
        information_structure: str = "open_loop",
        time_shared: bool = False,
        belief: str | BeliefRule = "last",
        damping: float = 0.5,
        batch_size: int = 128,
        learning_rate: Any = None,
        final_rate_ratio: float = 0.015,
        optimizer: Any = None,
        precision: str = "float32",
        initial_belief: Any = 0.0,
        jit_compile: bool | str = "auto",
        activation: str = "relu",
        seed: int = 0,
        dtype: str | None = None,
        average_weights: bool | None = None,
    ):
        if not isinstance(game, Game):
            raise TypeError(f"`game` must be a Game. Received: game={game!r}")
        self.game = game
        self.batch_size = checks.integer("batch_size", batch_size, least=2)
        if batch_size % 2:
            raise ValueError(
                "`batch_size` must be even, since paths come in antithetic pairs. "
                f"Received: batch_size={batch_size}"
            )
        self.information_structure = checks.one_of(
            "information_structure", information_structure, INFORMATION
        )
        self.belief = check_rule(belief)
        self.damping = checks.number("damping", damping, above=0.0, most=1.0)
        if average_weights is None:
            average_weights = information_structure == "open_loop"
        if not isinstance(average_weights, bool):
            raise ValueError(
                "`average_weights` must be True, False or None. "
                f"Received: average_weights={average_weights!r}"
            )
        self.average_weights = average_weights
        if information_structure == "closed_loop" and features != "full_path":
            raise ValueError(
                "The networks of a closed-loop game read the state, and `features` is for those "
                f"of an open-loop one. Received: features={features!r}"
            )
        if information_structure == "open_loop" and time_shared:
            raise ValueError(
                "Networks of open-loop controls have a number of inputs that grows with time and "
                "cannot be shared in time. Received: time_shared=True, "
                "information_structure='open_loop'"
            )
        if information_structure == "open_loop":
            initial_belief_function(game, initial_belief)
        elif callable(initial_belief):
            raise ValueError(
                "`initial_belief` of a closed-loop game must be a number or an array. "
                f"Received: {initial_belief!r}"
            )
        else:
            initial_belief_array(game, initial_belief)
        self.initial_belief = initial_belief
        if not isinstance(jit_compile, bool) and jit_compile != "auto":
            raise ValueError(
                "`jit_compile` must be True, False or 'auto'. "
                f"Received: jit_compile={jit_compile!r}"
            )
        self.jit_compile = jit_compile
        self.seed = checks.integer("seed", seed, least=0)
        self.dtype = keras.config.floatx() if dtype is None else dtype
        checks.one_of("dtype", self.dtype, ("float32", "float64"))
        self._network: dict[str, Any] = {
            "hidden": hidden,
            "batch_normalization": batch_normalization,
            "skip": skip,
            "activation": activation,
            "seed": self.seed,
            "dtype": self.dtype,
        }
        if information_structure == "open_loop":
            self._network["features"] = features_name(features)
            self._inputs = JointPolicy(game, **self._network).row_sizes[-1]
        else:
            self._network["time_shared"] = time_shared
            self._inputs = FeedbackPolicy(game, **self._network).feature_size
        first = _FIRST_RATE_LINEAR if skip else _FIRST_RATES[information_structure]
        self.optimizer = choose_optimizer(
            optimizer, learning_rate, final_rate_ratio, self._inputs, first
        )
        self.precision = devices.check_precision(precision, self.dtype)
        devices.check_players(game.players)

    def solve(
        self,
        stages: int = 10,
        steps_per_stage: int = 60,
        tolerance: float | None = None,
        folder: str | os.PathLike | None = None,
        validation_paths: int = 8192,
        stage_paths: int = 1024,
        progress: bool = True,
        regret_every: int | None = 5,
        regret_tolerance: float | None = None,
        callbacks: Any = (),
        on_interrupt: str = "raise",
    ) -> Result:
        """Plays until nobody wants to move, or all `stages` are played.

        Args:
            stages, steps_per_stage: at most that many stages of that many training steps.
            tolerance: stop once the largest relative change of a player's cost from one stage to
                the next falls below it; None plays all stages.
            folder: where to save after every stage. A folder that already holds a part of the same
                solve is continued, with the same bits as an uninterrupted run. Another problem (by
                the values of its methods and of α^0) or other settings are refused, but for more
                stages and other tolerances: the learning rate then follows the cosine over all
                stages now asked for, from where the solve goes on.
            validation_paths: paths on which the final costs are measured, even.
            stage_paths: how many of them measure the costs after each stage, even.
            progress: whether to show progress on standard error.
            regret_every: estimate after every so many stages, and after the last, what players
                could gain by leaving the profile; None does not, and nothing is then said to have
                converged.
            regret_tolerance: stop once no player's estimated regret, relative to the scale of her
                cost, is above it; None plays on, and `Result.converged` holds it against 1 %.
            callbacks: `SolveCallback`s, called before and after every stage; and callbacks of
                Keras such as `keras.callbacks.TensorBoard`, for which an epoch is a stage.
            on_interrupt: what Ctrl-C does: "raise" raises KeyboardInterrupt; "result" gives the
                result of the last good stage, which is also what a folder then holds, and in the
                first stage that of the untrained networks, with an empty history. Ctrl-C again
                leaves out what is still to be measured, the regret first of all. While a solve is
                prepared, and there are no networks yet, KeyboardInterrupt is raised all the same.

        Returns:
            A `Result`. A non-finite loss ends the solve with `StopReason.NON_FINITE`, a warning
            that names player, stage and step, and the last good stage's networks. Players are
            counted from 0, in messages as in arrays; stages and steps from 1.

        Raises:
            ValueError, TypeError: for settings out of range, a folder of something else, or a game
                that breaks a rule of `check_game`.
            OSError: where a stage cannot be saved.
        """
        plan = Plan(
            stages,
            steps_per_stage,
            tolerance,
            validation_paths,
            stage_paths,
            regret_every,
            regret_tolerance,
            callbacks,
            on_interrupt,
        )
        game = self.game
        stakes, unit = self._looked_at()
        settings = {**self._settings(unit), **plan.settings()}
        opened: Any = nullcontext()
        if folder is not None:
            opened = SolveFolder(
                folder, settings, fingerprint(game, self.initial_belief, self.dtype)
            )
        with opened as saved, devices.products_in(self.precision):
            play = self._play(plan.total_steps, stakes, unit)
            outlook = look_ahead(game, self.information_structure, self.belief, self.damping)
            outlook.warn(stacklevel=2)
            sample = validation_sample(game, self.seed, plan.validation_paths, self.dtype)
            measured = sample.part(0, plan.stage_paths)
            meter = CostMeter(game, measured, outlook.equilibrium)
            regret = None
            if plan.regret_every is not None:
                regret = RegretMeter(game, play.policy, self.seed, plan.small_regret)
            history = [] if saved is None else saved.resume(play)
            hooks = Callbacks(
                plan.callbacks, next(iter(play.models.values())), plan.stages, settings
            )
            title = f"{type(game).__name__}, N = {game.players}"
            done = len(history) * plan.steps
            with SolveProgress(title, plan.total_steps, done, progress) as shown:
                loop = Stages(plan, play, meter, regret, history, saved, hooks, shown)
                reason, message = loop.run()
            result = conclude(loop, reason, message, sample, outlook, settings)
            hooks.solve_end(result)
            return result

    def _looked_at(self) -> tuple[np.ndarray, np.ndarray | None]:
        """The game's stakes, as `admit` gives them once the game has passed, and units of control
        that were measured and are not one."""
        game, unit = self.game, None
        stakes = admit(game, self.dtype)
        rollout.check_time(game)
        check_initial_belief(game, self.initial_belief, probe_sample(game, 8, self.dtype))
        if game.control_unit is None:
            unit = measured_units(game, self.initial_belief, self.dtype)
            if np.all(unit == 1.0):
                return stakes, None
            stakes = stakes_in(game, self.dtype, unit)
        return stakes, unit

    def _networks(self, unit: np.ndarray | None) -> dict[str, Any]:
        """Arguments of the networks."""
        return self._network if unit is None else {**self._network, "control_unit": unit.tolist()}

    def _play(
        self,
        total_steps: int,
        stakes: np.ndarray | None = None,
        unit: np.ndarray | None = None,
    ) -> Play:
        training = Training(
            self.batch_size,
            self.seed,
            self.dtype,
            self.optimizer,
            total_steps,
            self.jit_compile,
            None if stakes is None else self.optimizer.cost_weights(stakes),
            self.average_weights,
        )
        return make_play(
            self.game,
            self._networks(unit),
            training,
            self.information_structure,
            self.belief,
            self.damping,
            self.initial_belief,
        )

    def _settings(self, unit: np.ndarray | None) -> dict[str, Any]:
        game, belief = self.game, self.initial_belief
        return {
            "game": {"class": type(game).__name__, **configuration(game)},
            "network": {**self._networks(unit), "hidden": list(self._network["hidden"])},
            "information_structure": self.information_structure,
            "belief": _belief_setting(self.belief),
            "damping": self.damping,
            "average_weights": self.average_weights,
            "batch_size": self.batch_size,
            **self.optimizer.settings(),
            "final_rate_ratio": self.optimizer.final_ratio,
            "precision": self.precision,
            "jit_compile": self.jit_compile,
            "initial_belief": getattr(belief, "__qualname__", None)
            if callable(belief)
            else np.asarray(belief).tolist(),
            "backend": keras.config.backend(),
            "versions": {"keras": keras.__version__, "numpy": np.__version__},
            "python": platform.python_version(),
        }


def _belief_setting(rule: str | BeliefRule) -> Any:
    """A belief rule as JSON: its name, or what a function is called and the weights it gives."""
    if not callable(rule):
        return rule
    weights = [belief_shares(rule, stage).tolist() for stage in range(1, 6)]
    return {"function": getattr(rule, "__qualname__", type(rule).__qualname__), "weights": weights}
