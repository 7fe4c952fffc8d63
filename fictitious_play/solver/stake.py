"""What is at stake for a player whose cost is next to nothing."""

from typing import Any

import numpy as np
from keras import ops

from fictitious_play import rollout
from fictitious_play.networks.feedback_policy import FeedbackPolicy
from fictitious_play.solver.evaluation import policy_controls
from fictitious_play.solver.samples import response_sample

#: Paths, and most numbers in an array of them.
_PATHS, _NUMBERS = 64, 2**22
#: Of controls' size, and of costs at rest or of the others.
_HANDS, _SHARE = 0.1, 0.01


def stakes(policy: Any, scale: np.ndarray, seed: int) -> np.ndarray:
    """What every player's cost would rise by if her hand trembled by a tenth of her control's size.

    That counts up to a hundredth of what she pays if everybody rests, since controls that are far
    too large make trembles that are. A hand that rests trembles by a tenth of the largest control
    of any player, and that counts up to a hundredth of the mean of the others' scales, or of what
    they pay at rest: a player may rest because her units are small.

    Args:
        policy: the profile.
        scale: (players,) scales of cost from the profile's own costs, NaN where there is none.
        seed: of the paths and the trembles.

    Returns:
        (players,), zero where the cost does not rise.
    """
    game = policy.game
    copies = game.players * (game.state_size + game.players * game.control_size)
    paths = 2 * max(1, min(_PATHS, _NUMBERS // copies) // 2)
    sample = response_sample(game, seed, "stake", 0, paths, policy.variable_dtype)
    controls = policy_controls(policy, sample)
    size = np.sqrt(np.mean(np.square(controls, dtype=np.float64), axis=(0, 1)))
    shocks = np.random.default_rng((seed, 8)).standard_normal(controls.shape)

    def rise(size: Any) -> np.ndarray:
        # Opposite hands on the same path: what is linear in them cancels.
        hands = (shocks * size).astype(controls.dtype)
        costs = [_costs(policy, sample, controls, sign * hands) for sign in (0.0, 1.0, -1.0)]
        still, *moved = (ops.convert_to_numpy(each).astype(np.float64) for each in costs)
        risen = np.mean(0.5 * (moved[0] + moved[1]) - still, axis=0)
        return np.where(np.isfinite(risen), np.maximum(risen, 0.0), 0.0)

    rest = game.project(np.zeros_like(controls))
    arrays = map(ops.convert_to_tensor, (sample.initial_state, rest, sample.noise))
    costs = ops.convert_to_numpy(rollout.joint_costs(game, *arrays)).astype(np.float64)
    paid = np.nan_to_num(np.sqrt(np.mean(costs**2, axis=0)), posinf=0.0)
    known = np.minimum(np.nan_to_num(scale, posinf=0.0), paid)
    others = _SHARE * (known.sum() - known) / max(1, game.players - 1)
    borrowed = np.minimum(rise(_HANDS * size.max()), others)
    return np.maximum(np.minimum(rise(_HANDS * size), _SHARE * paid), borrowed)


def _costs(policy: Any, sample: Any, controls: np.ndarray, hands: np.ndarray) -> Any:
    """Every player's cost when she alone trembles, (paths, players); feedbacks answer it."""
    game = policy.game
    initial, played, shaken, noise = map(
        ops.convert_to_tensor, (sample.initial_state, controls, hands, sample.noise)
    )
    if not isinstance(policy, FeedbackPolicy):
        return game.deviation_costs(initial, game.project(played + shaken), played, noise)
    eye = ops.convert_to_tensor(np.eye(game.players)[:, :, None], dtype=sample.noise.dtype.name)

    def own(now: Any, states: Any) -> tuple:
        mine = ops.sum(policy.controls(now["policy"], states) * eye, axis=2)
        return game.project(mine + now["hands"]), ()

    given = {"policy": policy.by_step(), "hands": ops.swapaxes(shaken, 0, 1)}
    inputs = (given, policy.by_step())
    return rollout.feedback_deviation_costs(game, initial, own, policy.controls, inputs, noise)[0]
