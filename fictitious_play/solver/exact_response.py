"""Best responses to profiles of linear-quadratic games, by the exact theory."""

from dataclasses import replace

import numpy as np
from keras import ops

from fictitious_play import lq, rollout
from fictitious_play.solver.evaluation import policy_controls
from fictitious_play.solver.response_search import Found, ResponseSearch, share_at_bounds
from fictitious_play.solver.samples import Sample, certificate_sample

#: Spread below which a state does not move: networks compute in float32.
_TOLERANCE = 1e-5


def open_loop(game, policy, paths: int, seed: int) -> Found:
    """The gain of leaving an open-loop profile, by `lq.exploitability` on fresh antithetic paths;
    infinite for a player who has no best response."""
    sample = certificate_sample(game, seed, paths, policy.variable_dtype)
    controls = policy_controls(policy, sample)
    tensors = [ops.convert_to_tensor(a) for a in (sample.initial_state, controls, sample.noise)]
    costs = ops.convert_to_numpy(rollout.joint_costs(game, *tensors)).astype(np.float64)
    found = nothing_found(game, costs, controls)
    if found.non_finite.any() or not np.isfinite(controls).all():
        return found
    # Pairs are neighbours here; the exact routine wants the mirror images in the second half.
    halves = Sample(*(np.concatenate([array[0::2], array[1::2]]) for array in sample))
    flat = game.stacked_controls(np.concatenate([controls[0::2], controls[1::2]]))
    # Fewer paths than features cannot carry the regression: the looser bound then.
    features = 1 + game.state_size + game.noise_size * game.steps
    try:
        exact = lq.exploitability(
            game,
            np.asarray(flat, np.float64),
            np.asarray(halves.initial_state, np.float64),
            np.asarray(halves.noise, np.float64),
            antithetic=True,
            regression=paths // 2 >= 3 * features,
        )
    except lq.NoEquilibriumError:
        found.gain[_unbounded(game)] = np.inf  # the others' are not known
        found.standard_error[:] = 0.0
        return found
    found.gain[:], found.standard_error[:] = exact.gain, exact.standard_error
    return found


def closed_loop(search: ResponseSearch, paths: int) -> dict[str, Found]:
    """The gains of leaving a closed-loop profile.

    "exact" is the gain of leaving the affine feedbacks inside the profile, by a formula;
    "exact response" the best response to them, played against the profile.
    """
    game = search.game
    # Along its own paths a profile may show no slopes, where nothing spreads its states.
    fitted_on = max(512, 4 * (game.state_size + 1))
    gain, answers = affine_gain(game, *search.disturbed_profile(fitted_on))
    played = search.run(paths, 1, 4, starts={"exact": search.affine(*answers)})
    formula = replace(played, gain=gain, standard_error=np.zeros_like(gain))
    for found in (formula, played):
        found.gain[~np.isfinite(gain)] = gain[~np.isfinite(gain)]
        found.gain[found.non_finite > 0] = np.nan
    return {"exact": formula, "exact response": played}


def affine_gain(
    game, controls: np.ndarray, states: np.ndarray
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """What each player would gain by leaving the affine feedbacks inside a closed-loop profile.

    Args:
        game: a linear-quadratic game.
        controls, states: (paths, steps, players, control_size) and (paths, steps, state_size) of
            the profile along sample paths.

    Returns:
        (players,) gains, by `lq.profile_exploitability`; infinite for a player who has no best
        response, and then NaN for the others, and NaN for all where too few paths are finite; and
        the best responses as gains (steps, players, control_size, state_size) and constants (steps,
        players, control_size).
    """
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


def _unbounded(game) -> np.ndarray:
    """(players,), whose cost falls without end against open-loop controls."""
    form = game.linear_quadratic_form()
    nothing = lq.feedback_coefficients(
        form, np.zeros((form.steps, form.control_size, form.state_size))
    )
    found = np.zeros(form.players, bool)
    for player in range(form.players):
        try:
            lq.best_response(form, nothing, player)
        except lq.NoEquilibriumError:
            found[player] = True
    return found


def nothing_found(game, costs: np.ndarray, controls: np.ndarray) -> Found:
    """A `Found` without gains, NaN, for path costs (paths, players) of a profile."""
    nothing = np.full(game.players, np.nan)
    with np.errstate(invalid="ignore"):
        cost, spread = costs.mean(axis=0), costs.std(axis=0)
    return Found(
        gain=nothing,
        standard_error=nothing.copy(),
        by=("exact",) * game.players,
        cost=cost,
        spread=spread,
        non_finite=(~np.isfinite(costs)).sum(axis=0),
        paths=len(costs),
        at_bounds=share_at_bounds(game, controls),
    )
