"""Games that are not linear-quadratic: one without a closed form, one solved another way."""

from typing import Any

import numpy as np

from reproduce import figures
from reproduce.games import solving
from reproduce.report import Table

_FLOCK: dict[str, Any] = {"alignment": 8.0, "terminal_alignment": 8.0, "reach": 2.0}
_PORTFOLIO: dict[str, Any] = {
    "horizon": 1.0, "steps": 10, "mu": 0.3, "nu": 0.5, "sigma": 0.4, "delta": 1.0, "theta": 0.8,
}  # fmt: skip
#: Adam's first rate for the portfolio game, two to five times the default: controls of size one
#: have to be reached from zero where the cost is flat.
_RATE = 0.06


def run(context) -> dict[str, Any]:
    """Solves the flock with and without its nonlinearities, and the portfolio game for every N."""
    import fictitious_play as fp

    training = dict(context.settings)
    birds, steps, investors, certificate, paths = (
        training.pop(key) for key in ("birds", "steps", "investors", "certificate", "paths")
    )
    flocks = {
        "flock, β = γ = 0": fp.FlockingGame(
            birds, steps=steps, decay=0.0, turbulence=0.0, **_FLOCK
        ),
        "flock, β = 1, γ = 0.5": fp.FlockingGame(birds, steps=steps, **_FLOCK),
    }
    results = {
        title: solving.solve(context, f"flock-{number}", game, training, context.seed)
        for number, (title, game) in enumerate(flocks.items())
    }
    bank = fp.InterBankGame(
        birds, 1.0, steps, a=0.0, q=0.0, epsilon=8.0, c=8.0, sigma=0.5, initial_std=1.0
    )
    known = 2.0 * fp.lq.nash(bank).cost
    straight, curved = results.values()
    flock = [
        {**_case(title, result, certificate), "known": None if number else known}
        for number, (title, result) in enumerate(results.items())
    ]
    flock[1]["back_to_linear"] = _deviation(curved, straight, context.seed, paths)
    portfolio = []
    for count in investors:
        game = fp.PortfolioGame(count, **_PORTFOLIO)
        faster = {**training, "learning_rate": _RATE}
        result = solving.solve(context, f"investors-{count}", game, faster, context.seed)
        case = _case(f"portfolio, N = {count}", result, certificate)
        portfolio.append({**case, **_against_constants(result, context.seed, paths)})
    return {"flock": flock, "flight": _flight(curved, context.seed, paths), "portfolio": portfolio}


def _case(title, result, certificate) -> dict[str, Any]:
    return {
        "title": title,
        "players": result.game.players,
        "cost": result.cost,
        "cost_standard_error": result.cost_standard_error,
        "exploitability": solving.certificate(result, steps=certificate),
        "change": result.history[-1].change,
        "cpu_seconds": sum(record.cpu_seconds for record in result.history),
        "settings": result.settings,
    }


def _costs(game, initial, noise, own, others):
    """Path costs of single deviations, averaged over antithetic pairs, (paths / 2, players)."""
    from keras import ops

    full = (len(noise), game.steps, game.players, game.control_size)
    parts = []
    for start in range(0, len(noise), 512):
        part = slice(start, start + 512)
        arrays = (initial[part], own.reshape(full)[part], others.reshape(full)[part], noise[part])
        tensors = [ops.convert_to_tensor(array.astype("float32")) for array in arrays]
        parts.append(ops.convert_to_numpy(game.deviation_costs(*tensors)).astype(np.float64))
    return np.concatenate(parts).reshape(2, -1, game.players).mean(axis=0)


def _deviation(result, other, seed, paths) -> dict[str, Any]:
    """What a player loses, relative to her cost, by playing her controls of the other result."""
    initial, noise = solving.sample(result.game, paths, (seed, 3), antithetic=True)
    mine, theirs = result.control(initial, noise), other.control(initial, noise)
    deviating, staying = (_costs(result.game, initial, noise, own, mine) for own in (theirs, mine))
    loss, error = _relative(deviating - staying, result.cost)
    return {"loss": loss, "standard_error": error}


def _relative(differences, cost) -> tuple[Any, Any]:
    """Their mean relative to a cost, and its standard error."""
    mean, spread = differences.mean(axis=0), differences.std(axis=0)
    return mean / cost, spread / len(differences) ** 0.5 / cost


def _against_constants(result, seed, paths) -> dict[str, Any]:
    """The trained investments against the exact constant ones, on the same noise."""
    import fictitious_play as fp

    game = result.game
    exact, limit = game.equilibrium(), game.equilibrium(mean_field=True)
    initial, noise = solving.sample(game, paths, (seed, 3), antithetic=True)
    controls = result.control(initial, noise)
    constant = np.broadcast_to(exact.investment, controls.shape)
    trained, best = (_costs(game, initial, noise, own, own) for own in (controls, constant))
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


def draw(document: dict[str, Any]) -> Any:
    """A flock's flight, its misalignment, and investments against N."""
    results = document["results"]
    figure, (left, middle, right) = figures.subplots(1, 3, figsize=(10.6, 3.4))
    flight = results["flight"]
    for number, name in enumerate(("trained", "no effort")):
        look = figures.STYLES[number]
        positions = np.asarray(flight[name]["positions"])
        for bird in range(positions.shape[1]):
            line = {"color": look["color"], "linestyle": look["linestyle"], "linewidth": 1.1}
            left.plot(*positions[:, bird].T, **line, label=name if bird == 0 else None)
            left.plot(*positions[-1, bird], marker=look["marker"], color=look["color"])
        middle.plot(flight["times"], flight[name]["misalignment"], label=name, **look)
    left.plot(*positions[0].T, linestyle="none", marker=".", color="black", label="start")
    left.set(xlabel="position $x_1$", ylabel="position $x_2$", title="one flight, seen from above")
    left.set_aspect("equal", adjustable="datalim")
    left.legend(fontsize=8)
    middle.set(xlabel="time $t$", ylabel="mean square misalignment $E|m^i|^2$", ylim=(0, None),
               title="flock, β = 1, γ = 0.5")  # fmt: skip
    middle.legend()
    cases = results["portfolio"]
    count = [case["players"] for case in cases]
    right.plot(count, [case["exact_investment"][0] for case in cases], label="exact, N players",
               **{**figures.STYLES[1], "marker": ""})  # fmt: skip
    right.axhline(cases[0]["limit_investment"][0], color="#5a5a5a", linestyle=":",
                  label="exact, mean-field limit")  # fmt: skip
    means = [np.mean(case["investment"]) for case in cases]
    low = [mean - np.min(case["investment"]) for mean, case in zip(means, cases, strict=True)]
    high = [np.max(case["investment"]) - mean for mean, case in zip(means, cases, strict=True)]
    right.errorbar(count, means, yerr=[low, high], fmt="o", color="#1b3a5c", capsize=2.5,
                   label="trained, mean and range\nover the players")  # fmt: skip
    right.set(xscale="log", xlabel="investors N", ylabel="investment $π$ (units of money)",
              title="portfolio game")  # fmt: skip
    right.set_xticks(count, [str(value) for value in count])
    right.minorticks_off()
    right.legend(fontsize=8)
    return figure


def summary(document: dict[str, Any]) -> list[Table]:
    """A table per game."""
    certificates = {
        "exploitability": solving.certified,
        "earlier certificate": lambda case: solving.earlier([case]),
        "CPU-seconds": lambda case: f"{case['cpu_seconds']:.0f}",
    }
    results = document["results"]
    return [
        Table.of("The flock: cost of a bird, mean over the birds", results["flock"], {
            "game": lambda case: case["title"],
            "ours ± s.e.": lambda case:
                f"{np.mean(case['cost']):.4f} ± {np.mean(case['cost_standard_error']):.4f}",
            "known": lambda case:
                "none" if case["known"] is None else f"{np.mean(case['known']):.4f}",
            "loss by playing as if β = γ = 0": lambda case: _back(case.get("back_to_linear")),
            **certificates,
        }),
        Table.of("The portfolio game: investment and cost", results["portfolio"], {
            "N": lambda case: str(case["players"]),
            "ours": lambda case: f"{np.mean(case['investment']):.4f}",
            "exact": lambda case: f"{case['exact_investment'][0]:.4f}",
            "mean field": lambda case: f"{case['limit_investment'][0]:.4f}",
            "control error": lambda case: f"{100 * case['control_error']:.2f} %",
            "largest cost error ± s.e.": lambda case: solving.percent(*solving.worst(case)),
            **certificates,
        }),
    ]  # fmt: skip


def facts(document: dict[str, Any]) -> dict[str, Any]:
    """Of the text."""
    return {"rate": _RATE}


def _back(found) -> str:
    if found is None:
        return ""
    player = int(np.argmin(found["loss"]))
    return solving.percent(found["loss"][player], found["standard_error"][player])
