"""Games that are not linear-quadratic: one without a closed form, one solved another way."""

from typing import Any

import numpy as np

from reproduce import figures
from reproduce.games import cells, solving
from reproduce.games.cases import Case, Games, Solved, flight, names

_FLOCK: dict[str, Any] = {"alignment": 8.0, "terminal_alignment": 8.0, "reach": 2.0}
_PORTFOLIO: dict[str, Any] = {
    "horizon": 1.0, "steps": 10, "mu": 0.3, "nu": 0.5, "sigma": 0.4, "delta": 1.0, "theta": 0.8,
}  # fmt: skip
_CURVED = "flock, β = 1, γ = 0.5"
#: Adam's first rate for the portfolio game, the same for every N: controls of size one
#: have to be reached from zero where the cost is flat.
_RATE = 0.06


def _cases(settings: dict[str, Any]) -> list[Case]:
    """The flock without and with its nonlinearities, and the portfolio game for every N."""
    import fictitious_play as fp

    birds, steps = settings["birds"], settings["steps"]
    game = fp.FlockingGame(birds, steps=steps, decay=0.0, turbulence=0.0, **_FLOCK)
    plain = Case("flock, β = γ = 0", game)
    return [
        plain,
        Case(_CURVED, fp.FlockingGame(birds, steps=steps, **_FLOCK), reads=plain.key),
        *(
            Case(f"portfolio, N = {count}", fp.PortfolioGame(count, **_PORTFOLIO),
                 {"learning_rate": _RATE})
            for count in settings["investors"]
        ),
    ]  # fmt: skip


def _record(solved: Solved) -> dict[str, Any]:
    result, paths = solved.result, solved.settings["paths"]
    found = {
        "players": result.game.players,
        "cost": result.cost,
        "cost_standard_error": result.cost_standard_error,
        "exploitability": solving.certificate(result, steps=solved.settings["certificate"]),
        "change": result.history[-1].change,
        **solving.spent(result),
        "settings": result.settings,
    }
    if solved.case.name.startswith("portfolio"):
        return {**found, **_against_constants(result, solved.seed, paths)}
    if solved.case.name != _CURVED:
        return {**found, "known": _known(result.game)}
    return {
        **found,
        "known": None,
        "back_to_linear": _deviation(result, solved.other, solved.seed, paths),
        "flight": _flight(result, solved.seed, paths),
    }


def _known(game) -> Any:
    """Exact costs of the flock without nonlinearities: an inter-bank game per coordinate."""
    import fictitious_play as fp

    bank = fp.InterBankGame(
        game.players, 1.0, game.steps, a=0.0, q=0.0, epsilon=8.0, c=8.0, sigma=0.5, initial_std=1.0
    )
    return 2.0 * fp.lq.nash(bank).cost


def _deviation(result, other, seed, paths) -> dict[str, Any]:
    """What a player loses, relative to her cost, by playing her controls of the other result."""
    initial, noise = solving.sample(result.game, paths, (seed, 3), antithetic=True)
    mine, theirs = result.control(initial, noise), other.control(initial, noise)
    deviating, staying = (solving.path_costs(result.game, initial, noise, own, mine)
                          for own in (theirs, mine))  # fmt: skip
    loss, error = _relative(deviating - staying, result.cost)
    return {"loss": loss, "standard_error": error}


def _relative(differences, cost) -> tuple[Any, Any]:
    """The mean over antithetic pairs of paths, relative to a cost, and its standard error."""
    pairs = differences.reshape(2, -1, differences.shape[-1]).mean(axis=0)
    return pairs.mean(axis=0) / cost, pairs.std(axis=0) / len(pairs) ** 0.5 / cost


def _against_constants(result, seed, paths) -> dict[str, Any]:
    """The trained investments against the exact constant ones, on the same noise."""
    import fictitious_play as fp

    game = result.game
    exact, limit = game.equilibrium(), game.equilibrium(mean_field=True)
    initial, noise = solving.sample(game, paths, (seed, 3), antithetic=True)
    controls = result.control(initial, noise)
    constant = np.broadcast_to(exact.investment, controls.shape)
    trained, best = (solving.path_costs(game, initial, noise, own) for own in (controls, constant))
    error, spread = _relative(trained - best, exact.cost)
    return {
        "investment": controls.mean(axis=(0, 1)),
        "exact_investment": exact.investment,
        "limit_investment": limit.investment,
        "control_error": fp.lq.control_error(controls, constant),
        "exact_cost": exact.cost,
        "relative_error": error,
        "relative_standard_error": spread,
    }


def _flight(result, seed, paths) -> dict[str, Any]:
    """Mean square misalignment against time, and the flock's positions on one path."""
    from keras import ops

    from fictitious_play import rollout

    game = result.game
    initial, noise = solving.sample(game, min(paths, 1024), (seed, 3), antithetic=True)
    idle = np.zeros((len(noise), game.steps, game.players, game.control_size))
    tensors = [ops.convert_to_tensor(array.astype("float32")) for array in (initial, idle, noise)]
    flights = {
        "no effort": ops.convert_to_numpy(rollout.joint_states(game, *tensors)),
        "trained": result.states(initial, noise),
    }
    found: dict[str, Any] = {"times": np.linspace(0.0, game.horizon, game.steps + 1)}
    for name, states in flights.items():
        misaligned = ops.convert_to_numpy(game.misalignment(ops.convert_to_tensor(states)))
        birds = states.reshape(*states.shape[:2], game.players, 2, game.dimensions)
        found[name] = {
            "misalignment": (misaligned**2).sum(axis=-1).mean(axis=(0, 2)),
            "positions": birds[0, :, :, 0],
        }
    return found


def _draw(document: dict[str, Any]) -> Any:
    """A flock's flight and its misalignment."""
    figure, (left, right) = figures.subplots(1, 2, figsize=(7.4, 3.4))
    flown = flight(document)
    for number, name in enumerate(("trained", "no effort")):
        look, positions = figures.STYLES[number], np.asarray(flown[name]["positions"])
        for bird in range(positions.shape[1]):
            way = positions[:, bird]
            left.plot(*way.T, label=None if bird else name, **{**figures.line(number), "lw": 1.1})
            left.plot(*way[-1], marker=look["marker"], color=look["color"])
        right.plot(flown["times"], flown[name]["misalignment"], label=name, **look)
    left.plot(*positions[0].T, linestyle="none", marker=".", color="black", label="start")
    left.set_aspect("equal", adjustable="datalim")
    left.set(xlabel="position $x_1$", ylabel="position $x_2$", title="one flight, seen from above")
    left.legend(fontsize=8)
    right.set(xlabel="time $t$", ylabel="mean square misalignment $E|m^i|^2$", ylim=(0, None),
              title=_CURVED)  # fmt: skip
    right.legend()
    return figure


def _back(cases) -> str:
    """What the bird who loses least would lose."""
    found = [case["back_to_linear"] for case in cases if "back_to_linear" in case]
    least = [int(np.argmin(one["loss"])) for one in found]
    return cells.over_seeds([[one["loss"][bird], one["standard_error"][bird]]
                             for one, bird in zip(found, least, strict=True)],
                            "+") if found else ""  # fmt: skip


_LAST = {cells.GAIN: cells.gain, **cells.RUNS}
ITEM = Games(
    cases=_cases,
    record=_record,
    kinds=("flock", "portfolio"),
    tables={
        "The flock: cost of a bird, mean over the birds": {
            "game": lambda cases: names(cases[0])[0],
            "ours ± s.e.":
                cells.quantity("cost", "cost_standard_error", digits=4, percent=False),
            "known": cells.fixed("known", "{:.4f}", "none"),
            "loss by playing as if β = γ = 0": _back,
            **_LAST,
        },
        "The portfolio game: investment and cost": {
            "N": cells.fixed("players", "{:.0f}"),
            "ours": cells.quantity("investment", digits=4, percent=False),
            "exact": cells.fixed("exact_investment", "{:.4f}"),
            "mean field": cells.fixed("limit_investment", "{:.4f}"),
            "control error": cells.quantity("control_error", digits=2),
            "largest cost error ± s.e.": cells.largest,
            **_LAST,
        },
    },
    draw=_draw,
    facts=lambda document: {"rate": _RATE},
)  # fmt: skip
