"""What `check_game` warns of: costs that fall without end, and costs that move by jumps alone."""

import warnings

import pytest
from keras import ops

import fictitious_play as fp
from tests.fictitious_play.cases import Sound, changed


@pytest.mark.parametrize(
    ("running", "terminal", "warned"),
    [
        (lambda u: -(u**2), lambda x: x**2, True),  # a gain that was to be maximised
        (lambda u: -u, lambda x: x**2 * 0.0, True),
        (lambda u: 0.0 * u, lambda x: -x, True),
        (lambda u: 0.5 * u**2 - 1e4 * u, lambda x: 0.0 * x, False),  # falls for a long way
        (lambda u: 0.01 * u**2, lambda x: -3.0 * x, False),
        (lambda u: u**2, lambda x: -ops.sqrt(x**2 + 1.0), False),
        (lambda u: ops.exp(u) - u, lambda x: ops.exp(-x), False),
    ],
)
def test_a_cost_that_falls_without_end_is_a_warning(running, terminal, warned):
    game = changed(
        running_cost=lambda s, t, x, u: running(u[..., 0]), terminal_cost=lambda s, x: terminal(x)
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fp.check_game(game)
    assert [("falls without end" in str(each.message)) for each in caught] == [True] * warned


@pytest.mark.parametrize(
    ("terminal", "seen"),
    [
        (lambda s, x: ops.cast(x > 0.5, x.dtype), False),
        (lambda s, x: ops.stack([x[..., 0] ** 2, ops.sign(x[..., 1])], axis=-1), False),
        (lambda s, x: ops.round(x) + 0.01 * x, True),
        (lambda s, x: ops.relu(x - 1.5), True),
        (lambda s, x: 0.0 * x, True),
    ],
)
def test_a_cost_that_moves_by_jumps_alone_is_a_warning(terminal, seen):
    told_of_jumps(changed(terminal_cost=terminal), seen)


@pytest.mark.parametrize(
    ("running", "seen"),
    [
        (lambda x, u: ops.cast(u > 0.1, x.dtype), False),
        (lambda x, u: ops.sign(x), False),
        (lambda x, u: ops.sign(u) * x, True),
        (lambda x, u: ops.floor(x) + 0.1 * u, True),
        (lambda x, u: 0.0 * x + 1.0, True),
    ],
)
def test_so_is_a_running_cost(running, seen):
    told_of_jumps(changed(running_cost=lambda s, t, x, u: running(x, u[..., 0])), seen)


def told_of_jumps(game, seen):
    """A warning where nobody can see what a cost asks for."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        if seen:
            fp.check_game(game)
            return
        with pytest.raises(RuntimeWarning, match="must not move by jumps alone"):
            fp.check_game(game)


def test_rounding_along_a_ray_is_no_fall():
    """Controls of 1e8 that sum to zero leave nothing of x_0, and nothing to pay for it."""
    game = changed(running_cost=lambda s, t, x, u: 0.0 * u[..., 0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fp.check_game(type("Mine", (type(game),), {"__init__": _even})())


def _even(self):
    fp.Game.__init__(self, 2, 1.0, 4, initial_mean=1.0, initial_std=0.5)


def test_bounds_end_a_ray():
    game = Sound(control_bounds=(-1.0, 1.0))
    maximised = type("Mine", (Sound,), {"running_cost": lambda s, t, x, u: -u[..., 0]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fp.check_game(game)
        fp.check_game(maximised(control_bounds=(-1.0, 1.0)))
