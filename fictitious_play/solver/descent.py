"""Minimisers of several players' functions at once, each with its own steps.

A function takes points (players, parameters) and gives values (players,) and gradients of the same
shape as the points; player i's value depends on row i alone.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Function = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def quasi_newton(
    function: Function, start: np.ndarray, free: np.ndarray, evaluations: int, memory: int = 10
) -> Iterator[np.ndarray]:
    """L-BFGS with backtracking, which needs no step size.

    Args:
        function: a deterministic function.
        start: (players, parameters).
        free: (parameters,), which of them may move.
        evaluations: of the function, in all.
        memory: pairs of steps and differences of gradients.

    Yields:
        The points after each accepted step of any player.
    """
    point = start.copy()
    value, gradient = function(point)
    gradient = np.where(free, gradient, 0.0)
    pairs: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    # The first step is of size one: parameters are free of units.
    length = np.linalg.norm(gradient, axis=1)
    first = 1.0 / np.maximum(length, 1.0)
    lost = ~(np.isfinite(value) & np.isfinite(length))
    step = np.ones(len(point))
    used = 1
    while used < evaluations and not np.all(lost):
        direction = _direction(np.where(np.isfinite(gradient), gradient, 0.0), pairs, first)
        slope = np.sum(gradient * direction, axis=1)
        lost |= ~(slope < 0.0)
        attempt = np.where(lost[:, None], point, point + step[:, None] * direction)
        new_value, new_gradient = function(attempt)
        used += 1
        new_gradient = np.where(free, new_gradient, 0.0)
        with np.errstate(invalid="ignore"):
            good = new_value <= value + 1e-4 * step * slope
        good &= np.isfinite(new_value) & np.isfinite(new_gradient).all(axis=1) & ~lost
        # A player who has to come back waits for nobody, and nobody for her.
        step = np.where(good, 1.0, 0.3 * step)
        lost |= step < 1e-9
        if good.any():
            moved, turned = attempt - point, new_gradient - gradient
            pairs.append(_pair(*(np.where(good[:, None], each, 0.0) for each in (moved, turned))))
            pairs = pairs[-memory:]
            point = np.where(good[:, None], attempt, point)
            gradient = np.where(good[:, None], new_gradient, gradient)
            value = np.where(good, new_value, value)
            yield point.copy()


def _pair(moved: np.ndarray, turned: np.ndarray) -> tuple:
    """s, y and 1 / (s'y), with s = y = 0 where the curvature along the step is not positive."""
    product = np.sum(moved * turned, axis=1)
    size = np.linalg.norm(moved, axis=1) * np.linalg.norm(turned, axis=1)
    kept = product > 1e-10 * size
    inverse = np.where(kept, 1.0 / np.where(kept, product, 1.0), 0.0)
    return np.where(kept[:, None], moved, 0.0), np.where(kept[:, None], turned, 0.0), inverse


def _direction(gradient: np.ndarray, pairs: Any, first: np.ndarray) -> np.ndarray:
    """The two-loop recursion for -H gradient, row by row."""
    q, shares = gradient.copy(), []
    scale = first.copy()
    for moved, turned, inverse in reversed(pairs):
        share = inverse * np.sum(moved * q, axis=1)
        q -= share[:, None] * turned
        shares.append(share)
    for _, turned, inverse in pairs:
        size = np.sum(turned * turned, axis=1)
        scale = np.where(inverse > 0.0, 1.0 / np.maximum(inverse * size, 1e-300), scale)
    q *= scale[:, None]
    for (moved, turned, inverse), share in zip(pairs, reversed(shares), strict=True):
        q += (share - inverse * np.sum(turned * q, axis=1))[:, None] * moved
    return -q


def adam(
    functions: Iterator[Function], start: np.ndarray, rate: np.ndarray, steps: int
) -> np.ndarray:
    """Adam on a cosine schedule down to a hundredth, every player with her own rate.

    Args:
        functions: a fresh function for every step.
        start: (players, parameters).
        rate: (players,).
        steps: number of steps.

    Returns:
        The last points. A player whose gradient is not finite rests in that step.
    """
    point = start.copy()
    mean, square = np.zeros_like(point), np.zeros_like(point)
    for number in range(steps):
        _, gradient = next(functions)(point)
        good = np.isfinite(gradient).all(axis=1, keepdims=True)
        gradient = np.where(good, gradient, 0.0)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.99 * square + 0.01 * gradient**2
        share = 0.01 + 0.99 * 0.5 * (1.0 + np.cos(np.pi * number / steps))
        unbiased = mean / (1.0 - 0.9 ** (number + 1))
        spread = np.sqrt(square / (1.0 - 0.99 ** (number + 1)))
        point -= good * (share * rate)[:, None] * unbiased / (spread + 1e-12)
    return point
