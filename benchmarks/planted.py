"""Profiles with a planted fault and a known gain: what a certificate must not be blind to.

Every case is a game, a profile whose players are wrong in one known way, and what each player gains
by leaving it alone, computed without any network: by the theory of linear-quadratic games for
profiles that are linear, by quadrature for the one game that is not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

import fictitious_play as fp
from fictitious_play import lq


@dataclass(frozen=True)
class Case:
    """A game, a profile, and (players,) what each player gains by leaving it alone."""

    game: fp.Game
    policy: Any
    gain: np.ndarray


def linear_feedback(game: fp.Game, gains: np.ndarray, dtype: str = "float32") -> fp.FeedbackPolicy:
    """The closed-loop profile u = K_t X, gains (steps, players, state_size), as networks."""
    policy = fp.FeedbackPolicy(game, hidden=(1,), batch_normalization=False, skip=True, dtype=dtype)
    policy.build()
    policy.state_mean.assign(np.zeros((game.steps, game.state_size)))
    policy.state_scale.assign(np.ones((game.steps, game.state_size)))
    policy.skip_kernel.assign(gains.reshape(game.steps, game.players, 1, game.state_size))
    return policy


def _tracking(
    offset=0.0, spread=0.5, unit=1.0, money=1.0, effort=0.1, steps=8
) -> fp.LinearQuadraticGame:
    """One player moves X, which starts at 0, after a signal Z that nobody moves.

    `unit` is that of X and Z in the game's own, `money` that of costs; Z starts about `offset`.
    """
    apart = money / unit**2 * np.array([[1.0, -1.0], [-1.0, 1.0]])
    return fp.LinearQuadraticGame(
        np.zeros((2, 2)), [[[1.0], [0.0]]], [apart], None, [[[money * effort / unit**2]]], [apart],
        [[0.0], [unit]], horizon=2.0, steps=steps,
        initial_mean=np.array([0.0, offset]) * unit, initial_std=np.array([0.0, spread]) * unit,
    )  # fmt: skip


def _linear(game, change: Callable[[np.ndarray], np.ndarray], dtype="float32") -> Case:
    """The closed-loop equilibrium with its gains (steps, players, state_size) changed."""
    gains = change(lq.nash(game, "closed_loop").gains.copy())
    exploited = lq.profile_exploitability(game, gains, "closed_loop")
    return Case(game, linear_feedback(game, gains, dtype), exploited.gain)


def _without(*states: int) -> Callable[[np.ndarray], np.ndarray]:
    def change(gains):
        gains[:, :, list(states)] = 0.0
        return gains

    return change


def resting_state() -> Case:
    """Everybody rests, and so does the state that the player could move."""
    return _linear(_tracking(spread=0.5), lambda gains: 0.0 * gains)


def unseen_state() -> Case:
    """The controls follow the signal and do not see the state that they move."""
    return _linear(_tracking(), _without(0))


def drifted_state() -> Case:
    """The states are far from where their spread is: a thousand and a half ± one half."""
    return _linear(_tracking(offset=1000.0), lambda gains: 0.5 * gains)


def tiny_unit() -> Case:
    """States and controls of the size 1e-6."""
    return _linear(_tracking(unit=1e-6), _without(0))


def huge_unit() -> Case:
    """States of the size 1e4 and costs of the size 1e6."""
    return _linear(_tracking(unit=1e4, money=1e6), _without(0))


def tiny_cost() -> Case:
    """Costs of the size 1e-6."""
    return _linear(_tracking(money=1e-6), lambda gains: 0.3 * gains)


def wrong_sign() -> Case:
    """Every bank lends where it should borrow."""
    game = fp.InterBankGame(players=3, steps=5, epsilon=4.0, c=2.0, q=0.5)
    return _linear(game, lambda gains: -gains)


def float64_profile() -> Case:
    """Half the equilibrium's feedback, by networks of float64."""
    game = fp.convoy_game(players=2, steps=6, horizon=2.0)
    return _linear(game, lambda gains: 0.5 * gains, dtype="float64")


def correlated_states() -> Case:
    """Two states that differ by a hundredth of their size, and costs on the difference."""
    small = 1e4
    apart = small * np.array([[1.0, -1.0], [-1.0, 1.0]])
    game = fp.LinearQuadraticGame(
        np.zeros((2, 2)), [[[1.0], [0.0]]], [apart], None, [[[100.0]]], [apart],
        np.array([[1.0, 0.01], [1.0, -0.01]]), horizon=1.0, steps=6, initial_mean=[5.0, 5.0],
        initial_covariance=np.array([[1.0001, 0.9999], [0.9999, 1.0001]]),
    )  # fmt: skip
    return _linear(game, lambda gains: 0.0 * gains)


def one_player_of_five() -> Case:
    """Four players at the equilibrium, who answer the fifth; she sees no speeds."""

    def change(gains):
        gains[:, 3, 1::2] = 0.0
        return gains

    return _linear(fp.convoy_game(players=5, steps=8, horizon=2.0, speed_weight=4.0), change)


@keras.saving.register_keras_serializable(package="benchmarks")
class InitialLaw(fp.Game):
    """Steering to zero from X_0 uniform on [-1, 1], a law of its own with `initial_std` at 0."""

    def __init__(self):
        super().__init__(2, 1.0, 4)

    def get_config(self):
        return {}

    def initial_states(self, normals):
        return np.sqrt(3.0) * np.tanh(normals)

    def drift(self, time, states, controls):
        return controls[..., 0]

    def diffusion(self, time, states, controls):
        return 0.1 * ops.eye(2, 3, k=1, dtype=states.dtype)

    def running_cost(self, time, states, controls):
        return 0.5 * ops.square(controls[..., 0])

    def terminal_cost(self, states):
        return 2.0 * ops.square(states)


def initial_law() -> Case:
    """Open loop: nobody moves, and X_0 has a spread of which the game's attributes say nothing."""
    game = InitialLaw()
    policy = fp.JointPolicy(game, hidden=(1,))
    policy.build()
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    second = np.sum(weights * game.initial_states(nodes) ** 2) / np.sum(weights)
    form = lq.LinearQuadraticForm(
        np.zeros((2, 2)), [[[1.0], [0.0]], [[0.0], [1.0]]], np.zeros((2, 2, 2)), None, None,
        [np.diag([4.0, 0.0]), np.diag([0.0, 4.0])], 0.1 * np.eye(2, 3, k=1), 1.0, 4,
        np.zeros(2), second * np.eye(2),
    )  # fmt: skip
    return Case(game, policy, lq.profile_exploitability(form, np.zeros((4, 2, 2))).gain)


@keras.saving.register_keras_serializable(package="benchmarks")
class RareReward(fp.Game):
    """One step, whose control earns 5 where X_0 > 2, once in 44 paths, and costs ½ u² everywhere.

    The best control is 5 there and 0 elsewhere: 12.5 P(X_0 > 2) is gained by leaving zero.
    """

    def __init__(self):
        super().__init__(1, 1.0, 1, noise_size=1, initial_std=1.0)

    def get_config(self):
        return {}

    def drift(self, time, states, controls):
        return 0.0 * states

    def diffusion(self, time, states, controls):
        return ops.zeros((1, 1), dtype=states.dtype)

    def running_cost(self, time, states, controls):
        control = controls[..., 0]
        rare = ops.cast(states > 2.0, states.dtype)
        return 0.5 * ops.square(control) - 5.0 * rare * control

    def terminal_cost(self, states):
        return 0.0 * states


def rare_event() -> Case:
    """Nobody acts, and nothing but a rare event, with a jump in it, is a reason to."""
    from scipy.stats import norm

    game = RareReward()
    gains = np.zeros((1, 1, 1))
    return Case(game, linear_feedback(game, gains), np.array([12.5 * norm.sf(2.0)]))


def too_few_steps() -> Case:
    """Open loop: networks after three training steps."""
    game = fp.InterBankGame(players=3, steps=5, epsilon=4.0, c=2.0, initial_mean=[-1.0, 0.0, 1.0])
    result = fp.DeepFictitiousPlay(game, hidden=(8,)).solve(
        1, 3, validation_paths=64, progress=False, regret_every=None
    )
    exact = result.exploitability(method="exact", paths=8192)
    return Case(game, result.policy, exact.gain)


CASES: dict[str, Callable[[], Case]] = {
    "resting state": resting_state,
    "unseen state": unseen_state,
    "drifted state": drifted_state,
    "tiny unit": tiny_unit,
    "huge unit": huge_unit,
    "tiny cost": tiny_cost,
    "wrong sign": wrong_sign,
    "float64 profile": float64_profile,
    "correlated states": correlated_states,
    "one player of five": one_player_of_five,
    "initial law": initial_law,
    "rare event": rare_event,
    "too few steps": too_few_steps,
}
