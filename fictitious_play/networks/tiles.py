"""The first layer of all steps as one batched product of equal tiles.

Step t multiplies its own kernel with a prefix of the features, so that step by step every product
has another shape. A compiler for a GPU looks for the best code of each shape, and takes most of a
minute for the hundred of them. Here steps lie in groups and features in units, both of equal size:
a tile is the part of a group's kernels that a unit of features meets, and what no step of the group
may see is no tile. What a single step of a group may not see is a row of zeros there.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

#: Most of the arithmetic that may be wasted on zeros.
WASTE = 0.15
#: Most groups of steps and most units of features that are tried.
_MOST = 24


class Tiles:
    """Which tiles there are.

    Args:
        sizes: the number of features of every step, not decreasing.

    Attributes:
        group: steps in a group; the last group may have fewer.
        unit: features in a unit.
        counts: units of every group.
        waste: arithmetic on zeros, as a share of what there is to do.
    """

    def __init__(self, sizes: Sequence[int]):
        self.sizes = list(sizes)
        plans = [
            self._plan(-(-len(sizes) // groups), -(-sizes[-1] // units))
            for groups in range(1, min(_MOST, len(sizes)) + 1)
            for units in range(1, min(_MOST, sizes[-1]) + 1)
        ]
        # The fewest results among those that waste little, or else the least waste.
        good = [plan for plan in plans if plan[0] <= WASTE]
        best = min(good, key=lambda plan: sum(plan[3]) * plan[1]) if good else min(plans)
        self.waste, self.group, self.unit, self.counts = best

    def __call__(self, kernels: Sequence, features: Any) -> Any:
        """The products of every step.

        Args:
            kernels: of every step, (size, width), or (size, players, width).
            features: as rows, (size of the last step, batch), the same for all players; or
                (players, size of the last step, batch).

        Returns:
            (steps, width, batch), or (steps, players, width, batch).
        """
        shared = len(features.shape) == 2
        tiles = [self._of_group(kernels, number) for number in range(len(self.counts))]
        rows = ops.concatenate(tiles)  # (tiles, group, unit, ...)
        missing = max(self.counts) * self.unit - self.sizes[-1]
        none = [(0, 0)] * (len(features.shape) - 2)
        padded = ops.pad(features, [*none, (0, missing), (0, 0)])
        shape = (*features.shape[:-2], max(self.counts), self.unit, -1)
        units = ops.reshape(padded, shape)
        units = units if shared else ops.transpose(units, (1, 0, 2, 3))
        places = np.concatenate([np.arange(count) for count in self.counts])
        units = ops.take(units, places, axis=0)
        product = "tguw,tub->tgwb" if shared else "tgupw,tpub->tgpwb"
        products = ops.einsum(product, rows, units)
        ends = np.cumsum(self.counts)
        parts = ops.split(products, ends[:-1].tolist()) if len(ends) > 1 else [products]
        sums = ops.concatenate([ops.sum(part, axis=0) for part in parts])
        return sums[: len(self.sizes)]

    def _of_group(self, kernels: Sequence, number: int) -> Any:
        """The kernels of a group in units, (units, group, unit, ...)."""
        first, height = number * self.group, self.counts[number] * self.unit
        after = kernels[0].shape[1:]
        pieces = []
        for step in range(first, first + self.group):
            size = 0
            if step < len(kernels):
                size = self.sizes[step]
                pieces.append(kernels[step])
            pieces.append(ops.zeros((height - size, *after), dtype=kernels[0].dtype))
        shape = (self.group, self.counts[number], self.unit, *after)
        return ops.swapaxes(ops.reshape(ops.concatenate(pieces), shape), 0, 1)

    def _plan(self, group: int, unit: int) -> tuple[float, int, int, tuple[int, ...]]:
        lasts = [min(end, len(self.sizes)) for end in range(group, len(self.sizes) + group, group)]
        counts = tuple(-(-self.sizes[last - 1] // unit) for last in lasts)
        return sum(counts) * group * unit / sum(self.sizes) - 1.0, group, unit, counts
