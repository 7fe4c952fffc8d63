"""The loop over the stages of a solve, and what is kept of each of them."""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from fictitious_play.solver.callbacks import Callbacks
from fictitious_play.solver.checkpoint import SolveFolder
from fictitious_play.solver.evaluation import Cost, CostMeter
from fictitious_play.solver.plan import Plan
from fictitious_play.solver.play import NonFiniteLossError, Play
from fictitious_play.solver.progress import SolveProgress
from fictitious_play.solver.record import StageRecord
from fictitious_play.solver.regret import RegretMeter
from fictitious_play.solver.scale import cost_scale
from fictitious_play.solver.stop_reason import StopReason

#: A stage has exploded when a cost has risen by more than so many times what costs were before.
_EXPLODED = 1e3


@dataclass(frozen=True)
class Stages:
    """Plays stage after stage until there is a reason to stop.

    A stage after which a player's cost has exploded is taken back: everybody plays on, with the
    networks and optimizers of the stage before. The stages to come have other noise and, as the
    learning rate falls, smaller steps.

    Attributes:
        plan: how many stages, and when to stop before.
        play: the running solve.
        meter: measures costs after every stage.
        regret: estimates what players could gain, or None.
        history: the records, one of which every stage adds.
        folder: where stages are saved, or None.
        callbacks, progress: told of every stage.
    """

    plan: Plan
    play: Play
    meter: CostMeter
    regret: RegretMeter | None
    history: list[StageRecord]
    folder: SolveFolder | None
    callbacks: Callbacks
    progress: SolveProgress

    def run(self) -> tuple[StopReason, str]:
        """Plays, and says why it stopped; the play then holds the last good stage's networks."""
        reason, message = self._run()
        undone = [str(record.stage) for record in self.history if record.taken_back is not None]
        if undone:
            message += f" Taken back, since costs exploded: stage {', '.join(undone)}."
        return reason, message

    def _run(self) -> tuple[StopReason, str]:
        history, plan = self.history, self.plan
        for stage in range(len(history) + 1, plan.stages + 1):
            if self.settled(plan.tolerance) or self.without_regret(plan.regret_tolerance):
                break
            good = None
            try:
                good = self.play.snapshot()
                if self._stage(stage, good):
                    message = f"A callback ended the solve after stage {stage}."
                    return StopReason.INTERRUPTED, message
            except NonFiniteLossError as failure:
                self._leave(stage, good)
                warnings.warn(str(failure), RuntimeWarning, stacklevel=4)
                return StopReason.NON_FINITE, str(failure)
            except KeyboardInterrupt:
                if plan.on_interrupt == "raise":
                    raise
                through(partial(self._leave, stage, good))
                kept = f"after stage {len(history)}" if history else "that nobody has trained"
                message = f"Interrupted in stage {stage}; the networks are those {kept}."
                return StopReason.INTERRUPTED, message
        if self.without_regret(plan.regret_tolerance):
            message = f"No regret was above {plan.regret_tolerance:g} after stage {len(history)}."
            return StopReason.REGRET_SMALL, message
        if self.settled(plan.tolerance):
            message = f"The change fell below {plan.tolerance:g} after stage {len(history)}."
            return StopReason.COSTS_SETTLED, message
        return StopReason.ALL_STAGES, f"All {plan.stages} stages were played."

    def _leave(self, stage: int, good: list | None) -> None:
        """Goes back to the last good stage, and sees that a folder has it."""
        if len(self.history) == stage:
            if self.folder is not None and self.folder.latest() < stage:
                self._save()
        elif good is not None:
            self.play.restore(good)

    def settled(self, tolerance: float | None) -> bool:
        """Whether the last stage changed costs by less than a tolerance."""
        return tolerance is not None and bool(self.history) and self.history[-1].change < tolerance

    def without_regret(self, tolerance: float | None) -> bool:
        """Whether the regret was estimated after the last stage, and below a tolerance."""
        if tolerance is None or not self.history or self.history[-1].regret is None:
            return False
        return self.history[-1].largest_regret <= tolerance

    def _stage(self, stage: int, before: list) -> bool:
        """Plays one stage, or takes it back; whether a callback asks for the end."""
        self.callbacks.stage_begin(stage, self.history[-1] if self.history else None)
        clock, processor, steps = time.monotonic(), time.process_time(), self.plan.steps
        losses = self.play.stage(stage, steps, self.progress.steps)
        cost = self.meter(self.play.policy)
        mean, error, change = cost.mean, cost.standard_error, _change(self.history, cost)
        exploded, taken_back = _exploded(self.history, cost), None
        if exploded.any():
            _tell(stage, exploded, mean)
            self.play.take_back(stage, before)
            change, taken_back, last = float("nan"), mean, self.history[-1]
            mean, error = last.cost, last.cost_standard_error
        record = StageRecord(
            stage=stage,
            cost=mean,
            cost_standard_error=error,
            change=change,
            loss=losses,
            learning_rate=self.play.training.rate(stage * steps - 1),
            seconds=time.monotonic() - clock,
            cpu_seconds=time.process_time() - processor,
            taken_back=taken_back,
            **self._estimate(stage),
        )
        self.history.append(record)
        self._save()
        note = f"stage {stage}"
        if taken_back is not None:
            note += ", taken back"
        elif stage > 1:
            note += f", change {record.change:.1e}"
        if record.regret is not None and not np.isnan(record.regret).all():
            note += f", regret {np.nanmax(record.regret):.1e}"
        self.progress.stage(note)
        return self.callbacks.stage_end(record)

    def _estimate(self, stage: int) -> dict[str, Any]:
        """The regret after a stage, where it is its turn."""
        every = self.plan.regret_every
        if self.regret is None or every is None or (stage % every and stage < self.plan.stages):
            return {}
        clock = time.monotonic()
        estimate = self.regret(stage)
        return {
            "regret": estimate.relative,
            "regret_standard_error": estimate.relative_standard_error,
            "regret_seconds": time.monotonic() - clock,
        }

    def _save(self) -> None:
        if self.folder is not None:
            records: list[dict[str, Any]] = [record.to_json() for record in self.history]
            self.folder.save(len(self.history), self.play, {"history": records})


def through(work: Callable[[], Any]) -> Any:
    """What some work gives that has to be done to its end: Ctrl-C begins it again."""
    while True:
        try:
            return work()
        except KeyboardInterrupt:
            continue


def _change(history: list[StageRecord], cost: Cost) -> float:
    """Largest change of a player's cost since the last stage, relative to its scale before; NaN in
    the first stage and where a cost is not finite."""
    if not history:
        return float("nan")
    before = history[-1].cost
    moved = np.abs(cost.mean - before)
    scale, _ = cost_scale(before, cost.spread)
    # A cost that had no scale and still has none has not changed.
    still = (moved <= np.finfo(np.float64).tiny) & np.isnan(scale)
    return float(np.max(np.where(still, 0.0, moved / scale)))


def _exploded(history: list[StageRecord], cost: Cost) -> np.ndarray:
    """(players,), whose cost a stage has made worse by orders of magnitude, or infinite on more
    than half of the paths: beside the largest cost of a player, or error of it on one path, that
    was usual in the stages before. Nobody's where those costs are not finite themselves."""
    if not history:
        return np.zeros(cost.mean.shape, bool)
    error = np.sqrt(cost.paths) * np.stack([record.cost_standard_error for record in history])
    usual = np.median(np.max(np.abs([record.cost for record in history]) + error, axis=1))
    with np.errstate(invalid="ignore"):
        risen = cost.mean - history[-1].cost > _EXPLODED * usual
    return np.isfinite(usual) & (risen | (cost.non_finite > cost.paths / 2))


def _tell(stage: int, exploded: np.ndarray, cost: np.ndarray) -> None:
    player = int(np.flatnonzero(exploded)[0])
    warnings.warn(
        f"Stage {stage} took the cost of player {player} to {cost[player]:.3g} and is taken back: "
        f"everybody goes on with the networks of stage {stage - 1}. Where that happens again and "
        "again, try a smaller learning_rate.",
        RuntimeWarning,
        stacklevel=6,
    )
