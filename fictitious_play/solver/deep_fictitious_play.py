"""Deep fictitious play: Algorithm 1 of Hu (2019)."""

import os
import platform
import time
import warnings
from typing import Any

import keras
import numpy as np
from keras import ops

from fictitious_play import checks
from fictitious_play.games.base import Game
from fictitious_play.networks.joint_policy import JointPolicy
from fictitious_play.solver.belief import Belief, initial_belief_function
from fictitious_play.solver.checkpoint import SolveFolder
from fictitious_play.solver.evaluation import CostMeter, exact_equilibrium, policy_controls
from fictitious_play.solver.progress import SolveProgress
from fictitious_play.solver.result import Result, StageRecord
from fictitious_play.solver.samples import training_sample, validation_sample
from fictitious_play.solver.training import compiled_model, players_not_finite

#: What `Result.converged` is held against when no tolerance was given.
DEFAULT_TOLERANCE = 1e-3


class DeepFictitiousPlay:
    """Finds an open-loop Nash equilibrium: stage after stage, every player answers the others.

    In a stage every player takes a few Adam steps on J^i(α^i; α^{-i}) against the others' controls
    of the stage before, all players at once, on fresh antithetic noise; at its end the players
    tell each other their controls. Networks and optimizer go on from stage to stage.

    Args:
        game: the `Game`.
        hidden, batch_normalization, skip: form of every subnetwork, as in `ControlNetwork`. The
            defaults are the paper's; `skip` adds a linear path, which suits games whose
            equilibrium is nearly linear.
        features: what a player sees, as in `JointPolicy`: "full_path" or "own_and_mean".
        batch_size: paths a training step, even.
        learning_rate: Adam's first rate; None means 0.15 / √(number of features).
        final_rate_ratio: last over first rate of the cosine schedule over the whole solve.
        initial_belief: α^0: a number, an array that broadcasts to (steps, players), or a function
            of (initial_state, noise) that gives (batch, steps, players).
        seed: of weights and noise. The same seed, versions and thread count give the same bits
            on a CPU.
        dtype: of the networks; None means Keras's `floatx`.

    Raises:
        ValueError, TypeError: for settings that make no solve.
    """

    def __init__(
        self,
        game: Game,
        hidden=(32, 32),
        batch_normalization: bool = True,
        skip: bool = False,
        features: str = "full_path",
        batch_size: int = 128,
        learning_rate: float | None = None,
        final_rate_ratio: float = 0.015,
        initial_belief: Any = 0.0,
        seed: int = 0,
        dtype: str | None = None,
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
        if learning_rate is not None:
            learning_rate = checks.number("learning_rate", learning_rate, above=0.0)
        self.learning_rate = learning_rate
        self.final_rate_ratio = checks.number(
            "final_rate_ratio", final_rate_ratio, least=0.0, most=1.0
        )
        initial_belief_function(game, initial_belief)
        self.initial_belief = initial_belief
        self.seed = checks.integer("seed", seed, least=0)
        self.dtype = keras.config.floatx() if dtype is None else dtype
        checks.one_of("dtype", self.dtype, ("float32", "float64"))
        self._network = {
            "hidden": hidden,
            "batch_normalization": batch_normalization,
            "skip": skip,
            "features": features,
            "seed": self.seed,
            "dtype": self.dtype,
        }
        JointPolicy(game, **self._network)

    def solve(
        self,
        stages: int = 10,
        steps_per_stage: int = 60,
        tolerance: float | None = None,
        folder: str | os.PathLike | None = None,
        validation_paths: int = 8192,
        stage_paths: int = 1024,
        progress: bool = True,
    ) -> Result:
        """Plays until nobody wants to move, or all `stages` are played.

        Args:
            stages, steps_per_stage: at most that many stages of that many training steps.
            tolerance: stop once the largest relative change of a player's cost from one stage to
                the next falls below it; None plays all stages.
            folder: where to save after every stage. A folder that already holds a part of the same
                solve is continued, with the same bits as an uninterrupted run.
            validation_paths: paths on which the final costs are measured, even.
            stage_paths: how many of them measure the costs after each stage, even.
            progress: whether to show progress on standard error.

        Returns:
            A `Result`. A non-finite loss ends the solve with reason "non_finite", a warning that
            names player, stage and step, and the last good stage's networks.

        Raises:
            ValueError, TypeError: for settings out of range or a folder of something else.
            OSError: where a stage cannot be saved.
        """
        stages = checks.integer("stages", stages, least=1)
        steps_per_stage = checks.integer("steps_per_stage", steps_per_stage, least=1)
        if tolerance is not None:
            tolerance = checks.number("tolerance", tolerance, above=0.0)
        for name, paths in (("validation_paths", validation_paths), ("stage_paths", stage_paths)):
            if checks.integer(name, paths, least=2) % 2:
                raise ValueError(f"`{name}` must be even. Received: {name}={paths}")
        stage_paths = min(stage_paths, validation_paths)
        settings = self._settings(stages, steps_per_stage, tolerance, stage_paths)
        saved = None if folder is None else SolveFolder(folder, settings)

        game = self.game
        policy = JointPolicy(game, **self._network, name="policy")
        policy.build()
        evaluator = JointPolicy(game, **self._network, name="belief")
        evaluator.build()
        belief = Belief(game, evaluator, self.initial_belief)
        model = compiled_model(
            policy, settings["learning_rate"], self.final_rate_ratio, stages * steps_per_stage
        )
        equilibrium = exact_equilibrium(game)
        sample = validation_sample(game, self.seed, validation_paths, self.dtype)
        meter = CostMeter(game, sample.part(0, stage_paths), equilibrium)

        history: list[StageRecord] = []
        first = 0 if saved is None else saved.latest()
        if saved is not None and first:
            loaded = saved.load(first, model)
            history = [StageRecord.from_json(values) for values in loaded["history"]]
            belief.announce(policy)
        reason, message = "max_stages", f"All {stages} stages were played."
        title = f"{type(game).__name__}, N = {game.players}"
        total, done = stages * steps_per_stage, first * steps_per_stage
        with SolveProgress(title, total, done, progress) as shown:
            for stage in range(first + 1, stages + 1):
                if _settled(history, tolerance):
                    break
                clock, processor = time.monotonic(), time.process_time()
                good = [np.array(ops.convert_to_numpy(weight)) for weight in policy.weights]
                losses, failure = self._train(model, belief, stage, steps_per_stage, shown)
                if failure:
                    for weight, value in zip(policy.weights, good, strict=True):
                        weight.assign(value)
                    reason, message = "non_finite", failure
                    warnings.warn(failure, RuntimeWarning, stacklevel=2)
                    break
                belief.announce(policy)
                cost = meter(policy_controls(policy, meter.sample))
                history.append(
                    StageRecord(
                        stage=stage,
                        cost=cost.mean,
                        cost_standard_error=cost.standard_error,
                        change=_change(history, cost.mean),
                        loss=np.array(losses),
                        learning_rate=float(ops.convert_to_numpy(model.optimizer.learning_rate)),
                        seconds=time.monotonic() - clock,
                        cpu_seconds=time.process_time() - processor,
                    )
                )
                if saved is not None:
                    progress_so_far = [record.to_json() for record in history]
                    saved.save(stage, model, {"history": progress_so_far})
                change = history[-1].change
                shown.stage(f"stage {stage}" + (f", change {change:.1e}" if stage > 1 else ""))
        if reason != "non_finite" and _settled(history, tolerance):
            reason = "tolerance"
            message = f"The change fell below {tolerance:g} after stage {history[-1].stage}."
        final = CostMeter(game, sample, equilibrium)(policy_controls(policy, sample))
        return Result(
            game=game,
            policy=policy,
            cost=final.mean,
            cost_standard_error=final.standard_error,
            history=tuple(history),
            converged=reason != "non_finite" and _settled(history, tolerance or DEFAULT_TOLERANCE),
            reason=reason,
            message=message,
            control_variate=equilibrium is not None,
            settings=settings,
        )

    def _train(self, model, belief, stage, steps, shown) -> tuple[list[float], str]:
        """One stage's training steps: the losses, and a sentence if one was not finite."""
        losses = []
        for step in range(steps):
            sample = training_sample(self.game, self.seed, stage, step, self.batch_size, self.dtype)
            inputs = [*sample, belief.controls(sample)]
            losses.append(float(model.train_on_batch(inputs)))
            if not np.isfinite(losses[-1]):
                players = [player + 1 for player in players_not_finite(model, inputs)]
                who = f"player {', '.join(map(str, players))}" if players else "the belief"
                return losses, (
                    f"The loss of {who} became {losses[-1]} in stage {stage}, step {step + 1}. "
                    f"The networks of stage {stage - 1} are kept; try a smaller learning_rate."
                )
            shown.step()
        return losses, ""

    def _settings(self, stages, steps_per_stage, tolerance, stage_paths) -> dict[str, Any]:
        game, belief = self.game, self.initial_belief
        features = JointPolicy(game, **self._network).row_sizes[-1]
        rate = self.learning_rate or 0.15 / features**0.5
        return {
            "game": {"class": type(game).__name__, **game.get_config()},
            "network": {**self._network, "hidden": list(self._network["hidden"])},
            "batch_size": self.batch_size,
            "learning_rate": rate,
            "final_rate_ratio": self.final_rate_ratio,
            "initial_belief": getattr(belief, "__qualname__", None)
            if callable(belief)
            else np.asarray(belief).tolist(),
            "stages": stages,
            "steps_per_stage": steps_per_stage,
            "tolerance": tolerance,
            "stage_paths": stage_paths,
            "backend": keras.config.backend(),
            "versions": {"keras": keras.__version__, "numpy": np.__version__},
            "python": platform.python_version(),
        }


def _change(history: list[StageRecord], cost: np.ndarray) -> float:
    """Largest relative change of a player's cost since the last stage; NaN in the first."""
    if not history:
        return float("nan")
    before = history[-1].cost
    scale = np.maximum(np.abs(before), np.finfo(np.float64).tiny)
    return float(np.max(np.abs(cost - before) / scale))


def _settled(history: list[StageRecord], tolerance: float | None) -> bool:
    return tolerance is not None and bool(history) and history[-1].change < tolerance
