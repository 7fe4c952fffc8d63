"""Finds the best response to a profile that can be found: see `ResponseModel` for what it may be.

What is found on one sample is chosen on another and measured on a third, path by path against the
profile, so that a gain is neither the luck of a sample nor worse than nothing beyond its noise.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from fictitious_play.solver import descent
from fictitious_play.solver.deviation_gain import DeviationGain, gains_to_come
from fictitious_play.solver.deviations import Deviations


def search(
    deviations: Deviations,
    paths: int,
    linear_evaluations: int,
    linear_paths: int,
    steps: int = 0,
    starts: dict[str, np.ndarray] | None = None,
) -> DeviationGain:
    """Searches, chooses and measures.

    Args:
        deviations: from the profile, in units that have been measured.
        paths: on which the gains are measured; as many choose among what was found.
        linear_evaluations, linear_paths: of the quasi-Newton search over linear corrections.
        steps: Adam steps of the networks, over all their starts.
        starts: corrections (players, parameters) to begin with, by the name of where they come
            from.
    """
    draw, corrections = deviations.draw, deviations.corrections
    choice = _Choice(deviations, deviations.inputs(draw("choice", 0, max(256, paths // 2))))
    for name, theta in (starts or {}).items():
        choice.offer(theta, name)
    if linear_evaluations > 1:
        function = deviations.function(deviations.inputs(draw("linear", 0, linear_paths)))
        # Constants are found first, however far they are.
        for free in (corrections.constants, corrections.linear):
            _descend(choice, function, free, linear_evaluations)
    if steps:
        _train(choice, deviations, steps)
    return _measure(choice, deviations, deviations.inputs(draw("measure", 0, paths)))


class _Choice:
    """The best correction so far of every player, on a sample of its own."""

    def __init__(self, deviations: Deviations, inputs: Any):
        self._deviations = deviations
        finite = np.isfinite(np.asarray(inputs[2])).all(axis=1)
        self._inputs = [array[finite] for array in inputs]
        self.best = deviations.corrections.nothing
        players = len(self.best)
        self.saved = np.zeros(players)
        self.by = ["nothing"] * players

    def offer(self, theta: np.ndarray, name: str) -> np.ndarray:
        """Takes a correction for the players whom it saves more; (players,), which ones."""
        if not len(self._inputs[0]):
            return np.zeros(len(theta), bool)
        differences = self._deviations.differences(self._inputs, theta)
        with np.errstate(invalid="ignore"):
            saved = -differences.mean(axis=0)
        better = saved > self.saved  # never for NaN
        self.saved = np.where(better, saved, self.saved)
        self.best = np.where(better[:, None], theta, self.best)
        self.by = [name if new else old for new, old in zip(better, self.by, strict=True)]
        return better


def _descend(choice: _Choice, function: Any, free: np.ndarray, evaluations: int) -> None:
    """A quasi-Newton search from the best so far; points on the way are offered too, since the
    last may be the luck of the sample."""
    theta = choice.best
    for number, theta in enumerate(descent.quasi_newton(function, choice.best, free, evaluations)):
        if (number + 1) & number == 0 or number % 8 == 7:
            choice.offer(theta, "linear")
    choice.offer(theta, "linear")


def _train(choice: _Choice, deviations: Deviations, steps: int) -> None:
    """Adam with two step sizes from nothing and from the best so far, each with a seed of its own;
    what is then best goes on for the other half of the steps."""
    corrections, seed = deviations.corrections, deviations.seed
    inputs = corrections.shapes["linear"][1] + corrections.past
    linear, nothing = choice.best, corrections.nothing
    tries = [(linear, 0.03), (nothing, 0.03), (linear, 0.003), (nothing, 0.1)]
    short = max(1, steps // (2 * len(tries)))
    best_rate = np.full(len(linear), 0.03)
    for number, (begin, rate) in enumerate(tries):
        begin = corrections.with_network(begin, (seed, 6, number))
        rates = np.full(len(linear), rate / inputs**0.5)
        theta = descent.adam(deviations.fresh(f"train-{number}"), begin, rates, short)
        better = choice.offer(theta, "network")
        best_rate = np.where(better, rate, best_rate)
    begin = choice.best
    fresh = corrections.with_network(begin, (seed, 6, len(tries)))
    begin = np.where(corrections.without_network(begin)[:, None], fresh, begin)
    rates = best_rate / inputs**0.5
    theta = descent.adam(deviations.fresh("train"), begin, rates, max(1, steps - 4 * short))
    choice.offer(theta, "network")


def _measure(choice: _Choice, deviations: Deviations, inputs: Any) -> DeviationGain:
    baseline = np.asarray(inputs[2], np.float64)
    measured = gains_to_come(baseline, deviations.at_bounds)
    broken = measured.non_finite > 0
    saved = -deviations.differences(inputs, choice.best)
    # A deviation whose cost does not exist on some path is none.
    bad = ~np.isfinite(saved).all(axis=0) & ~broken
    saved[:, bad] = 0.0
    by = tuple("nothing" if wrong else name for wrong, name in zip(bad, choice.by, strict=True))
    pairs = saved.reshape(-1, 2, saved.shape[1]).mean(axis=1)
    with np.errstate(invalid="ignore"):
        gain = pairs.mean(axis=0)
        error = pairs.std(axis=0, ddof=1) / np.sqrt(len(pairs))
    gain, error = (np.where(broken, np.nan, value) for value in (gain, error))
    return replace(measured, gain=gain, standard_error=error, by=by)
