"""Games and samples that several tests share."""

import functools
from collections.abc import Hashable

import keras
import numpy as np
from keras import ops

import fictitious_play as fp
from fictitious_play.game_checks.gradients import gradient
from fictitious_play.scan import is_loop

#: A game does not change, and a solver tries it once.
_game = functools.lru_cache(maxsize=None, typed=True)(fp.InterBankGame)


def symmetric_game(players=4, steps=5, **changes):
    settings = {"players": players, "steps": steps, "rho": 0.3, **changes}
    known = all(isinstance(value, Hashable) for value in settings.values())
    return (_game if known else fp.InterBankGame)(**settings)


@functools.cache
def asymmetric_game(players=4, steps=5):
    """Unequal parameters and weights whose rows do not sum to one."""
    rng = np.random.default_rng(5)
    return fp.InterBankGame(
        players=players,
        steps=steps,
        horizon=0.8,
        a=rng.uniform(0.0, 1.0, players),
        q=rng.uniform(0.0, 0.5, players),
        epsilon=rng.uniform(0.5, 1.5, players),
        c=rng.uniform(0.0, 1.0, players),
        sigma=rng.uniform(0.5, 1.5, players),
        rho=-0.4,
        weights=rng.uniform(-0.1, 0.5, (players, players)),
        initial_mean=rng.normal(size=players),
        initial_std=[0.0, 0.5, 1.0, 0.2][:players],
    )


class Sound(fp.Game):
    """Two states, two players: dX = u dt + 0.1 dW, costs u² and x²."""

    def __init__(self, steps=3, **changes):
        law = {"initial_mean": 1.0, "initial_std": 0.5}
        super().__init__(2, 1.0, steps, **{**law, **changes})

    def drift(self, time, states, controls):
        return controls[..., 0]

    def diffusion(self, time, states, controls):
        return 0.1 * ops.eye(2, 3, k=1, dtype=states.dtype)

    def running_cost(self, time, states, controls):
        return ops.square(controls[..., 0])

    def terminal_cost(self, states):
        return ops.square(states)


def changed(**methods):
    """`Sound` with other methods."""
    return type("Mine", (Sound,), methods)()


class Plain(Sound):
    """A class that changes without a trace in its configuration."""

    weight, far = 1.0, 0.0

    def __init__(self, steps=3):
        super().__init__(steps)

    def get_config(self):
        return {}

    def terminal_cost(self, states):
        return self.weight * ops.square(states) + self.far * ops.relu(states - 4.0)


def edited(base=Plain, steps=3, **changes):
    """The class with other methods, under the same name."""
    return type(base.__name__, (base,), changes)(steps)


def sample(game, paths=16, seed=0, dtype=np.float64):
    """Initial states, increments, and controls of everybody, (paths, steps, players, 1)."""
    rng = np.random.default_rng(seed)
    initial = game.initial_states(rng.standard_normal((paths, game.state_size)))
    noise = rng.standard_normal((paths, game.steps, game.noise_size)) * game.step_size**0.5
    shape = (paths, game.steps, game.players, game.control_size)
    controls = rng.standard_normal(shape)
    return initial.astype(dtype), noise.astype(dtype), controls.astype(dtype)


def looped_roll_out():
    """Path costs of a roll-out of so many steps that it is a loop, and their slopes in the
    controls; numpy arrays from any backend."""
    steps = 45
    game = asymmetric_game(players=2, steps=steps)
    assert is_loop(steps) or keras.config.backend() == "torch"
    initial, noise, controls = (
        keras.ops.convert_to_tensor(each, dtype="float32") for each in sample(game, 8)
    )

    def costs(controls):
        return fp.rollout.joint_costs(game, initial, controls, noise)

    slopes = gradient(lambda controls: keras.ops.sum(costs(controls)), controls)
    return keras.ops.convert_to_numpy(costs(controls)), slopes


def initial_kernel():
    """The first layer's weights of a policy before it is trained, as lists."""
    policy = fp.JointPolicy(asymmetric_game(players=2, steps=2), hidden=(2,), seed=3)
    policy.build()
    return keras.ops.convert_to_numpy(policy.kernel).tolist()


def randomize(policy, seed=0):
    """Weights and moving averages away from their special starting values."""
    rng = np.random.default_rng(seed)
    for variable in policy.variables:
        if "seed" in variable.path:
            continue
        if "moving_variance" in variable.path:
            variable.assign(rng.uniform(0.5, 2.0, variable.shape))
        else:
            variable.assign(variable + 0.3 * rng.standard_normal(variable.shape))
