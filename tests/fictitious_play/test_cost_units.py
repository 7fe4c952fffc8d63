"""Costs in another unit are the same problem: training does not see in which they are."""

import numpy as np
import pytest
from keras import optimizers

import fictitious_play as fp
from fictitious_play.game_checks import admit
from fictitious_play.solver.optimizers import OptimizerChoice
from tests.fictitious_play.cases import Plain

TINY, HUGE = 2.0**-40, 2.0**60
QUICK = {
    "stages": 3,  # after the second, two profiles need another training model
    "steps_per_stage": 4,
    "validation_paths": 64,
    "progress": False,
    "regret_every": None,
}


class Unit(Plain):
    """Costs of the two players in units of their own."""

    def __init__(self, *units):
        super().__init__()
        self.units = np.array(units, np.float32)

    def running_cost(self, time, states, controls):
        return self.units * super().running_cost(time, states, controls)

    def terminal_cost(self, states):
        return self.units * (super().terminal_cost(states) - states)


def solved(game, **settings):
    form = {"hidden": (4,), "batch_normalization": False}
    return fp.DeepFictitiousPlay(game, **form, **settings).solve(**QUICK)


@pytest.mark.parametrize(
    "settings",
    [{"belief": "sequential"}, {"information_structure": "closed_loop", "belief": "average"}],
)
def test_a_solve_is_the_same_whatever_costs_are_counted_in(settings):
    """To rounding, of which powers of two make none."""
    one, other = solved(Unit(1.0, 1.0), **settings), solved(Unit(TINY, HUGE), **settings)
    units = np.array([TINY, HUGE])
    first, *_, last = one.history
    assert np.all(last.cost < 0.99 * first.cost)
    for before, now in zip(one.history, other.history, strict=True):
        np.testing.assert_allclose(now.cost, units * before.cost, rtol=1e-5)
        np.testing.assert_allclose(now.change, before.change, rtol=1e-3)
        assert np.max(now.loss) > 1e10  # in the game's own unit
    np.testing.assert_allclose(other.cost, units * one.cost, rtol=1e-5)


def test_the_weights_are_powers_that_leave_ordinary_costs_alone():
    choice = OptimizerChoice(None, 0.1, 1.0)
    stakes = np.array([1.0, 2e-3, 1e3, 1e-6, 1e-13, 1e20, 0.0, np.nan])
    weights = choice.cost_weights(stakes)
    np.testing.assert_array_equal(
        weights, 2.0 ** np.array([0.0, 0.0, 0.0, 20.0, 40.0, -60.0, 0.0, 0.0])
    )
    given = OptimizerChoice(optimizers.SGD(0.1), 0.0, 1.0)
    np.testing.assert_array_equal(given.cost_weights(stakes), np.ones(8))


def test_stakes_are_what_controls_change_and_no_constant():
    class Shifted(Unit):
        def terminal_cost(self, states):
            return super().terminal_cost(states) + 100.0

    stakes = admit(Unit(1.0, 1.0), "float32")
    np.testing.assert_array_equal(admit(Unit(TINY, 1.0), "float32"), stakes * [TINY, 1.0])
    np.testing.assert_allclose(admit(Shifted(1.0, 1.0), "float32"), stakes, rtol=1e-4)
    assert np.all((stakes > 0.3) & (stakes < 10.0))
