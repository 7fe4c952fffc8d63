"""A game of one's own is tried before it is believed: mistakes are named, and sound games pass."""

import math
import warnings

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

import fictitious_play as fp
from tests.fictitious_play.cases import Sound, asymmetric_game, changed


def eye(x, *sizes, **more):
    return ops.eye(*sizes, dtype=x.dtype, **more)


CONTROLS = [
    ("without player axis", lambda s, t, x, u: ops.mean(u[..., 0] ** 2, -1), r"\(20,\)"),
    ("one for all", lambda s, t, x, u: ops.mean(u[..., 0] ** 2, -1, keepdims=True), "keepdims"),
    ("control axis kept", lambda s, t, x, u: u**2, "control_size, is still there"),
    ("axes in the wrong order", lambda s, t, x, u: ops.swapaxes(u[..., 0], 0, -1), "front"),
    ("sum of everything", lambda s, t, x, u: ops.sum(u**2), "sum over all axes"),
    ("python number", lambda s, t, x, u: 1.0, "float 1.0"),
    ("list", lambda s, t, x, u: [u[..., 0, 0], u[..., 1, 0]], "list"),
    ("nothing", lambda s, t, x, u: None, "`return` is missing"),
    ("numpy", lambda s, t, x, u: np.square(u[..., 0]), "keras.ops"),
    ("integers", lambda s, t, x, u: ops.cast(u[..., 0], "int32"), "int32"),
    ("comparison", lambda s, t, x, u: u[..., 0] > 0.0, "bool"),
    ("wider floats", lambda s, t, x, u: ops.cast(u[..., 0], "float64"), "float64"),
    ("batch mean", lambda s, t, x, u: u[..., 0] ** 2 + ops.mean(x), "mean or sum over the batch"),
    ("rank in the batch", lambda s, t, x, u: u[..., 0] - ops.flip(u[..., 0], 0), "of its own"),
    ("running total", lambda s, t, x, u: ops.cumsum(u[..., 0], axis=0), "Received: other values"),
    ("players from the front", lambda s, t, x, u: ops.stack([u[:, 0, 0], u[:, 1, 0]], -1), "front"),
    ("one leading axis", lambda s, t, x, u: ops.einsum("bij->bi", u**2), "leading axes"),
    ("python branch", lambda s, t, x, u: u[..., 0] if ops.max(x) > 9 else x, "keras.ops"),
    ("missing argument", lambda s, x, u: u[..., 0], r"must be called as running_cost\(time"),
    ("surplus argument", lambda s, t, x, u, more: u[..., 0], "one too many"),
    ("raises", lambda s, t, x, u: u[..., 0] @ ops.ones((7, 7)), "must take states of shape"),
    ("root at zero", lambda s, t, x, u: ops.sqrt(u[..., 0] ** 2), "root or a norm at zero"),
    ("always NaN", lambda s, t, x, u: ops.log(-1.0 - x**2), "NaN or infinity on 256 of 256"),
    ("random", lambda s, t, x, u: u[..., 0] + keras.random.normal((2,)), "random numbers"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "named"), [case[1:] for case in CONTROLS],
                         ids=[case[0] for case in CONTROLS])  # fmt: skip
def test_a_wrong_running_cost_is_named(wrong, named):
    with pytest.raises(ValueError, match=named) as caught:
        fp.check_game(changed(running_cost=wrong))
    assert "`Mine.running_cost`" in str(caught.value)
    assert "Received: " in str(caught.value)


@pytest.mark.parametrize(
    ("method", "wrong", "named"),
    [
        ("drift", lambda s, t, x, u: u, "control_size, is still there"),
        ("drift", lambda s, t, x, u: u[..., 0] - ops.mean(x, 0), "batch"),
        ("drift", lambda s, t, x, u: ops.sum(u[..., 0], -1, keepdims=True), "keepdims"),
        ("drift", lambda s, t, x, u: np.array([0.1, 0.2]), "float64"),
        ("diffusion", lambda s, t, x, u: 0.1, "float 0.1"),
        ("diffusion", lambda s, t, x, u: 0.1 * ops.ones((2,), x.dtype), "ops.diag"),
        ("diffusion", lambda s, t, x, u: eye(x, 2), "noise_size"),
        ("diffusion", lambda s, t, x, u: eye(x, 3, 2), "transposed"),
        ("diffusion", lambda s, t, x, u: 0.1 * np.eye(2, 3, k=1), "float64"),
        ("diffusion", lambda s, t, x, u: x[..., None, :] * eye(x, 3, 2), "transposed"),
        ("diffusion", lambda s, t, x, u: eye(x, 2, 3) / (0.0 * ops.sum(x)), "NaN or infinity"),
        ("terminal_cost", lambda s, x: ops.sum(x**2, -1), "shape"),
        ("terminal_cost", lambda s, x: ops.sum(x**2, -1, keepdims=True), "keepdims"),
        ("terminal_cost", lambda s, x: x**2 - ops.mean(x**2), "batch"),
        ("terminal_cost", lambda s, t, x: x**2, r"must be called as terminal_cost\(states\)"),
        ("terminal_cost", lambda s, x: ops.where(x > 0.9, ops.log(ops.sqrt(x - 0.9)), 0.0 * x),
         "ops.where around"),
        ("euler_step", lambda s, t, x, u, w: x + u[..., 0] - ops.mean(x, 0), "batch"),
        ("euler_step", lambda s, t, x, u, w: x[..., :1], "keepdims"),
        ("euler_step", lambda s, t, x, u: x, r"must be called as euler_step\(time"),
        ("initial_states", lambda s, z: z[:, :1], r"`Mine.initial_states`.*shape \(20, 1\)"),
        ("initial_states", lambda s, z: np.random.default_rng().normal(size=z.shape), "the same"),
        ("initial_states", lambda s, z: z - z.mean(0), "of its own"),
        ("initial_states", lambda s, z: np.sign(z).astype(int), "int64"),
        ("initial_states", lambda s, z: np.log(z), "finite"),
        ("initial_states", lambda s, z: np.multiply(z, 2, out=z), "leave `normals`"),
        ("initial_states", lambda s, z: None, "`return` is missing"),
        ("initial_states", lambda s, z: z[0, 0, 0], "IndexError"),
    ],
)  # fmt: skip
def test_a_wrong_method_is_named(method, wrong, named):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match=named) as caught:
            fp.check_game(changed(**{method: wrong}))
    assert f"`Mine.{method}`" in str(caught.value)
    assert "Received: " in str(caught.value)


def late(value, mixed):
    """What a method gives, but for one moment late in the game at which it mixes paths."""
    return lambda s, t, x, *rest: value(x, *rest) + (mixed(x) if 0.6 < t < 0.7 else 0.0 * x)


@pytest.mark.parametrize("steps", [3, 30])
@pytest.mark.parametrize(
    ("method", "value"),
    [
        ("drift", lambda x, u: u[..., 0]),
        ("euler_step", lambda x, u, w: x + 0.1 * u[..., 0]),
        ("running_cost", lambda x, u: u[..., 0] ** 2),
    ],
)
def test_paths_that_are_mixed_at_some_time_only_are_seen(method, value, steps):
    wrong = late(value, lambda x: ops.mean(x, axis=0))
    if steps == 30:  # looked at in the middle, as beyond what is simulated

        def wrong(s, t, x, *rest):
            return value(x, *rest) + (ops.mean(x, axis=0) if t > 0.9 else 0.0 * x)

    game = type("Mine", (Sound,), {method: wrong})(steps)
    rule = "value of its own, whatever the other paths are"
    with pytest.raises(ValueError, match=rule) as caught:
        fp.check_game(game)
    assert "t = 0." in str(caught.value)


def test_a_form_that_is_announced_is_there():
    with pytest.raises(ValueError, match=r"`Mine\.linear_quadratic_form` must give a form"):
        fp.check_game(changed(is_linear_quadratic=True))


def test_a_missing_method_is_named():
    class Nothing(fp.Game):
        pass

    with pytest.raises(ValueError, match=r"`Nothing\.drift` must be defined"):
        fp.check_game(Nothing(2, 1.0, 3))
    with pytest.raises(TypeError, match="`game` must be a Game"):
        fp.check_game("game")


class Market(Sound):
    """Constants without leading axes, a cost of common parts, noise that depends on the state."""

    def drift(self, time, states, controls):
        return 0.1 * time * ops.ones((2,), dtype=states.dtype)

    def diffusion(self, time, states, controls):
        return ops.expand_dims(states, -1) * eye(states, 2, 3, k=1)

    def running_cost(self, time, states, controls):
        trade = controls[..., 0]
        return ops.square(trade) + trade * ops.mean(trade, axis=-1, keepdims=True)

    def terminal_cost(self, states):
        return ops.zeros((2,), dtype=states.dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "game",
    [
        Sound(), Market(), asymmetric_game(), fp.InterBankGame(20, steps=3), fp.FlockingGame(3),
        fp.PortfolioGame(3), fp.convoy_game(3, steps=5), fp.ring_game(4, steps=5),
        fp.LinearQuadraticGame(np.eye(2), [[[1.0], [0.0]], np.eye(2)], [np.eye(2)] * 2, None, None,
                               [np.eye(2)] * 2, None, steps=3, initial_mean=1.0),
    ],
    ids=lambda game: f"{type(game).__name__}-{game.players}",
)  # fmt: skip
def test_sound_games_pass_without_a_word(game, dtype):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fp.check_game(game, dtype)


@given(*(st.integers(1, most) for most in (7, 5, 3, 8, 4)))
@settings(max_examples=12, deadline=None)
def test_no_size_of_a_sound_game_is_mistaken_for_another(players, states, controls, noises, steps):
    class Any(fp.Game):
        def drift(self, time, x, u):
            return ops.sum(u, axis=(-1, -2))[..., None] - x

        def diffusion(self, time, x, u):
            return ops.ones((states, noises), dtype=x.dtype)

        def running_cost(self, time, x, u):
            return ops.sum(ops.square(u), axis=-1)

        def terminal_cost(self, x):
            return ops.repeat(ops.sum(ops.square(x), axis=-1, keepdims=True), players, axis=-1)

    fp.check_game(Any(players, 1.0, steps, states, controls, noises, initial_std=0.3))


class Fish(fp.Game):
    """A logarithm of a stock that the noise may take below zero."""

    def __init__(self, sigma):
        super().__init__(2, 1.0, 4, state_size=1, noise_size=1, initial_mean=1.0)
        self.sigma = sigma

    def drift(self, time, states, controls):
        return -0.2 * ops.sum(ops.exp(controls[..., 0]) * states, axis=-1, keepdims=True)

    def diffusion(self, time, states, controls):
        return self.sigma * ops.expand_dims(states, -1)

    def running_cost(self, time, states, controls):
        return ops.exp(controls[..., 0]) - controls[..., 0] - ops.log(states)

    def terminal_cost(self, states):
        return -ops.log(states) * ops.ones((2,), dtype=states.dtype)


def test_a_value_that_is_not_finite_on_some_paths_is_named():
    fp.check_game(Fish(0.2))
    named = r"`Fish\.running_cost` must be finite along the paths.*NaN or infinity on \d+ of 256"
    with pytest.raises(ValueError, match=named):
        fp.check_game(Fish(1.0))
    solver = fp.DeepFictitiousPlay(Fish(1.0), hidden=(4,), batch_normalization=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        solver.solve(1, 1, validation_paths=16, progress=False, regret_every=None)
    assert any("NaN or infinity on" in str(each.message) for each in caught)


class Formed(Sound):
    """A linear-quadratic game that says so, with weights that may be wrong."""

    def __init__(self, weight=2.0, mean=1.0, gain=1.0):
        super().__init__()
        self.weight, self.mean, self.gain = weight, mean, gain

    def linear_quadratic_form(self):
        B = [[[self.gain], [0.0]], [[0.0], [1.0]]]
        own = [np.diag([2.0, 0.0]), np.diag([0.0, 2.0])]
        return fp.lq.LinearQuadraticForm(
            np.zeros((2, 2)), B, np.zeros((2, 2, 2)), None, [[[self.weight]], [[2.0]]], own,
            0.1 * np.eye(2, 3, k=1), 1.0, 3, [self.mean, 1.0], 0.25 * np.eye(2),
        )  # fmt: skip


def test_a_form_that_is_another_game_is_refused():
    fp.check_game(Formed())
    for wrong in ({"weight": 1.0}, {"gain": -1.0}, {"weight": 2.01}):
        with pytest.raises(ValueError, match=r"linear_quadratic_form.*path costs of player 0"):
            fp.check_game(Formed(**wrong))
    with pytest.raises(ValueError, match="another initial mean"):
        fp.check_game(Formed(mean=0.5))


def test_a_configuration_that_makes_another_game_is_named():
    class Forgetful(Sound):
        def __init__(self, weight=1.0):
            super().__init__()
            self.weight = weight

        def terminal_cost(self, states):
            return self.weight * ops.square(states)

        def get_config(self):
            return {}

    fp.check_game(Forgetful())
    with pytest.raises(ValueError, match=r"get_config.*values of `terminal_cost`.*out.* weight"):
        fp.check_game(Forgetful(2.0))

    @keras.saving.register_keras_serializable(package="test")
    class Registered(Sound):
        pass

    with pytest.raises(ValueError, match=r"get_config.*TypeError"):
        fp.check_game(Registered())


@pytest.mark.parametrize(
    ("config", "received"),
    [
        (lambda game: {}["weight"], "KeyError: 'weight'"),
        (lambda game: None, "Received: None, a NoneType"),
        (lambda game: ["weight"], "a list"),
        (lambda game: {"wait": 1.0}, "TypeError.*wait"),
        (lambda game: {"weight": np.ones(1)}, "TypeError.*ndarray"),
        (lambda game: {}, "other values of `horizon`, `control_bounds`; .* weight, horizon, high"),
        (lambda game: {"weight": 2.0, "horizon": 3.0, "high": 5.0}, "values of `running_cost`"),
    ],
)
def test_a_configuration_that_is_none_is_refused_in_a_sentence(config, received):
    """By the check, and by a solve where there is nothing to tell it from others by."""

    class Own(Sound):
        def __init__(self, weight=1.0, horizon=1.0, high=2.0):
            fp.Game.__init__(self, 2, horizon, 4, control_bounds=(-1.0, high))
            self.weight = weight

        def running_cost(self, time, states, controls):
            late = ops.convert_to_tensor(float(time > 0.0) * self.weight, dtype=states.dtype)
            return ops.square(controls[..., 0]) + late * ops.square(states)

        def get_config(self):
            return config(self)

    game = Own(3.0, 3.0, 5.0)
    with pytest.raises(ValueError, match=rf"`Own.get_config` must return.*{received}.*Return one"):
        fp.check_game(game)
    if received in ("KeyError: 'weight'", "Received: None, a NoneType"):
        with pytest.raises(ValueError, match=rf"`Own.get_config` must return.*{received}"):
            fp.DeepFictitiousPlay(game, hidden=(2,)).solve(1, 1, progress=False)


def test_a_solve_refuses_what_the_check_refuses_and_asks_once(monkeypatch):
    wrong = changed(running_cost=lambda s, t, x, u: ops.mean(u[..., 0], -1))
    with pytest.raises(ValueError, match=r"`Mine\.running_cost`"):
        fp.DeepFictitiousPlay(wrong, hidden=(4,), batch_normalization=False).solve(
            1, 1, validation_paths=16, progress=False, regret_every=None
        )
    tried = []
    checked = fp.game_checks._tried
    monkeypatch.setattr(
        fp.game_checks, "_tried", lambda game, dtype: tried.append(game) or checked(game, dtype)
    )
    game = Sound()
    for _ in range(2):
        fp.DeepFictitiousPlay(game, hidden=(4,), batch_normalization=False).solve(
            1, 1, validation_paths=16, progress=False, regret_every=None
        )
    assert tried == [game]


@pytest.mark.parametrize(
    ("drift", "named"),
    [
        (lambda s, t, x, u: u[..., 0] * ops.exp(-t), None),
        (lambda s, t, x, u: u[..., 0] * (1.0 if t < 0.5 else 2.0), "`if` or `round` of the time"),
        (lambda s, t, x, u: u[..., 0] * np.linspace(1, 2, 60)[round(t * 60)], "scalar tensor"),
        (lambda s, t, x, u: u[..., 0] * (2.0 if isinstance(t, float) else 1.0), "same values"),
    ],
)
def test_a_long_game_must_take_the_time_as_a_tensor(drift, named):
    kind = type("Mine", (Sound,), {"drift": drift, "__init__": _long})
    if named is None:
        fp.check_game(kind(60))
        return
    with pytest.raises(ValueError, match=named) as caught:
        fp.check_game(kind(60))
    assert "`Mine.drift`" in str(caught.value)
    fp.check_game(kind(10))


def _long(self, steps):
    fp.Game.__init__(self, 2, 0.9, steps, initial_mean=1.0, initial_std=0.5)


def test_a_game_whose_bounds_leave_out_zero_is_tried_within_them():
    """The logarithm of a catch: finite within the bounds, and not at the controls of zero."""
    game = changed(running_cost=lambda s, t, x, u: -ops.log(u[..., 0]))
    with pytest.raises(ValueError, match="with controls of zero, first"):
        fp.check_game(game)
    fp.check_game(type(game)(control_bounds=(0.1, 2.0)))
    wrong = changed(running_cost=lambda s, t, x, u: ops.log(u[..., 0] - 9.0))
    with pytest.raises(ValueError, match="controls of zero, or the nearest allowed, first"):
        fp.check_game(type(wrong)(control_bounds=(0.1, 2.0)))


@pytest.mark.parametrize(("width", "right"), [(1.0, True), (1.1, False)])
def test_a_form_has_the_moments_of_a_law_that_is_not_normal(width, right):
    class Uniform(fp.LinearQuadraticGame):
        def __init__(self):
            one = np.ones((1, 1))
            self.law = {"initial_mean": 0.5, "initial_std": width * 12**-0.5}
            super().__init__(one, [one], [one], None, None, [one], None, steps=3, **self.law)

        def initial_states(self, normals):
            return np.clip(0.5 + 0.5 * np.vectorize(math.erf)(normals / 2**0.5), 0.0, 1.0)

        def linear_quadratic_form(self):
            plain = fp.LinearQuadraticGame.from_config(super().get_config())
            return plain.linear_quadratic_form()

    if right:
        fp.check_game(Uniform())
        return
    with pytest.raises(ValueError, match="another initial mean or covariance"):
        fp.check_game(Uniform())
