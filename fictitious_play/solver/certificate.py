"""Exploitability of a solved profile: what a player would gain by leaving it alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from fictitious_play import checks, lq, rollout
from fictitious_play.networks.feedback_policy import FeedbackPolicy
from fictitious_play.networks.joint_policy import JointPolicy
from fictitious_play.solver.belief import copy_weights
from fictitious_play.solver.evaluation import policy_controls
from fictitious_play.solver.samples import Sample, certificate_sample, training_sample
from fictitious_play.solver.training import (
    BestResponseModel,
    FeedbackResponseModel,
    compile_model,
)


@dataclass(frozen=True)
class Certificate:
    """How far a profile is from a Nash equilibrium.

    Attributes:
        gain: (players,) what each player would gain by deviating alone, in units of cost.
        standard_error: (players,) of the gain.
        relative: (players,) gain over the size of her cost; NaN where that is at most 1e-12.
        method: "exact", the linear-quadratic best response, an upper bound that is tight where the
            others' controls are linear in the noise; or "trained", the best response of a larger
            network, a lower bound.
    """

    gain: np.ndarray
    standard_error: np.ndarray
    relative: np.ndarray
    method: str

    @property
    def worst(self) -> float:
        """The largest relative gain over the players."""
        return float(np.nanmax(self.relative, initial=-np.inf))


def exact_certificate(result, paths: int, seed: int) -> Certificate:
    """The certificate of an open-loop profile of a linear-quadratic game, by
    `lq.exploitability` on fresh antithetic paths."""
    game = result.game
    form = game.linear_quadratic_form()
    sample = certificate_sample(game, seed, paths, result.policy.variable_dtype)
    controls = policy_controls(result.policy, sample)
    # Pairs are neighbours here; the exact routine wants the mirror images in the second half.
    halves = Sample(*(np.concatenate([array[0::2], array[1::2]]) for array in sample))
    flat = game.stacked_controls(np.concatenate([controls[0::2], controls[1::2]]))
    # Fewer paths than features cannot carry the regression: the looser bound then.
    features = 1 + form.state_size + form.noise_size * form.steps
    found = lq.exploitability(
        form,
        np.asarray(flat, np.float64),
        np.asarray(halves.initial_state, np.float64),
        np.asarray(halves.noise, np.float64),
        antithetic=True,
        regression=paths // 2 >= 3 * features,
    )
    relative = _relative(found.gain, result.cost)
    return Certificate(found.gain, found.standard_error, relative, "exact")


def trained_certificate(
    result, steps: int, hidden: tuple[int, ...], paths: int, seed: int, batch_size: int
) -> Certificate:
    """The certificate of any profile, by training every player's best response to it.

    Every player trains a correction to her own control that starts at zero, so the response starts
    as good as the profile. The gain is measured between paired path costs; where there is next to
    nothing to gain it may come out negative by the noise of the training.
    """
    policy, game = result.policy, result.game
    dtype = policy.variable_dtype
    form = {
        "hidden": hidden,
        "batch_normalization": policy.batch_normalization,
        "skip": True,
        "seed": seed,
        "dtype": dtype,
    }
    open_loop = isinstance(policy, JointPolicy)
    model: Any
    if open_loop:
        response = JointPolicy(game, **form, features=policy.features_name)
        model = BestResponseModel(response, correction=True)
        inputs = response.row_sizes[-1]
    else:
        response = FeedbackPolicy(game, **form, time_shared=policy.time_shared)
        frozen = FeedbackPolicy.from_config(policy.get_config())
        frozen.build()
        copy_weights(policy, frozen)
        response.build()
        for name in ("state_mean", "state_scale"):
            getattr(response, name).assign(ops.copy(getattr(policy, name)))
        model = FeedbackResponseModel(response, frozen, correction=True)
        inputs = response.feature_size
    compile_model(model, 0.03 / inputs**0.5, 0.01, steps)

    def with_belief(sample: Sample) -> list:
        return [*sample, policy_controls(policy, sample)] if open_loop else list(sample)

    for step in range(steps):
        sample = training_sample(game, seed, 0, 1 + step, batch_size, dtype)
        model.train_on_batch(with_belief(sample))

    differences = []
    size = max(2, 2 * (2**22 // (game.steps * game.players * max(hidden)) // 2))
    sample = certificate_sample(game, seed, paths, dtype)
    for start in range(0, paths, size):
        part = sample.part(start, size)
        controls = ops.convert_to_tensor(policy_controls(policy, part))
        tensors = [ops.convert_to_tensor(array) for array in part]
        before = rollout.joint_costs(game, tensors[0], controls, tensors[1])
        after = model(with_belief(part))
        differences.append(ops.convert_to_numpy(before) - ops.convert_to_numpy(after))
    pairs = np.concatenate(differences).astype(np.float64)
    pairs = pairs.reshape(-1, 2, game.players).mean(axis=1)
    gain = pairs.mean(axis=0)
    error = pairs.std(axis=0, ddof=1) / np.sqrt(len(pairs))
    return Certificate(gain, error, _relative(gain, result.cost), "trained")


def certify(result, method, steps, hidden, paths, seed, batch_size) -> Certificate:
    """Checks the settings and takes the method: see `Result.exploitability`."""
    checks.one_of("method", method, ("auto", "exact", "trained"))
    paths = checks.integer("paths", paths, least=4)
    if paths % 2:
        raise ValueError(f"`paths` must be even. Received: paths={paths}")
    steps = checks.integer("steps", steps, least=1)
    seed = checks.integer("seed", seed, least=0)
    batch_size = checks.integer("batch_size", batch_size, least=2)
    open_loop = isinstance(result.policy, JointPolicy)
    exact = open_loop and result.game.is_linear_quadratic
    if method == "exact" and not exact:
        raise ValueError(
            'The method "exact" needs an open-loop profile of a linear-quadratic game. '
            f'Received: {type(result.game).__name__}; use "trained"'
        )
    if exact and method != "trained":
        return exact_certificate(result, paths, seed)
    hidden = tuple(2 * width for width in result.policy.hidden) if hidden is None else hidden
    return trained_certificate(result, steps, tuple(hidden), paths, seed, batch_size)


def _relative(gain: np.ndarray, cost: np.ndarray) -> np.ndarray:
    size = np.abs(cost)
    return np.divide(gain, size, out=np.full_like(gain, np.nan), where=size > 1e-12)
