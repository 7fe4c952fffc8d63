"""What tells one problem from another: values of its methods at every step."""

import json

import numpy as np
import pytest
from keras import ops

import fictitious_play as fp
from fictitious_play.solver.fingerprint import differences, fingerprint
from tests.fictitious_play.cases import Plain, edited, symmetric_game


def changed(one, other, belief=0.0, other_belief=0.0, dtype="float32"):
    before = fingerprint(one, belief, "float32")
    return differences(json.loads(json.dumps(before)), fingerprint(other, other_belief, dtype))


@pytest.mark.parametrize(
    ("game", "named"),
    [
        (edited(weight=9.0), "terminal_cost"),
        (edited(far=1.0), "terminal_cost"),  # no initial state is near there
        (edited(drift=lambda s, t, x, u: 1.01 * u[..., 0]), "drift"),
        (edited(drift=lambda s, t, x, u: u[..., 0] + 0.1 * t), "drift"),
        (edited(diffusion=lambda s, t, x, u: 0.1 * ops.eye(2, 3, dtype=x.dtype)), "diffusion"),
        (edited(running_cost=lambda s, t, x, u: 2.0 * ops.square(u[..., 0])), "running_cost"),
        (edited(initial_states=lambda s, z: 1.0 + 0.5 * np.tanh(z)), "initial_states"),
        (edited(euler_step=lambda s, t, x, u, w: x + s.step_size * u[..., 0]), "euler_step"),
        (edited(mean_weights=lambda s: np.array([[0.2, 0.8], [0.5, 0.5]])), "mean_weights"),
    ],
)
def test_an_edited_game_is_told_by_its_values(game, named):
    assert changed(Plain(), game)[0] == named


class Bounded(Plain):
    """A bound that the configuration does not tell."""

    low = -1.0

    def __init__(self, steps=3):
        bounds = (self.low, np.inf)
        fp.Game.__init__(
            self, 2, 1.0, steps, initial_mean=1.0, initial_std=0.5, control_bounds=bounds
        )


def test_bounds_that_no_configuration_tells_are_told():
    assert changed(Bounded(), Bounded()) == []
    assert changed(Bounded(), edited(Bounded, low=-2.0)) == ["control_bounds"]
    assert "control_bounds" in changed(Bounded(), Plain())


def at_one_step(steps, step, change):
    """1 at one step and 0 at the others, where the time may be a tensor."""

    def factor(time, like):
        number = ops.round(ops.cast(time, like.dtype) * steps)
        return change * ops.cast(ops.equal(number, step), like.dtype)

    return factor


def with_edit(method, steps, step):
    """One percent more of a method for the first player, as much less for the second, at a step."""
    original, factor = getattr(Plain, method), at_one_step(steps, step, 0.01)

    def replaced(self, time, states, controls):
        value = original(self, time, states, controls)
        sides = np.array([1.0, -1.0])[:, None] if method == "diffusion" else np.array([1.0, -1.0])
        return value * (1.0 + factor(time, states) * ops.convert_to_tensor(sides, states.dtype))

    return edited(steps=steps, **{method: replaced})


@pytest.mark.parametrize("method", ["drift", "diffusion", "running_cost"])
@pytest.mark.parametrize(("steps", "step"), [(7, 2), (7, 5), (200, 1), (200, 133), (201, 200)])
def test_an_edit_at_any_one_step_is_told(method, steps, step):
    """Written out, where the time is a number, and in a loop, where it is a tensor."""
    assert changed(Plain(steps), with_edit(method, steps, step)) == [method]


def test_an_edit_of_the_first_belief_at_one_step_is_told():
    def belief(size):
        def controls(x, w):
            played = np.ones((len(x), 7, 2))
            played[:, 4, 1] += size
            return played

        return controls

    assert changed(Plain(7), Plain(7), belief(0.0), belief(1e-3)) == ["initial_belief"]
    assert changed(Plain(7), Plain(7), belief(0.0), belief(1e-8)) == []


def test_an_edit_for_one_of_many_players_is_told():
    """More values than are kept: sums of them."""
    game = symmetric_game(players=30, steps=3)

    class Edited(fp.InterBankGame):
        def running_cost(self, time, states, controls):
            costs = super().running_cost(time, states, controls)
            return costs * (1.0 + 0.01 * (np.arange(30) == 17))

    assert changed(game, Edited.from_config(game.get_config())) == ["running_cost"]


class Oscillating(Plain):
    """Values that pass through zero at some steps, where rounding is all that is left of them."""

    def drift(self, time, states, controls):
        wave = ops.cos(2.0 * np.pi * ops.cast(time, states.dtype))
        return wave * (controls[..., 0] - 3.0 * states)


def test_rounding_of_another_version_is_no_other_problem():
    game = symmetric_game(players=3)
    before = fingerprint(game, 0.0, "float32")
    noise = np.random.default_rng(0)

    def moved(values):
        return np.asarray(values) * (1 + 1e-6 * noise.normal(size=np.shape(values)))

    assert differences({name: moved(each) for name, each in before.items()}, before) == []
    assert changed(game, symmetric_game(players=3, c=0.501))
    for same in (game, symmetric_game(players=30, steps=8), Oscillating(8), Oscillating(200)):
        assert changed(same, same, dtype="float64") == []


def test_numbers_that_are_not_finite_are_values_too():
    nan = edited(terminal_cost=lambda s, x: ops.log(x - 1.0))
    assert changed(nan, nan) == []
    assert changed(nan, Plain()) == ["terminal_cost"]
