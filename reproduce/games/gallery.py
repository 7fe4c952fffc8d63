"""The games of `docs/gallery`, whose pages are where their code and their closed forms stand, and
what they are held against, without the package's own theory.

Coupled Riccati equations of any linear-quadratic game, step by step for the Euler game and by SciPy
for continuous time. With the costs of player i as ½ z'H_i z of z = (x, u), u everybody's controls,
the equilibrium u = F x solves

    own rows of  H_i [x; u] + B_i' ∇V_i(next x) = 0,

where ∇V_i is, closed loop, that of her value, and, open loop, her costate.
"""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

_PAGES = Path(__file__).resolve().parents[2] / "docs" / "gallery"
_DEFINITIONS = (ast.FunctionDef, ast.ClassDef)


def definitions() -> Iterator[tuple[Path, ast.Module]]:
    """The imports, functions and classes of every Python block of the pages."""
    kept = (ast.Import, ast.ImportFrom, *_DEFINITIONS)
    for page in sorted(_PAGES.glob("*.md")):
        for block in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S):
            tree = ast.parse(block)
            yield page, ast.Module([node for node in tree.body if isinstance(node, kept)], [])


@lru_cache
def games() -> dict[str, Any]:
    """Name → the function or class that makes the game, or a closed form of it."""
    found: dict[str, Any] = {"__name__": __name__}
    names: list[str] = []
    for page, tree in definitions():
        exec(compile(tree, str(page), "exec"), found)
        names += [node.name for node in tree.body if isinstance(node, _DEFINITIONS)]
    return {name: found[name] for name in names}


@dataclass(frozen=True, eq=False)
class Truth:
    """The equilibrium of a game: costs (players,) in discrete time, as it is played, and in
    continuous time, where it has one; `play`, states (batch, steps + 1, n), None where the controls
    do not depend on them, and controls (batch, steps, K) along initial states and noise; and of
    sticky prices that halfway, and that of continuous time without end."""

    cost: np.ndarray
    continuous: np.ndarray | None
    play: Callable
    price: float | None = None
    stationary_price: float | None = None


def truth(name: str, game, information: str) -> Truth:
    """The truth of a game that `games` has under that name, with its default arguments."""
    pages = games()
    if name == "FishWar":
        shares = pages["fish_shares"](game)
        cost = np.full(game.players, pages["fish_cost"](game, shares))
        tenths = np.tile(10.0 * shares[:, None], (1, game.players))
        return Truth(cost, None, partial(_constants, tenths))
    if name == "portfolio":
        invested = pages["constant_investments"](game)
        cost = np.exp([pages["log_cost"](game, invested, i) for i in range(game.players)])
        # The equilibrium is the same in discrete and in continuous time.
        return Truth(cost, cost, partial(_constants, np.tile(invested, (game.steps, 1))))
    cost, gains = euler(game, information)
    flow = None if name == "duopoly" else continuous(game, information)
    play = partial(simulate, game, gains)
    if name != "sticky_prices":
        return Truth(cost, flow, play)
    states, _ = play(game.initial_mean[None], np.zeros((1, game.steps, game.noise_size)))
    price = float(states[0, game.steps // 2, 0])
    at_rest = pages["stationary_price"](information, a=10, c=1, s=1, r=0.1)
    return Truth(cost, flow, play, price, at_rest)


def _constants(controls, initial, noise):
    return None, np.broadcast_to(controls, (len(initial), *controls.shape))


def euler(game, information: str) -> tuple[np.ndarray, np.ndarray]:
    """Costs (players,) and gains (steps, K, n) of the Euler game, whose matrices do not change in
    time."""
    form, h = game.linear_quadratic_form(), game.step_size
    n, H = form.state_size, _weights(form)
    move = np.hstack([np.eye(n) + h * form.A, *(h * B for B in form.B)])
    value = costate = np.exp(-form.discount * form.horizon) * form.G
    constant, gains = 0.0, []
    for t in reversed(range(form.steps)):
        weight = np.exp(-form.discount * h * t) * h * H
        ahead = move.T @ (costate if information == "open_loop" else value) @ move
        F = _feedback(form, weight + ahead)
        along = np.vstack([np.eye(n), F])
        constant = constant + 0.5 * h * np.einsum("iab,ac,bc->i", value, form.L, form.L)
        costate = (weight[:, :n] + move[:, :n].T @ costate @ move) @ along
        value = along.T @ (weight + move.T @ value @ move) @ along
        gains.append(F)
    return constant + _expected(form, value), np.stack(gains[::-1])


def continuous(game, information: str) -> np.ndarray:
    """Costs (players,) in continuous time, by SciPy's Runge-Kutta method of order eight."""
    from scipy.integrate import solve_ivp

    form = game.linear_quadratic_form()
    n, N, H = form.state_size, form.players, _weights(form)
    A, B = form.A, np.hstack(form.B)
    shape = (2, N, n, n)

    def slopes(left, flat):  # in the time left
        value, costate = flat[N:].reshape(shape)
        weight = np.exp(-form.discount * (form.horizon - left)) * H
        rows = weight.copy()
        rows[:, n:, :n] += B.T @ (costate if information == "open_loop" else value)
        F = _feedback(form, rows)
        along, flow = np.vstack([np.eye(n), F]), A + B @ F
        moved = along.T @ weight @ along + flow.T @ value + value @ flow
        felt = weight[:, :n] @ along + A.T @ costate + costate @ flow
        noise = 0.5 * np.einsum("iab,ac,bc->i", value, form.L, form.L)
        return np.concatenate([noise, moved.ravel(), felt.ravel()])

    end = np.exp(-form.discount * form.horizon) * np.stack([form.G, form.G])
    start = np.concatenate([np.zeros(N), end.ravel()])
    last = solve_ivp(slopes, (0.0, form.horizon), start, "DOP853", rtol=1e-9, atol=1e-11).y[:, -1]
    return last[:N] + _expected(form, last[N:].reshape(shape)[0])


def _weights(form) -> np.ndarray:
    """The H_i, (players, n + K, n + K)."""
    n, K = form.state_size, form.control_size
    H = np.zeros((form.players, n + K, n + K))
    for i, own in enumerate(form.control_slices):
        rows = slice(n, n + K) if len(form.S[i]) == K else slice(n + own.start, n + own.stop)
        H[i, :n, :n], H[i, rows, :n], H[i, rows, rows] = form.Q[i], form.S[i], form.R[i]
        H[i, :n, rows] = form.S[i].T
    return H


def _feedback(form, H) -> np.ndarray:
    """The u = F x at which the own rows of H_i (x, u) are zero for every player."""
    n = form.state_size
    rows = np.concatenate(
        [H[i, n + own.start : n + own.stop] for i, own in enumerate(form.control_slices)]
    )
    return -np.linalg.solve(rows[:, n:], rows[:, :n])


def _expected(form, value) -> np.ndarray:
    second = form.initial_covariance + np.outer(form.initial_mean, form.initial_mean)
    return 0.5 * np.einsum("iab,ab->i", value, second)


def simulate(game, gains, initial, noise) -> tuple[np.ndarray, np.ndarray]:
    """States (batch, steps + 1, n) and stacked controls (batch, steps, K) of u = F x."""
    form, h = game.linear_quadratic_form(), game.step_size
    states, controls = [initial], []
    for t, F in enumerate(gains):
        controls.append(states[-1] @ F.T)
        drift = states[-1] @ form.A.T + controls[-1] @ np.hstack(form.B).T
        states.append(states[-1] + h * drift + noise[:, t] @ form.L.T)
    return np.stack(states, axis=1), np.stack(controls, axis=1)
