"""Best responses to profiles of linear-quadratic games, by the exact theory."""

from dataclasses import replace
from typing import Any

import numpy as np
from keras import ops

from fictitious_play import lq
from fictitious_play.solver.deviation_gain import DeviationGain, gains_to_come, share_at_bounds
from fictitious_play.solver.deviations import Deviations
from fictitious_play.solver.evaluation import batches, play
from fictitious_play.solver.response_search import search
from fictitious_play.solver.samples import Sample, certificate_sample, response_sample

#: Spread below which a state does not move: networks compute in float32.
_TOLERANCE = 1e-5
#: How much hands tremble, in the size of the controls, where nothing better is known.
_TREMBLE = 0.3


def open_loop(game: Any, policy: Any, paths: int, seed: int) -> DeviationGain:
    """The gain of leaving an open-loop profile, by `lq.exploitability` on fresh antithetic paths;
    infinite for a player who has no best response."""
    sample = certificate_sample(game, seed, paths, policy.variable_dtype)
    controls, gains = _played(policy, sample)
    if gains.non_finite.any() or not np.isfinite(controls).all():
        return gains
    # Pairs are neighbours here; the exact routine wants the mirror images in the second half.
    order = np.arange(sample.paths).reshape(-1, 2).T.ravel()
    flat = game.stacked_controls(controls[order])
    initial_state, noise = (array[order].astype(np.float64) for array in sample)
    try:
        exact = lq.exploitability(
            game,
            flat,
            initial_state,
            noise,
            antithetic=True,
            regression=None,  # fewer paths than it needs: the looser bound
        )
    except lq.NoEquilibriumError:
        gains.gain[_unbounded(game)] = np.inf  # the others' are not known
        gains.standard_error[:] = 0.0
        return gains
    gains.gain[:], gains.standard_error[:] = exact.gain, exact.standard_error
    return gains


def closed_loop(deviations: Deviations, paths: int) -> dict[str, DeviationGain]:
    """The gains of leaving a closed-loop profile.

    "exact" is the gain of leaving the affine feedbacks inside the profile, by a formula;
    "exact response" the best response to them, played against the profile.
    """
    units = deviations.model.units
    sample = deviations.draw("profile", 0, _fitting_paths(deviations.game))
    gain, answers = affine_gain(deviations.policy, sample, units.control, deviations.seed)
    starts = {"exact": deviations.corrections.affine(*answers, units)}
    played = search(deviations, paths, 1, 4, starts=starts)
    formula = replace(played, gain=gain, standard_error=np.zeros_like(gain))
    for gains in (formula, played):
        gains.gain[~np.isfinite(gain)] = gain[~np.isfinite(gain)]
        gains.gain[gains.non_finite > 0] = np.nan
    return {"exact": formula, "exact response": played}


def affine(policy: Any, paths: int, seed: int) -> DeviationGain:
    """As "exact" there, in a moment: the hands tremble by a share of the controls' size."""
    game = policy.game
    sample = response_sample(
        game, seed, "regret", 0, max(paths, _fitting_paths(game)), policy.variable_dtype
    )
    controls, gains = _played(policy, sample)
    if not gains.non_finite.any():
        size = np.sqrt(np.mean(np.square(controls, dtype=np.float64), axis=(0, 1)))
        gain, _ = affine_gain(policy, sample, np.where(size > 0.0, _TREMBLE * size, 1.0), seed)
        gains.gain[:], gains.standard_error[:] = gain, 0.0
    return gains


def affine_gain(
    policy: Any, sample: Sample, tremble: np.ndarray, seed: int
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """What each player would gain by leaving the affine feedbacks inside a closed-loop profile.

    They are fitted where the profile leads when everybody's hands tremble: along its own paths
    nothing may spread the states, and there are no slopes to see.

    Args:
        policy: the profile, of a linear-quadratic game.
        sample: initial states and noise.
        tremble: (players, control_size), standard deviations of the hands.
        seed: of the trembles.

    Returns:
        (players,) gains, by `lq.profile_exploitability`; infinite for a player who has no best
        response, and then NaN for the others, and NaN for all where too few paths are finite; and
        the best responses as gains (steps, players, control_size, state_size) and constants (steps,
        players, control_size).
    """
    game = policy.game
    controls, states = _answers(policy, sample, tremble, seed)
    form = game.linear_quadratic_form()
    shape = (game.steps, game.players, game.control_size)
    matrices, constants = np.zeros((*shape, game.state_size)), np.zeros(shape)
    finite = np.isfinite(controls).all(axis=(1, 2, 3)) & np.isfinite(states).all(axis=(1, 2))
    if finite.sum() <= game.state_size + 1:
        return np.full(game.players, np.nan), (matrices, constants)
    flat = game.stacked_controls(controls[finite])
    affine = lq.affine_gains(flat, states[finite], tolerance=_TOLERANCE)
    unbounded = np.zeros(game.players, bool)
    for player, where in enumerate(form.control_slices):
        try:
            answer = lq.feedback_response(form, affine, player)
        except lq.NoEquilibriumError:
            unbounded[player] = True
            continue
        size = where.stop - where.start
        matrices[:, player, :size] = answer[..., :-1]
        constants[:, player, :size] = answer[..., -1]
    if unbounded.any():
        return np.where(unbounded, np.inf, np.nan), (matrices, constants)
    gain = np.array(lq.profile_exploitability(form, affine, "closed_loop").gain)
    return gain, (matrices, constants)


def _played(policy: Any, sample: Sample) -> tuple[np.ndarray, DeviationGain]:
    """Controls of a profile along a sample, and its costs with the gains to come."""
    controls, costs = play(policy, sample, "controls", "costs")
    at_bounds = share_at_bounds(policy.game, controls)
    return controls, gains_to_come(costs.astype(np.float64), at_bounds)


def _fitting_paths(game: Any) -> int:
    """Paths enough for the regression on the states in `affine_gain`."""
    return max(512, 4 * (game.state_size + 1))


def _unbounded(game: Any) -> np.ndarray:
    """(players,), whose cost falls without end against open-loop controls."""
    form = game.linear_quadratic_form()
    nothing = lq.feedback_coefficients(
        form, np.zeros((form.steps, form.control_size, form.state_size))
    )
    unbounded = np.zeros(form.players, bool)
    for player in range(form.players):
        try:
            lq.best_response(form, nothing, player)
        except lq.NoEquilibriumError:
            unbounded[player] = True
    return unbounded


def _answers(policy: Any, sample: Sample, tremble: Any, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What the profile answers where trembles lead, (paths, steps, players, control_size), and the
    states there, (paths, steps, state_size)."""
    game, dtype = policy.game, sample.noise.dtype
    generator = np.random.default_rng((seed, 7))

    parts = []
    for part in batches(policy, sample):
        shape = (part.paths, game.steps, game.players, game.control_size)
        trembles = (generator.standard_normal(shape) * tremble).astype(dtype)
        parts.append(policy.disturbed(*part, trembles))
    controls, states = (
        np.concatenate([ops.convert_to_numpy(each) for each in of_parts]).astype(np.float64)
        for of_parts in zip(*parts, strict=True)
    )
    return controls, states
