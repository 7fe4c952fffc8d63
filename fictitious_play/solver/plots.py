"""A result as a figure."""

from typing import Any

import numpy as np

from fictitious_play import checks, lq

#: Curves of more players, states or paths would only cover each other.
_CURVES = 6


def plot(result: Any, certificate: Any = None, paths: int = 3, seed: int = 0) -> Any:
    """See `Result.plot`."""
    from matplotlib.figure import Figure

    paths = checks.integer("paths", paths, least=1)
    seed = checks.integer("seed", seed, least=0)
    panels = 3 if certificate is None else 4
    figure = Figure(figsize=(4.2 * panels, 3.6), layout="constrained")
    axes = figure.subplots(1, panels)
    _costs(axes[0], result)
    game = result.game
    rng = np.random.default_rng(seed)
    initial = np.asarray(game.initial_states(rng.standard_normal((paths, game.state_size))))
    noise = rng.standard_normal((paths, game.steps, game.noise_size)) * game.step_size**0.5
    times = game.step_size * np.arange(game.steps + 1)
    states = result.states(initial, noise)
    controls = result.control(initial, noise).reshape(paths, game.steps, -1)
    names = [f"player {player}" for player in range(game.players)]
    if game.control_size > 1:
        names = [f"{name}, {part}" for name in names for part in range(game.control_size)]
    _paths(axes[1], times, states, [f"state {number}" for number in range(game.state_size)])
    _paths(axes[2], times[:-1], controls, names, drawstyle="steps-post")
    axes[1].set(title=f"States, {paths} paths", xlabel="time")
    axes[2].set(title="Controls on the same paths", xlabel="time")
    if certificate is not None:
        _gains(axes[3], certificate)
    return figure


def _costs(axes: Any, result: Any) -> None:
    stages = [record.stage for record in result.history]
    exact = _exact_cost(result)
    for player in range(min(_CURVES, result.game.players)):
        cost = [record.cost[player] for record in result.history]
        axes.plot(stages, cost, ".-", color=f"C{player}", label=f"player {player}")
        if exact is not None:
            axes.axhline(exact[player], color=f"C{player}", linestyle="--", linewidth=0.8)
    if exact is not None:
        axes.plot([], [], "k--", linewidth=0.8, label="equilibrium")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(title="Expected costs", xlabel="stage")
    axes.legend(fontsize="small")


def _exact_cost(result: Any) -> np.ndarray | None:
    """Costs of the exact equilibrium in discrete time, where the game has one."""
    if not result.game.is_linear_quadratic:
        return None
    try:
        return lq.nash(
            result.game, information_structure=result.settings["information_structure"]
        ).cost
    except lq.NoEquilibriumError:
        return None


def _paths(axes: Any, times: Any, values: Any, names: list[str], **style: Any) -> None:
    """Values (paths, times, curves): a colour a curve, a shade a path."""
    for curve, name in enumerate(names[:_CURVES]):
        for path, line in enumerate(values):
            axes.plot(
                times, line[:, curve], color=f"C{curve}", alpha=1.0 / (1.0 + 0.5 * path),
                linewidth=1.2, label=name if path == 0 else None, **style,
            )  # fmt: skip
    axes.legend(fontsize="small")


def _gains(axes: Any, certificate: Any) -> None:
    players = np.arange(len(certificate.relative))
    error = 2.0 * certificate.standard_error / certificate.scale
    axes.bar(players, 100.0 * certificate.relative, yerr=100.0 * error, color="C0", capsize=3)
    axes.axhline(0.0, color="k", linewidth=0.8)
    axes.xaxis.get_major_locator().set_params(integer=True)
    title = f"Gain of leaving, {certificate.method}"
    axes.set(title=title, xlabel="player", ylabel="% of the scale of her cost")
