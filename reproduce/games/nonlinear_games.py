"""Games that are not linear-quadratic: one without a closed form, one solved another way."""

from pathlib import Path
from typing import Any

import numpy as np

from reproduce import figures
from reproduce.games import solving
from reproduce.report import Table

PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {
        "birds": 2, "steps": 3, "investors": [2, 3], "certificate": 4, "paths": 64, **solving.SMOKE,
    },
    "quick": {
        "birds": 4, "steps": 20, "investors": [2, 4, 8, 16], "certificate": 300, "paths": 8192,
        **solving.QUICK,
    },
    "paper": {
        "birds": 10, "steps": 20, "investors": [2, 4, 8, 16, 32], "certificate": 1000,
        "paths": 8192, **solving.PAPER,
    },
}  # fmt: skip
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


def _sample(game, seed, paths):
    generator = np.random.default_rng((seed, 3))
    normals = generator.standard_normal((paths // 2, game.state_size))
    noise = generator.standard_normal((paths // 2, game.steps, game.noise_size))
    noise *= game.step_size**0.5
    initial = np.concatenate([game.initial_states(normals), game.initial_states(-normals)])
    return initial, np.concatenate([noise, -noise])


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
    initial, noise = _sample(result.game, seed, paths)
    mine, theirs = result.control(initial, noise), other.control(initial, noise)
    difference = _costs(result.game, initial, noise, theirs, mine) - _costs(
        result.game, initial, noise, mine, mine
    )
    return {
        "loss": difference.mean(axis=0) / result.cost,
        "standard_error": difference.std(axis=0) / len(difference) ** 0.5 / result.cost,
    }


def _against_constants(result, seed, paths) -> dict[str, Any]:
    """The trained investments against the exact constant ones, on the same noise."""
    import fictitious_play as fp

    game = result.game
    exact, limit = game.equilibrium(), game.equilibrium(mean_field=True)
    initial, noise = _sample(game, seed, paths)
    controls = result.control(initial, noise)
    constant = np.broadcast_to(exact.investment, controls.shape)
    difference = _costs(game, initial, noise, controls, controls) - _costs(
        game, initial, noise, constant, constant
    )
    return {
        "investment": controls.mean(axis=(0, 1)),
        "exact_investment": exact.investment,
        "limit_investment": limit.investment,
        "control_error": fp.lq.control_error(controls, constant),
        "exact_cost": exact.cost,
        "relative_error": difference.mean(axis=0) / exact.cost,
        "relative_standard_error": difference.std(axis=0) / len(difference) ** 0.5 / exact.cost,
    }


def _flight(result, seed, paths) -> dict[str, Any]:
    """Mean square misalignment against time, and the flock's positions on one path."""
    from keras import ops

    from fictitious_play import rollout

    game = result.game
    initial, noise = _sample(game, seed, min(paths, 1024))
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


def draw(document: dict[str, Any], stem: Path) -> list[Path]:
    """A flock's flight, its misalignment, and investments against N."""
    from matplotlib import pyplot

    results = document["results"]
    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(10.6, 3.4))
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
    return [figures.save(figure, stem)]


def summary(document: dict[str, Any]) -> list[Table]:
    """A table per game."""
    flock = [
        (
            case["title"],
            f"{np.mean(case['cost']):.4f} ± {np.mean(case['cost_standard_error']):.4f}",
            "none" if case["known"] is None else f"{np.mean(case['known']):.4f}",
            _back(case.get("back_to_linear")),
            solving.certified(case),
            solving.earlier([case]),
            f"{case['cpu_seconds']:.0f}",
        )
        for case in document["results"]["flock"]
    ]
    portfolio = [
        (
            str(case["players"]),
            f"{np.mean(case['investment']):.4f}",
            f"{case['exact_investment'][0]:.4f}",
            f"{case['limit_investment'][0]:.4f}",
            f"{100 * case['control_error']:.2f} %",
            solving.percent(*solving.worst(case)),
            solving.certified(case),
            solving.earlier([case]),
            f"{case['cpu_seconds']:.0f}",
        )
        for case in document["results"]["portfolio"]
    ]
    return [
        Table(
            "The flock: cost of a bird, mean over the birds",
            ("game", "ours ± s.e.", "known", "loss by playing as if β = γ = 0", "exploitability",
             "earlier certificate", "CPU-seconds"), flock,
        ),
        Table(
            "The portfolio game: investment and cost",
            ("N", "ours", "exact", "mean field", "control error", "largest cost error ± s.e.",
             "exploitability", "earlier certificate", "CPU-seconds"), portfolio,
        ),
    ]  # fmt: skip


def markdown(document: dict[str, Any]) -> str:
    """What is compared."""
    return (
        "Two games that no Riccati equation solves, by the paper's architecture. Birds "
        "(`fp.FlockingGame`, positions and velocities in the plane) align with birds near them "
        "and fly in noise that grows with their speed; no solution is known. For β = γ = 0 every "
        "coordinate of the velocities is an inter-bank game, whose exact cost is *known*. With "
        "β = 1, γ = 0.5, *loss* is what the bird who loses least would lose by returning alone to "
        "the controls trained for β = γ = 0. Investors (`fp.PortfolioGame`, Lacker and "
        "Zariphopoulou 2019) have exponential utility of their wealth less 0.8 times the average; "
        "controls enter the diffusion, the equilibrium is a constant known for every N, and so is "
        f"its limit; Adam begins with a rate of {_RATE:g}. Cost errors of the portfolio game are "
        "differences on the same paths. The *earlier certificate*, of the solve at the "
        "revision beside it, had one trained response with the profile's own features and units."
    )


def _back(found) -> str:
    if found is None:
        return ""
    player = int(np.argmin(found["loss"]))
    return solving.percent(found["loss"][player], found["standard_error"][player])
