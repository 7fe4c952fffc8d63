"""Failures that are properties of the game: no equilibrium, none or many, finite escape."""

from typing import Any

import numpy as np


class NoEquilibriumError(ValueError):
    """The game has no Nash equilibrium of the kind asked for on the whole horizon.

    Raised as such where a player's own problem is not convex in her controls, so that she has no
    best response.

    Attributes:
        time: The latest time in `[0, horizon]` at which the backward recursion cannot go on.
        step: The Euler step that begins then; `None` in continuous time.
        player: The player, counted from zero, whose problem it is; `None` where it is everybody's.
        curvature: The smallest curvature of her cost in her controls of that step, per unit of
            time; `None` where it is not that.
    """

    def __init__(
        self,
        message: str,
        time: float,
        step: int | None = None,
        player: int | None = None,
        curvature: float | None = None,
    ):
        super().__init__(message)
        self.time, self.step = float(time), step
        self.player, self.curvature = player, curvature

    def __reduce__(self) -> tuple:
        return type(self), (str(self), self.time, self.step, self.player, self.curvature)


class SingularGameError(NoEquilibriumError):
    """Singular equations: the game that begins at a step has no equilibrium, or many.

    Those for everybody's controls, or those of one player, whose problem is then flat in a control.
    """


class FiniteEscapeError(NoEquilibriumError):
    """The Riccati equations of the continuous-time game escape to infinity before `t = 0`.

    There is then no equilibrium in feedback form on the whole horizon. The Euler game may have one,
    beyond the time of escape, that has nothing to do with continuous time.
    """


def smallest_curvature(curvature: np.ndarray, scale: np.ndarray) -> float:
    """Smallest eigenvalue; zero where round-off in terms of the size of `scale` hides its sign."""
    least = float(np.linalg.eigvalsh(curvature).min())
    return 0.0 if abs(least) <= 1e-14 * float(np.abs(scale).max()) else least


def not_convex(
    form: Any, player: int, t: int, curvature: float, flat: bool | None = None
) -> NoEquilibriumError:
    """The error for a player whose problem is not strictly convex at step `t`.

    `flat`: whether it may yet be convex; `None` where only the curvature tells.
    """
    time = t * form.step_size
    if flat or (flat is None and curvature == 0.0):
        return SingularGameError(
            f"The problem of player {player} is flat in her control at t = {time:.9g} (step {t} of "
            f"{form.steps}): its smallest curvature is zero to round-off, so she has no best "
            "response, or many",
            time,
            t,
            player,
            curvature,
        )
    return NoEquilibriumError(
        f"The problem of player {player} is not convex in her control at t = {time:.9g} "
        f"(step {t} of {form.steps}): its smallest curvature is {curvature:.3g}, which must be "
        "positive, so she has no best response and the game no equilibrium",
        time,
        t,
        player,
        curvature,
    )
