"""What is kept of a stage."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class StageRecord:
    """One stage of fictitious play.

    Attributes:
        stage: 1, 2, ….
        cost: (players,) J^i of the joint profile after the stage, on the stage sample.
        cost_standard_error: (players,).
        change: largest change of a player's cost since the stage before, relative to its size, or
            to the standard deviation of a path's cost where the cost is below a tenth of that; NaN
            in stage 1 and where the stage was taken back.
        loss: (steps,) sum of the players' mean costs against the belief, training step by step.
        learning_rate: of the stage's last step.
        seconds, cpu_seconds: wall and processor time of the stage.
        regret, regret_standard_error: (players,), what each player could gain by leaving the
            profile, relative to the scale of her cost, where it was estimated after this stage;
            else None.
        regret_seconds: wall time of that estimate, not counted in `seconds`.
        taken_back: (players,), the costs that the stage had come to, where they had exploded: the
            profile, and `cost`, are then those of the stage before. Else None.
    """

    stage: int
    cost: np.ndarray
    cost_standard_error: np.ndarray
    change: float
    loss: np.ndarray
    learning_rate: float
    seconds: float
    cpu_seconds: float
    regret: np.ndarray | None = None
    regret_standard_error: np.ndarray | None = None
    regret_seconds: float = 0.0
    taken_back: np.ndarray | None = None

    def __post_init__(self) -> None:
        for value in vars(self).values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False

    @property
    def largest_regret(self) -> float:
        """The largest regret of a player, two standard errors further out; NaN where it was not
        estimated or that of any player is NaN."""
        if self.regret is None or self.regret_standard_error is None:
            return float("nan")
        return float(np.max(self.regret + 2.0 * self.regret_standard_error))

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
