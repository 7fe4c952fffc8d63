"""Weights of a feedback network that reads the state in other units and plays the same controls.

With f = (x - m) s and f' = (x - m') s', a product K f of the first layer or of the linear path is

    K f = K' f' + c,      K' = K s/s',      c = K s (m' - m),

so K becomes K' and c goes where a constant can go: into the bias, or, under batch normalisation,
out of the moving mean. Where s' is zero the state rests at m', and c alone remains.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from fictitious_play.networks.units import Units

#: Of the linear path's coefficients in time, where a network is shared in time. They are on
#: Legendre's polynomials, of size one on average over the steps, so that one learning rate suits.
DEGREE = 3


def time_polynomials(steps: int) -> np.ndarray:
    """The values of the polynomials at the middles of the steps, (steps, DEGREE + 1)."""
    middles = (2.0 * np.arange(steps) + 1.0) / steps - 1.0
    sizes = np.sqrt(2.0 * np.arange(DEGREE + 1) + 1.0)
    return sizes * np.polynomial.legendre.legvander(middles, DEGREE)


def changed_weights(policy: Any, profile: Sequence, units: Units) -> list[np.ndarray]:
    """The stacked weights of a profile in other units, float64.

    Args:
        policy: a `FeedbackPolicy` of the profile's form.
        profile: `FeedbackPolicy.profile` of that policy or of another one: its stacked weights,
            and the mean and scale that they belong to.
        units: the other ones.
    """
    arrays = [np.array(ops.convert_to_numpy(each), np.float64) for each in profile]
    *weights, mean, scale = arrays
    named = _named(policy, weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(units.scale > 0.0, scale / units.scale, 0.0)
    shift = scale * (units.mean - mean)
    n, networks = policy.game.state_size, len(named["first"])
    ratios, shifts = ratio[:networks], shift[:networks]

    first = named["first"]
    constants = np.einsum("tpwn,tn->tpw", first[..., :n], shifts)
    first[..., :n] *= ratios[:, None, None]
    if policy.batch_normalization:
        named["moving_mean"] -= constants
    else:
        named["offset"] += constants
    if policy.skip:
        skip, bias = named["skip"], named["bias"]
        parts = len(skip)
        if policy.time_shared:
            ratio, shift = (np.broadcast_to(each[:1], (parts, n)) for each in (ratio, shift))
        constants = np.einsum("tpkn,tn->tpk", skip[..., :n], shift)
        skip[..., :n] *= ratio[:, None, None]
        if policy.time_shared:
            start, slope = _through_time(constants, policy.game.steps)
            bias += start
            skip[..., n] += slope
        else:
            bias += constants
    return weights


def _named(policy: Any, weights: Any) -> dict[str, np.ndarray]:
    """The arrays that a change of units moves, of those in the order of `stacked_weights`."""
    layers = len(policy.hidden)
    parts = {"first": weights[0], "offset": weights[layers]}
    if policy.batch_normalization:
        parts["moving_mean"] = weights[3 * layers]
    if policy.skip:
        parts["skip"], parts["bias"] = weights[-1], weights[-2]
    else:
        parts["bias"] = weights[-1]
    return parts


def _through_time(coefficients: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """A cubic of time p(t) as p(0) + t/T q(t), q of degree 2 in the same polynomials.

    Args:
        coefficients: of p, (DEGREE + 1, players, control_size).

    Returns:
        p(0), (1, players, control_size), and the coefficients of q, of the same shape as those
        of p.
    """
    basis = time_polynomials(steps)
    values = np.tensordot(basis, coefficients, axes=1)
    start = values[:1]
    if steps == 1:
        return start, np.zeros_like(coefficients)
    times = np.arange(1, steps) / steps
    quotient = (values[1:] - start) / times[:, None, None]
    flat = quotient.reshape(steps - 1, -1)
    slope = np.linalg.lstsq(basis[1:, :DEGREE], flat, rcond=None)[0]
    slope = np.concatenate([slope, np.zeros((1, flat.shape[1]))])
    return start, slope.reshape(coefficients.shape)
