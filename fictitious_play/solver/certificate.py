"""Exploitability of a solved profile: what a player would gain by leaving it alone."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fictitious_play import checks, renamed
from fictitious_play.layers.control_network import hidden_sizes
from fictitious_play.networks.joint_policy import JointPolicy
from fictitious_play.solver import exact_response
from fictitious_play.solver.deviation_gain import NOT_LOOKED_AT, DeviationGain
from fictitious_play.solver.deviations import Deviations
from fictitious_play.solver.response_search import search
from fictitious_play.solver.scale import cost_scale

#: Widths of the networks of a trained response.
_HIDDEN = (32, 32)
#: Linear corrections are sought on so many paths, with at most so many evaluations.
_LINEAR_PATHS, _LINEAR_EVALUATIONS = 1024, 40


@dataclass(frozen=True)
class Certificate:
    """How far a profile is from a Nash equilibrium.

    Attributes:
        gain: (players,) what each player would gain by deviating alone, in units of cost: the
            largest of all searches. NaN where the profile's own cost is not finite; infinite where
            her cost falls without end.
        standard_error: (players,) of the gain.
        relative: (players,) gain over scale; zero where there is no scale and nothing to gain,
            NaN where there is no scale and something.
        scale: (players,) what gains are relative to.
        scale_kind: what that is, player by player: "cost", |J|; "spread", the standard deviation
            of a path's cost, where |J| is below a tenth of it; "given"; or "none".
        method: "exact", by the theory of linear-quadratic games: of an open-loop profile an upper
            bound that is tight where the others' controls are linear in the noise; "trained", by
            responses that were searched for: a lower bound; or "exact and trained".
        searches: gain and standard error, (players,) each, of everything that was tried, by name:
            "exact", the formula; "exact response", the best response to the affine feedbacks
            inside a closed-loop profile, played against the profile itself; "trained".
        by: what found the trained gain, player by player: "nothing", "linear", "network", or "not
            looked at", whose gain is then NaN; empty where nothing was trained.
        non_finite: (players,) of the paths on which gains were measured, those whose cost under
            the profile is NaN or infinite.
        paths: how many there were.
        at_bounds: (players,) share of the profile's controls that lie at the game's control
            bounds, within a thousandth of their distance; zero without bounds.
    """

    gain: np.ndarray
    standard_error: np.ndarray
    relative: np.ndarray
    scale: np.ndarray
    scale_kind: tuple[str, ...]
    method: str
    searches: dict[str, tuple[np.ndarray, np.ndarray]] = field(repr=False)
    by: tuple[str, ...]
    non_finite: np.ndarray
    paths: int
    at_bounds: np.ndarray

    found = renamed.attribute("found", "searches")

    @property
    def worst(self) -> float:
        """The largest relative gain over the players; NaN where that of any player is not known,
        unless another's is infinite."""
        return _largest(self.relative)

    @property
    def looked_at(self) -> np.ndarray:
        """(players,), whose gain was estimated."""
        return np.array([name != NOT_LOOKED_AT for name in self.by] or [True] * len(self.gain))

    @property
    def relative_standard_error(self) -> np.ndarray:
        """Standard error of `relative`, (players,)."""
        return _over(self.standard_error, self.scale)

    @property
    def upper(self) -> float:
        """The largest relative gain over the players, two standard errors further out."""
        return _largest(self.relative + 2.0 * self.relative_standard_error)


def _over(values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """A ratio; nothing is nothing on any scale."""
    return np.where(values == 0.0, 0.0, values / scale)


def _largest(values: np.ndarray) -> float:
    return np.inf if np.isposinf(values).any() else float(np.max(values))


def certify(
    game: Any,
    policy: Any,
    method: Any,
    steps: Any,
    hidden: Any,
    paths: Any,
    seed: Any,
    batch_size: Any,
    scale: Any = None,
) -> Certificate:
    """Checks the settings and takes the method: see `Result.exploitability`."""
    method = checks.one_of("method", method, ("auto", "exact", "trained"))
    paths = checks.integer("paths", paths, least=4)
    if paths % 2:
        raise ValueError(f"`paths` must be even. Received: paths={paths}")
    steps = checks.integer("steps", steps, least=1)
    seed = checks.integer("seed", seed, least=0)
    batch_size = checks.integer("batch_size", batch_size, least=2)
    hidden = _HIDDEN if hidden is None else hidden_sizes(hidden)
    if scale is not None:
        cost_scale(np.zeros(game.players), np.zeros(game.players), scale)
    linear_quadratic = game.is_linear_quadratic
    if method == "exact" and not linear_quadratic:
        raise ValueError(
            'The method "exact" needs a linear-quadratic game. '
            f'Received: {type(game).__name__}; use "trained"'
        )
    if isinstance(policy, JointPolicy) and linear_quadratic and method != "trained":
        exact = exact_response.open_loop(game, policy, paths, seed)
        return assemble({"exact": exact}, "exact", (), scale)
    findings: dict[str, DeviationGain] = {}
    by: tuple[str, ...] = ()
    exact = linear_quadratic and method != "trained"
    widths = () if method == "exact" else hidden
    deviations = Deviations(game, policy, seed, widths, batch_size=batch_size)
    deviations.measure_units()
    if exact:
        findings.update(exact_response.closed_loop(deviations, paths))
    if method != "exact":
        evaluations = min(_LINEAR_EVALUATIONS, 4 + steps // 6)
        trained = search(deviations, paths, evaluations, _LINEAR_PATHS, steps)
        findings["trained"], by = trained, trained.by
    names = ("exact",) * exact + ("trained",) * (method != "exact")
    return assemble(findings, " and ".join(names), by, scale)


def assemble(
    findings: dict[str, DeviationGain], method: str, by: tuple[str, ...], scale: Any = None
) -> Certificate:
    """The certificate of several findings: the largest gain of every player; NaN, or without end,
    where any of them is."""
    last = next(reversed(findings.values()))
    gains = np.stack([each.gain for each in findings.values()])
    errors = np.stack([each.standard_error for each in findings.values()])
    best = np.argmax(gains, axis=0)[None]  # of NaN, the first
    gain = np.take_along_axis(gains, best, axis=0)[0]
    error = np.take_along_axis(errors, best, axis=0)[0]
    size, kinds = cost_scale(last.cost, last.spread, scale)
    return Certificate(
        gain=gain,
        standard_error=error,
        relative=_over(gain, size),
        scale=size,
        scale_kind=kinds,
        method=method,
        searches={name: (each.gain, each.standard_error) for name, each in findings.items()},
        by=by,
        non_finite=last.non_finite,
        paths=last.paths,
        at_bounds=last.at_bounds,
    )
