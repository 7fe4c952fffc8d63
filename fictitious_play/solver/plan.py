"""What `DeepFictitiousPlay.solve` was asked to do."""

from dataclasses import dataclass
from typing import Any

from fictitious_play import checks
from fictitious_play.solver.callbacks import check_callbacks
from fictitious_play.solver.regret import DEFAULT_TOLERANCE, check_regret

ON_INTERRUPT = ("raise", "result")
#: What `Result.settled` is held against when no tolerance was given.
_SETTLED_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Plan:
    """The arguments of `DeepFictitiousPlay.solve`, which it checks.

    Attributes:
        stages, steps: at most that many stages of that many training steps.
        tolerance: of the change of cost from stage to stage, None to go on whatever it is.
        validation_paths, stage_paths: on which costs are measured, at the end and after a stage.
        regret_every: estimate regrets after every so many stages, and after the last; or None.
        regret_tolerance: stop once the estimate and two standard errors are below it, or None.
        callbacks: as they were given.
        on_interrupt: what Ctrl-C does: "raise" or "result".
    """

    stages: int
    steps: int
    tolerance: float | None
    validation_paths: int
    stage_paths: int
    regret_every: int | None
    regret_tolerance: float | None
    callbacks: Any
    on_interrupt: str

    def __post_init__(self) -> None:
        checked: dict[str, Any] = {
            "stages": checks.integer("stages", self.stages, least=1),
            "steps": checks.integer("steps_per_stage", self.steps, least=1),
        }
        if self.tolerance is not None:
            checked["tolerance"] = checks.number("tolerance", self.tolerance, above=0.0)
        for name in ("validation_paths", "stage_paths"):
            checked[name] = checks.integer(name, getattr(self, name), least=2)
            if checked[name] % 2:
                raise ValueError(f"`{name}` must be even. Received: {name}={checked[name]}")
        checked["stage_paths"] = min(checked["stage_paths"], checked["validation_paths"])
        every, tolerance = check_regret(self.regret_every, self.regret_tolerance)
        checked.update(regret_every=every, regret_tolerance=tolerance)
        checked["callbacks"] = check_callbacks(self.callbacks)
        checks.one_of("on_interrupt", self.on_interrupt, ON_INTERRUPT)
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def total_steps(self) -> int:
        """Training steps of all stages."""
        return self.stages * self.steps

    @property
    def small_change(self) -> float:
        """The change of cost below which a solve has settled."""
        return self.tolerance or _SETTLED_TOLERANCE

    @property
    def small_regret(self) -> float:
        """The regret below which a solve has converged."""
        return self.regret_tolerance or DEFAULT_TOLERANCE

    def settings(self) -> dict[str, Any]:
        """What of it determines a solve, JSON-serialisable."""
        return {
            "stages": self.stages,
            "steps_per_stage": self.steps,
            "tolerance": self.tolerance,
            "stage_paths": self.stage_paths,
            "regret_every": self.regret_every,
            "regret_tolerance": self.regret_tolerance,
        }
