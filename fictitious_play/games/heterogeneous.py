"""Inter-bank games whose players differ: a major bank, a ring, two groups.

Each function returns an `InterBankGame`, whose exact equilibrium `fictitious_play.lq.nash` finds by
the asymmetric recursion: the structure lies in the weights of m^i = Σ_j W_ij X^j alone, and in the
parameters. All rows of W sum to one, so nobody is drawn anywhere but towards others, and a common
shock moves no distance m^i - X^i.
"""

import inspect
from typing import Any

import numpy as np

from fictitious_play import checks
from fictitious_play.games.inter_bank import InterBankGame


def major_player_game(
    players: int = 5,
    share: float = 0.5,
    major_sigma: float = 1.0,
    sigma: float = 1.0,
    **parameters: Any,
) -> InterBankGame:
    """One bank that all others look at.

    Player 1 is the major bank: she weighs `share` in everybody's mean, the rest is spread evenly,

        m^i = share · X^1 + (1 - share) X̄,      W = share · 1 e_1' + (1 - share) 1 1'/N,

    her own mean included: for her, m^1 - X^1 = (1 - share)(X̄ - X^1), so a major bank feels only
    that part of her distance from the others.

    Args:
        players: N, at least 2.
        share: weight of the major bank, 0 ≤ share < 1; 0 is the game of equal players.
        major_sigma, sigma: volatility of the major bank and of the others.
        parameters: further arguments of `InterBankGame`, but for weights.
    """
    N = checks.integer("players", players, least=2)
    share = _share("share", share)
    weights = np.full((N, N), (1.0 - share) / N)
    weights[:, 0] += share
    volatility = np.full(N, checks.number("sigma", sigma, least=0.0))
    volatility[0] = checks.number("major_sigma", major_sigma, least=0.0)
    return _game({"players": N, "weights": weights, "sigma": volatility}, parameters)


def ring_game(players: int = 5, own: float = 0.0, **parameters: Any) -> InterBankGame:
    """Banks in a circle who look at their two neighbours only.

        m^i = own · X^i + (1 - own) (X^{i-1} + X^{i+1})/2,      indices modulo N.

    With three players everybody is everybody's neighbour; with two, both neighbours are the other
    bank. W is circulant, so equal parameters make equal costs.

    Args:
        players: N, at least 2.
        own: weight of the bank's own state in her mean, 0 ≤ own < 1.
        parameters: further arguments of `InterBankGame`, but for weights.
    """
    N = checks.integer("players", players, least=2)
    own = _share("own", own)
    eye = np.eye(N)
    neighbours = 0.5 * (np.roll(eye, 1, axis=1) + np.roll(eye, -1, axis=1))
    weights = own * eye + (1.0 - own) * neighbours
    return _game({"players": N, "weights": weights}, parameters)


def two_group_game(
    first: int = 3,
    second: int = 3,
    within: float = 0.8,
    first_group: dict[str, Any] | None = None,
    second_group: dict[str, Any] | None = None,
    **parameters: Any,
) -> InterBankGame:
    """Two groups of banks that look at their own group more than at the other.

    For i in group g with the other group g',

        m^i = within · mean of X over g + (1 - within) · mean of X over g'.

    Args:
        first, second: numbers of banks in the groups, at least 1 each; the first group's come
            first.
        within: weight of a bank's own group, 0 ≤ within ≤ 1; 1 makes two games that do not touch.
        first_group, second_group: parameters of the banks of a group, each a number: any of a, q,
            epsilon, c, sigma, initial_mean, initial_std. What is left out is `InterBankGame`'s
            default.
        parameters: further arguments of `InterBankGame` that hold for both groups, but for
            weights.
    """
    sizes = (checks.integer("first", first, least=1), checks.integer("second", second, least=1))
    within = checks.number("within", within, least=0.0, most=1.0)
    groups = np.repeat([0, 1], sizes)
    same = groups[:, None] == groups
    weights = np.where(same, within, 1.0 - within) / np.asarray(sizes)[groups]
    given = [dict(group or {}) for group in (first_group, second_group)]
    for name in {name for group in given for name in group}:
        if name not in _DEFAULTS:
            raise ValueError(
                f"A group's parameters must be among {', '.join(_DEFAULTS)}. Received: {name!r}"
            )
        if name in parameters:
            raise ValueError(
                f"`{name}` must be given for the groups or for all. Received: both, {name}="
                f"{parameters[name]!r}"
            )
        values = [checks.number(name, group.get(name, _DEFAULTS[name])) for group in given]
        parameters[name] = np.repeat(values, sizes)
    return _game({"players": sum(sizes), "weights": weights}, parameters)


_DEFAULTS = {
    "a": 0.1, "q": 0.1, "epsilon": 0.5, "c": 0.5, "sigma": 1.0, "initial_mean": 0.0,
    "initial_std": 0.5,
}  # fmt: skip


def _share(name: str, value: Any) -> float:
    """A weight in [0, 1)."""
    value = checks.number(name, value, least=0.0)
    if value >= 1.0:
        raise ValueError(f"`{name}` must be below 1. Received: {name}={value}")
    return value


def _game(fixed: dict[str, Any], parameters: dict[str, Any]) -> InterBankGame:
    allowed = [name for name in inspect.signature(InterBankGame).parameters if name not in fixed]
    for name, value in parameters.items():
        if name not in allowed:
            raise TypeError(
                f"`parameters` must be among {', '.join(allowed)}. Received: {name}={value!r}"
            )
    return InterBankGame(**fixed, **parameters)
