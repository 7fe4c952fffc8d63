"""How fast fictitious play converges: the spectrum of its stage map.

The stage map sends the players' profile to their best responses. Near an equilibrium a belief rule
moves the error of the belief by a function of that map, and so does each of its eigenvalues `λ`:
`"last"` by `λ`, `"damped"` by `1 - ω + ω λ`, `"average"` in stage `k` by `1 + (λ - 1)/(k + 1)`;
`"sequential"` has a map of its own, the Gauss-Seidel form of the same one.

Open loop, the map is affine and acts on every column of a linear profile alone: on the column of
`x_0` over the whole horizon, on those of the noises over what is left of it. Hu 2019 (section 3.2)
shows that it contracts on small horizons; here is by how much.

Closed loop, a best response at a step depends on the others' gains at this and later steps only, so
the derivative at the equilibrium is block triangular in time. Its block of a step is a static game:
with `M = R + h Π B` at the equilibrium and `D` its blocks of own controls, everybody's
response to everybody's gains of that step moves by `I - D^{-1} M`. The eigenvalues of these blocks
are those of the exact play's derivative; the factor is that of the late stages.
"""

from typing import Any

import numpy as np

from fictitious_play import checks, renamed
from fictitious_play.beliefs import RULES
from fictitious_play.lq.general.best_response import (
    ResponseGains,
    affine_terms,
    follow,
    response_gains,
)
from fictitious_play.lq.general.equilibrium import nash
from fictitious_play.lq.general.form import LinearQuadraticForm, as_form
from fictitious_play.lq.general.recursion import INFORMATION, backward_step, step_matrices
from fictitious_play.lq.inter_bank.parameters import SymmetricParameters
from fictitious_play.lq.inter_bank.profile import without_matrices
from fictitious_play.lq.inter_bank.response import response_map, scalar_response
from fictitious_play.lq.inter_bank.symmetric import symmetric_nash

# Up to this many unknowns the map is written out as a dense matrix.
DENSE = 1500


def stage_map(game: Any, start: int = 0) -> np.ndarray:
    """Linear part of the simultaneous open-loop stage map on controls known at step `start`.

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


@renamed.argument("information", "information_structure")
def contraction(
    game: Any,
    columns: str = "initial",
    belief: str = "last",
    damping: float = 0.5,
    information_structure: str = "open_loop",
) -> float:
    """The number that must be below one for exact fictitious play to converge under a belief rule.

    `"last"` and `"sequential"`: the spectral radius of the stage map, by which the error falls in
    a late stage. `"damped"`: the same of the damped map. `"average"`: the largest real part of the
    stage map's eigenvalues, `β`; the error of stage `k` falls like `k^{β - 1}`. Above one, play
    diverges from almost every initial belief. One player responds to nobody: zero.

    Args:
        game: A linear-quadratic game.
        columns: Open loop only. `"initial"`: the column of `x_0`, which is all there is without
            noise. `"all"`: the largest over the columns of the noises too, each on what is left of
            the horizon. The two are equal where the radius grows with the horizon, as it does for
            symmetric players; it need not where the weights' rows do not sum to one.
        belief, damping: As in `exact_play`.
        information_structure: `"open_loop"` or `"closed_loop"`.

    Raises:
        NoEquilibriumError: Where a player has no best response; closed loop, also where there is no
            equilibrium to be near.
        ValueError: For `"sequential"` among so many players that their matrices are not built.
    """
    checks.one_of("belief", belief, RULES)
    damping = checks.number("damping", damping, above=0.0, most=1.0)
    spectra = _spectra(game, columns, belief, damping, information_structure)
    return max((factor(each, belief, damping) for each in spectra), default=0.0)


@renamed.argument("information", "information_structure")
def damping_limit(
    game: Any, columns: str = "initial", information_structure: str = "open_loop"
) -> float:
    """Exact play with damping `ω` converges for every `ω` in `(0, 1]` below this number.

    `|1 - ω + ω λ| < 1` is `ω < 2 (1 - Re λ)/|1 - λ|²`. Averaging converges where the number is
    positive. It is zero where an eigenvalue has a real part of one or more: no damping helps then.

    Args:
        game, columns, information_structure: As in `contraction`.
    """
    spectrum = np.concatenate(
        [*_spectra(game, columns, "average", 1.0, information_structure), [0.0]]
    )
    # A large map gives its rightmost eigenvalues; those of largest modulus bound ω.
    outer = np.concatenate([*_spectra(game, columns, "last", 1.0, information_structure), [0.0]])
    spectrum = 1.0 - np.concatenate([spectrum, outer])
    if np.any(spectrum.real <= 0.0):
        return 0.0
    return float((2.0 * spectrum.real / np.abs(spectrum) ** 2).min())


def _spectra(
    game: Any, columns: str, belief: str, damping: float, structure: str
) -> list[np.ndarray]:
    """Eigenvalues of the rule's undamped stage map, of every column asked for."""
    checks.one_of("columns", columns, ("initial", "all"))
    checks.one_of("information_structure", structure, INFORMATION)
    parameters = without_matrices(game)
    if parameters is not None:
        if belief == "sequential":
            raise ValueError(
                "The sequential stage map needs the game's matrices, which are not built for so "
                f"many players. Received: {parameters.players:g} players"
            )
        return [_symmetric_spectrum(parameters, game.steps, structure)]
    form = as_form(game)
    if form.players == 1:
        return []
    if structure == "closed_loop":
        return [_feedback_spectrum(form, belief)]
    gains = _gains(form)
    starts = range(1) if columns == "initial" else range(form.steps)
    return [_spectrum(form, gains, start, belief, damping) for start in starts]


def factor(spectrum: np.ndarray, belief: str, damping: float) -> float:
    """What `contraction` returns, from the eigenvalues of the rule's stage map."""
    if belief == "average":
        return float(spectrum.real.max())
    if belief == "damped":
        spectrum = 1.0 - damping + damping * spectrum
    return float(np.abs(spectrum).max())


def _spectrum(
    form: LinearQuadraticForm, gains: list[ResponseGains], start: int, belief: str, damping: float
) -> np.ndarray:
    """Eigenvalues of the open-loop map; of a large one those that decide."""
    # SciPy's subpackages are slow to import; most programs that import this one do not need them.
    from scipy.sparse.linalg import LinearOperator, eigs

    size, turns = (form.steps - start) * form.control_size, belief == "sequential"
    if size <= DENSE:
        return np.linalg.eigvals(_apply(form, gains, np.eye(size), start, turns))
    # Shifted so that the largest in size is the one that decides; shifted back below.
    share = damping if belief == "damped" else 1.0

    def damped(v: Any) -> Any:
        moved = _apply(form, gains, v.reshape(size, 1), start, turns).ravel()
        return (1.0 - share) * v + share * moved

    operator = LinearOperator((size, size), matvec=damped, dtype=np.float64)
    first = np.random.default_rng(0).standard_normal(size)
    which = "LR" if belief == "average" else "LM"
    largest = eigs(operator, k=4, v0=first, which=which, return_eigenvectors=False)
    return 1.0 + (largest - 1.0) / share


def _gains(form: LinearQuadraticForm) -> list[ResponseGains]:
    return [response_gains(form, i) for i in range(form.players)]


def _apply(
    form: LinearQuadraticForm,
    gains: list[ResponseGains],
    columns: np.ndarray,
    start: int,
    turns: bool = False,
) -> np.ndarray:
    """Best responses to controls `(left K, columns)` from step `start` on, where `x = 0`.

    With `turns`, players respond one after another, each to what those before her now play.
    """
    given = columns.reshape(form.steps - start, form.control_size, -1)
    before = np.zeros((start, *given.shape[1:]))
    controls = np.concatenate([before, given])
    response = controls if turns else np.empty_like(controls)
    nowhere = np.zeros((form.state_size, controls.shape[-1]))
    for i, where in enumerate(form.control_slices):
        k = affine_terms(form, i, gains[i], controls)
        # What she would do before `start` does not belong to the map.
        k[:start] = 0.0
        response[:, where] = follow(form, i, gains[i], k, controls, nowhere, False)
    return response[start:].reshape(columns.shape)


def _feedback_spectrum(form: LinearQuadraticForm, belief: str) -> np.ndarray:
    """Eigenvalues of the closed-loop map's derivative at the equilibrium, all steps together."""
    gains = nash(form, "closed_loop").gains
    own = form.owner[:, None] == form.owner
    # What a player's response sees already: her own controls, and under turns those before her.
    known = form.owner[:, None] >= form.owner if belief == "sequential" else own
    P, spectra = form.terminal, []
    for t in reversed(range(form.steps)):
        step = form.time_steps[t]
        M, _ = step_matrices(np, step, form.step_size, P, form.owner)
        P = backward_step(np, step, form.step_size, P, gains[t], form.owner, "closed_loop")
        spectra.append(np.linalg.eigvals(-np.linalg.solve(M * known, M * ~known)))
    return np.concatenate(spectra)


def _symmetric_spectrum(p: SymmetricParameters, steps: int, structure: str) -> np.ndarray:
    """The same from a scalar problem: a mode of equal controls, and those that sum to zero."""
    if structure == "closed_loop":
        eta = np.asarray(symmetric_nash(p, steps, "closed_loop").eta).reshape(-1)[-steps:]
        single = p.horizon / steps * eta * p.kappa
        values = single / (1.0 + single * p.kappa)
    else:
        values = np.linalg.eigvals(response_map(scalar_response(p, steps)))
    return np.concatenate([p.kappa * values, -values / p.players])
