"""Distances between profiles: in controls, in gains, and the gains hidden in sampled controls."""

from typing import Any

import numpy as np

from fictitious_play import checks
from fictitious_play.lq.general.affine import affine_gains, for_gains
from fictitious_play.lq.general.form import as_form
from fictitious_play.lq.general.recursion import transition
from fictitious_play.lq.general.rollout import check_gains


def control_error(controls: Any, reference: Any) -> float:
    """Relative L2 error `√(Σ E|α - α*|² / Σ E|α*|²)` of sampled controls.

    Args:
        controls, reference: `(batch, steps, K)`, along the same paths.

    Returns:
        The error; NaN where the reference is zero.
    """
    controls = checks.real_array("controls", controls)
    reference = checks.real_array("reference", reference)
    if controls.shape != reference.shape:
        raise ValueError(
            "`controls` and `reference` must have the same shape. "
            f"Received: {controls.shape} and {reference.shape}"
        )
    size = np.sum(reference**2)
    if size == 0.0:
        return float("nan")
    return float(np.sqrt(np.sum((controls - reference) ** 2) / size))


def state_covariances(game: Any, gains: Any, with_mean: bool = False) -> Any:
    """Covariances of the states under `u_t = F_t X_t` in the Euler game, `(steps + 1, n, n)`.

    With `with_mean=True` also the means, `(steps + 1, n)`. With affine gains `(steps, K, n + 1)`
    there is one more state, the constant one.
    """
    form, gains = for_gains(game, gains)
    h, n = form.step_size, form.state_size
    covariances, means = np.zeros((form.steps + 1, n, n)), np.zeros((form.steps + 1, n))
    covariances[0], means[0] = form.initial_covariance, form.initial_mean
    for t, step in enumerate(form.time_steps):
        A_cl = transition(np, step.A, h) + h * (step.B @ gains[t])
        covariances[t + 1] = A_cl @ covariances[t] @ A_cl.T + h * step.L @ step.L.T
        means[t + 1] = A_cl @ means[t]
    return (covariances, means) if with_mean else covariances


def gain_error(game: Any, gains: Any, reference: Any) -> float:
    """Relative error of gains, weighted by where the states go under the reference.

    `√(Σ_t tr[(F̂-F) Σ_t (F̂-F)'] / Σ_t tr[F Σ_t F'])`, `Σ_t` the states' covariance under `F`.

    Args:
        game: The game.
        gains: `F̂`, `(steps, K, n)`.
        reference: `F`, `(steps, K, n)`.

    Returns:
        The error; NaN where the reference never acts.
    """
    form = as_form(game)
    gains, reference = check_gains(form, gains), check_gains(form, reference)
    covariances = state_covariances(form, reference)[:-1]

    def weight(F: Any) -> Any:
        return float(np.sum((F @ covariances) * F))

    size = weight(reference)
    return float(np.sqrt(weight(gains - reference) / size)) if size > 0.0 else float("nan")


def regressed_gains(controls: Any, states: Any) -> np.ndarray:
    """Feedback gains `F̂` hidden in sampled controls: `affine_gains` without the constants.

    Args:
        controls: `(batch, steps, K)`.
        states: `(batch, steps, n)` or `(batch, steps + 1, n)`, the last one then unused.

    Returns:
        `(steps, K, n)`, zero in directions in which the states do not vary.
    """
    return affine_gains(controls, states)[:, :, :-1]
