"""How fast fictitious play converges: the spectral radius of its stage map.

The stage map sends the players' controls to their best responses. It is affine; its linear part
acts on every column of a linear profile alone, on the column of `x_0` over the whole horizon and on
those of the noises over what is left of it. Hu 2019 (section 3.2) shows that it contracts on
small horizons; here is by how much.
"""

from typing import Any

import numpy as np

from fictitious_play import checks
from fictitious_play.lq.general.best_response import (
    ResponseGains,
    affine_terms,
    follow,
    response_gains,
)
from fictitious_play.lq.general.form import LinearQuadraticForm, as_form

# Up to this many unknowns the map is written out as a dense matrix.
DENSE = 1500


def stage_map(game: Any, start: int = 0) -> np.ndarray:
    """Linear part of the simultaneous stage map on controls that are known at step `start`.

    Returns:
        `(left K, left K)` with `left = steps - start`; rows and columns run over steps first, then
        the stacked controls.
    """
    form = as_form(game)
    start = checks.integer("start", start, 0)
    if start >= form.steps:
        raise ValueError(f"`start` must be below {form.steps}. Received: {start}")
    size = (form.steps - start) * form.control_size
    return _apply(form, _gains(form), np.eye(size), start)


def contraction(game: Any, columns: str = "initial") -> float:
    """Spectral radius of the simultaneous stage map.

    Plain fictitious play converges from every initial belief where it is below one, and diverges
    from almost every one where it is above. One player responds to nobody: zero.

    Args:
        game: A linear-quadratic game.
        columns: `"initial"`: the column of `x_0`, which is all there is without noise. `"all"`: the
            largest over the columns of the noises too, each on what is left of the horizon. The two
            are equal where the radius grows with the horizon, as it does for symmetric players; it
            need not where the weights' rows do not sum to one.
    """
    form = as_form(game)
    checks.one_of("columns", columns, ("initial", "all"))
    if form.players == 1:
        return 0.0
    gains = _gains(form)
    starts = range(1) if columns == "initial" else range(form.steps)
    return max(_radius(form, gains, start) for start in starts)


def _radius(form: LinearQuadraticForm, gains: list[ResponseGains], start: int) -> float:
    # SciPy's subpackages are slow to import; most programs that import this one do not need them.
    from scipy.sparse.linalg import LinearOperator, eigs

    size = (form.steps - start) * form.control_size
    if size <= DENSE:
        spectrum = np.linalg.eigvals(_apply(form, gains, np.eye(size), start))
    else:
        operator = LinearOperator(
            (size, size),
            matvec=lambda v: _apply(form, gains, v.reshape(size, 1), start).ravel(),
            dtype=np.float64,
        )
        first = np.random.default_rng(0).standard_normal(size)
        spectrum = eigs(operator, k=4, v0=first, return_eigenvectors=False)
    return float(np.abs(spectrum).max())


def _gains(form: LinearQuadraticForm) -> list[ResponseGains]:
    return [response_gains(form, i) for i in range(form.players)]


def _apply(
    form: LinearQuadraticForm, gains: list[ResponseGains], columns: np.ndarray, start: int
) -> np.ndarray:
    """Best responses to controls `(left K, columns)` from step `start` on, where `x = 0`."""
    given = columns.reshape(form.steps - start, form.control_size, -1)
    before = np.zeros((start, *given.shape[1:]))
    controls = np.concatenate([before, given])
    response = np.empty_like(controls)
    nowhere = np.zeros((form.state_size, controls.shape[-1]))
    for i, where in enumerate(form.control_slices):
        k = affine_terms(form, i, gains[i], controls)
        # What she would do before `start` does not belong to the map.
        k[:start] = 0.0
        response[:, where] = follow(form, i, gains[i], k, controls, nowhere, False)
    return response[start:].reshape(columns.shape)
