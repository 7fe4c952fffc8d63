"""Products of cases, thinned out: some run always, the others are left for a release."""

import itertools
from collections.abc import Hashable, Iterable
from typing import Any

import pytest


def thinned(*axes: Iterable[Hashable], strength: int = 2) -> list[Any]:
    """All combinations of the axes' values for `pytest.mark.parametrize`, most marked `release`.

    Unmarked are few, chosen greedily, in which every combination of the values of any `strength`
    axes occurs: with 2 every pair, with 1 every value, with 0 the first case alone.

    Args:
        axes: values of each parameter.
        strength: how many axes are covered together.
    """
    cases = list(itertools.product(*axes))
    columns = list(itertools.combinations(range(len(axes)), strength))

    def covered(case: tuple) -> set:
        return {(chosen, tuple(case[i] for i in chosen)) for chosen in columns}

    missing = set().union(*map(covered, cases))
    always = set()
    while missing:
        best = max(cases, key=lambda case: len(covered(case) & missing))
        always.add(best)
        missing -= covered(best)
    return [
        pytest.param(*case, marks=[] if case in always else pytest.mark.release) for case in cases
    ]
