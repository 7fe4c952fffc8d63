"""Control bounds and units, met by a smooth and increasing map of a network's outputs."""

from typing import Any

import numpy as np
from keras import ops

from fictitious_play.games.base import Game, constant

#: Width of the bend at a bound that has no opposite one, in units of control.
_BEND = 0.1
#: Up to here, in half widths, the map is steep: its slope at this point is one half.
_STEEP = 0.9
#: Outputs are cut here, in half widths, where the map is flat to rounding: z⁴ stays finite.
_FAR = 1e4


class Saturation:
    """Maps every real number into [low, high], close to the identity well inside.

    Between two finite bounds, with z the distance from the middle in half widths, it is
    middle + half · z / (1 + z⁴)^¼: off the identity by z⁵/4 near the middle, and flattening like a
    power outside, so that an output that has gone too far still finds its way back. At a bound
    without an opposite one it is bound ± (d + √(d² + .01))/2 with d the distance from it. Where
    0 is not inside, or just at a bound, the outputs are shifted first, so that networks that start
    at zero start where the map is steep. Outputs count in units of control: a step of training
    is small for a control of size one is not, for one that may only move by a hundredth.

    Args:
        low, high: (players, control_size); infinite where there is no bound.
        unit: of control, of that shape.

    Attributes:
        unit: (players, control_size), the given one, or half the half width where that is less.
    """

    def __init__(self, low: np.ndarray, high: np.ndarray, unit: Any = 1.0):
        self.low, self.high = low, high
        both = np.isfinite(low) & np.isfinite(high)
        self.both = both
        half = np.subtract(high, low, out=np.full_like(low, 2.0), where=both) / 2.0
        middle = np.add(high, low, out=np.zeros_like(low), where=both) / 2.0
        self.half, self.middle = half, middle
        self.unit = np.where(both, np.minimum(unit, 0.5 * half), unit)
        reach = _STEEP * half
        lower, upper = np.where(both, middle - reach, low), np.where(both, middle + reach, high)
        self.shift = np.clip(0.0, lower, upper)

    @classmethod
    def of(
        cls, game: Game, only: int | None = None, copies: int = 1, unit: Any = None
    ) -> "Saturation | None":
        """The saturation of a game's controls, of all players, as often as asked for, or of one;
        None where controls have neither bounds nor a unit other than one.

        Args:
            game, only, copies: which controls.
            unit: (players, control_size), in place of the game's `control_unit`.
        """
        unit = game.control_unit if unit is None else unit
        unit = np.ones((game.players, game.control_size)) if unit is None else np.asarray(unit)
        if game.control_bounds is None and np.all(unit == 1.0):
            return None
        none = np.full_like(unit, np.inf)
        low, high = (-none, none) if game.control_bounds is None else game.control_bounds
        players = slice(None) if only is None else slice(only, only + 1)
        return cls(*(np.tile(each[players], (copies, 1)) for each in (low, high, unit)))

    def __call__(self, outputs: Any) -> Any:
        """Controls of outputs (..., players, control_size, batch), of the same shape."""
        low, high, half, middle, shift, unit = (
            constant(each[..., None], outputs)
            for each in (
                np.where(np.isfinite(self.low), self.low, 0.0),
                np.where(np.isfinite(self.high), self.high, 0.0),
                self.half, self.middle, self.shift, self.unit,
            )
        )  # fmt: skip
        outputs = unit * outputs + shift
        distance = ops.minimum(ops.maximum(outputs - middle, -_FAR * half), _FAR * half)
        z = distance / half
        controls = middle + distance * ops.power(1.0 + ops.square(ops.square(z)), -0.25)
        for one_sided, bound, side in (
            (np.isfinite(self.low) & ~self.both, low, 1.0),
            (np.isfinite(self.high) & ~self.both, high, -1.0),
        ):
            if one_sided.any():
                distance = side * (outputs - bound)
                bent = 0.5 * (distance + ops.sqrt(ops.square(distance) + (_BEND * unit) ** 2))
                controls = ops.where(one_sided[..., None], bound + side * bent, controls)
        free = ~np.isfinite(self.low) & ~np.isfinite(self.high)
        if free.any():
            controls = ops.where(free[..., None], outputs, controls)
        largest = np.finfo(np.float32).max
        lowest, highest = (
            constant(np.clip(bound[..., None], -largest, largest), outputs)
            for bound in (self.low, self.high)
        )
        # The formulas may overstep a bound by one rounding.
        return ops.minimum(ops.maximum(controls, lowest), highest)
