"""The formation's flight: vehicles in the plane that take their places, as a picture and a film."""

from typing import Any

import numpy as np

from reproduce import figures
from reproduce.games import solving

#: Places in a V that flies to the right, in units of length, and its speed.
_PLACES = np.array([[0.0, 0.0], [-1.0, 1.0], [-1.0, -1.0], [-2.0, 2.0], [-2.0, -2.0]])
_SPEED = 4.0


def flight(result, truth, seed: int) -> dict[str, Any]:
    """Where everybody is on one path, (steps + 1, players, 2), trained and exact, and the places
    that would end all costs of distance."""
    game = result.game
    initial, noise = solving.sample(game, 1, (seed, 4))
    times = np.linspace(0.0, game.horizon, game.steps + 1)
    ahead = np.stack([_SPEED * times, 0.0 * times], axis=1)[:, None]
    found: dict[str, Any] = {}
    for name, states in (
        ("trained", result.states(initial, noise)),
        ("exact", truth.play(initial, noise)[0]),
    ):
        away = states.reshape(game.steps + 1, game.players, 2, 2)[:, :, 0]
        found[name] = away + _PLACES + ahead
        found["places"] = away.mean(axis=1, keepdims=True) + _PLACES + ahead
    return found


def trails(axis, flown: dict[str, Any]) -> None:
    """The whole flight on one axis."""
    trained = np.asarray(flown["trained"])
    figures.trails(axis, flown["exact"], "exact", color="#c0562b", linestyle="--", linewidth=1.0)
    figures.trails(axis, trained, "trained", color="#1b3a5c", linewidth=1.2)
    axis.plot(*trained[0].T, linestyle="none", marker=".", color="black", label="start")
    axis.plot(*trained[-1].T, linestyle="none", marker=">", color="#1b3a5c", label="end")
    places = np.asarray(flown["places"])[-1]
    axis.plot(*places.T, linestyle="none", marker="+", color="#5a5a5a", label="places")
    axis.set(xlabel="$x_1$", ylabel="$x_2$", title="five vehicles take their places")
    axis.legend(fontsize=8)


def film(flown: dict[str, Any]) -> Any:
    """The flight as an animation: trained vehicles, and rings where exact play is."""
    from matplotlib import animation

    trained, exact, places = (np.asarray(flown[name]) for name in ("trained", "exact", "places"))
    every = np.concatenate([trained, exact, places]).reshape(-1, 2)
    figure, axis = figures.subplots(figsize=(4.8, 2.9), dpi=75)
    axis.set_aspect("equal")
    low, high = every.min(axis=0) - 0.5, every.max(axis=0) + 0.5
    axis.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel="$x_1$", ylabel="$x_2$")
    tails = [axis.plot([], [], color="#8a9ab0", linewidth=1.0)[0] for _ in trained[0]]
    (goals,) = axis.plot([], [], "+", color="#8a9ab0", markersize=7, label="places")
    (rings,) = axis.plot([], [], "o", mfc="none", color="#c0562b", markersize=9, label="exact")
    (vehicles,) = axis.plot([], [], ">", color="#1b3a5c", markersize=6, label="trained")
    axis.legend(loc="upper left", fontsize=7)

    def frame(number):
        now = min(number, len(trained) - 1)
        for player, tail in enumerate(tails):
            tail.set_data(*trained[: now + 1, player].T)
        goals.set_data(*places[now].T)
        rings.set_data(*exact[now].T)
        vehicles.set_data(*trained[now].T)
        return [*tails, goals, rings, vehicles]

    return animation.FuncAnimation(figure, frame, frames=len(trained) + 8, blit=False)
