"""Linear-quadratic games by the paper's architecture, against their exact equilibria: costs of the
symmetric inter-bank game, its error stage by stage, its paths, and games away from it."""

from typing import Any

import numpy as np

from reproduce import figures
from reproduce.games import cells, solving
from reproduce.games.cases import (
    COSTS,
    COSTS_AND_RUNS,
    PAPER_NETWORK,
    SKIP_NETWORK,
    Case,
    Games,
    Solved,
    groups,
    inter_bank,
    names,
    panels,
    records,
)
from reproduce.report import Table

_ERROR_PATHS = 4096


def _draw_costs(document: dict[str, Any]) -> Any:
    """Costs of every player, ours beside the exact ones, from the first seed."""
    widths = [max(4, cases[0]["players"]) for cases in groups(document)]
    figure, shown = panels(document, 3.6, 3.2, width_ratios=widths)
    for axis, ((case, *_),) in ((axis, own.values()) for axis, own in shown):
        player = np.arange(1, case["players"] + 1)
        axis.errorbar(
            player, case["cost"], yerr=case["cost_standard_error"], fmt="o", color="#1b3a5c",
            capsize=2.5, label="deep fictitious play ± standard error",
        )  # fmt: skip
        for key, look, label in (
            ("exact_discrete", {"color": "#c0562b"}, "exact, discrete time"),
            ("exact_continuous", figures.EXACT, "closed form, continuous time"),
        ):
            cost = case[key]
            axis.step([0.5, *player, player[-1] + 0.5], [cost[0], *cost, cost[-1]], where="mid",
                      label=label, **look)  # fmt: skip
        axis.set(xlabel="player")
        axis.set_xticks(player if case["players"] <= 12 else player[::3])
    figure.axes[0].set_ylabel("expected cost $J^i$ (units of cost)")
    return figures.legend_below(figure)


def _players(document: dict[str, Any]) -> list[Table]:
    """A row per player of the first seed."""
    rows = [(cases[0], player) for cases in groups(document)
            for player in range(cases[0]["players"])]  # fmt: skip

    def cost(entry):
        return lambda row: f"{row[0][entry][row[1]]:.5f}"

    title = "Expected costs: ours, exact in discrete time, closed form in continuous time"
    return [Table.of(title, rows, {
        "N": lambda row: str(row[0]["players"]),
        "player": lambda row: str(row[1] + 1),
        "ours": cost("cost"),
        "exact": cost("exact_discrete"),
        "closed form": cost("exact_continuous"),
        "error ± s.e.": lambda row: cells.over_seeds(
            [[row[0][f"relative_{what}"][row[1]] for what in ("error", "standard_error")]], "+"),
    })]  # fmt: skip


def _with_and_without_skip(settings: dict[str, Any]) -> list[Case]:
    games = inter_bank(settings["players"], settings["game"])
    if "spread_start" in settings:
        games["N = 5, spread start"] = settings["spread_start"]
    # The noise of the gradient is what limits the linear skip connection: twice the batch.
    skip = {"skip": True, "batch_size": 2 * settings["training"]["batch_size"]}
    return [case for name, game in games.items()
            for case in (Case(name, game), Case(name, game, skip, SKIP_NETWORK))]  # fmt: skip


def _draw_stages(document: dict[str, Any]) -> Any:
    """The largest relative cost error over the players against the stage, a panel per game."""
    figure, shown = panels(document, 2.9, 3.3, sharey=True)
    for axis, own in shown:
        for number, (network, cases) in enumerate(own.items()):
            errors, bars = np.mean([_by_stage(case) for case in cases], axis=0)
            axis.errorbar(np.arange(1, len(errors) + 1), errors, yerr=bars, capsize=2,
                          label=network, **figures.STYLES[number])  # fmt: skip
        axis.axhline(100 * _time_error(cases[0]), label="time discretisation", **figures.EXACT)
        axis.set(yscale="log", xlabel="stage")
    figure.axes[0].set_ylabel("largest relative cost error (%)")
    return figures.legend_below(figure)


def _by_stage(case: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """After every stage the largest error over the players and its bar, in %."""
    exact = np.asarray(case["exact_discrete"])
    cost, spread = (np.array([record[entry] for record in case["history"]])
                    for entry in ("cost", "cost_standard_error"))  # fmt: skip
    error = 100 * np.abs(cost / exact - 1)
    worst = error.argmax(axis=1)[:, None]
    error, bar = (np.take_along_axis(each, worst, 1) for each in (error, 100 * spread / exact))
    return error[:, 0], bar[:, 0]


def _time_error(case: dict[str, Any]) -> float:
    """The largest relative distance of the continuous-time costs from the discrete ones."""
    discrete, continuous = (np.asarray(case[f"exact_{time}"])
                            for time in ("discrete", "continuous"))  # fmt: skip
    return float(np.max(np.abs(discrete / continuous - 1)))


def _paths(solved: Solved) -> dict[str, Any]:
    """Player 1 on a few fresh paths; the errors of all controls on many."""
    import fictitious_play as fp

    result = solved.result
    initial, noise = solving.sample(result.game, _ERROR_PATHS, (solved.seed, 2))
    controls, states = result.control(initial, noise), result.states(initial, noise)
    reference = fp.lq.nash(result.game).simulate(initial, noise)
    shown = slice(0, solved.settings["paths"])
    squares = ((controls - reference.controls) ** 2).mean(axis=(0, 2))
    return {
        "times": np.linspace(0.0, result.game.horizon, result.game.steps + 1),
        "states": states[shown, :, 0],
        "exact_states": reference.states[shown, :, 0],
        "controls": controls[shown, :, 0],
        "exact_controls": reference.controls[shown, :, 0],
        "control_error": fp.lq.control_error(controls, reference.controls),
        "control_error_by_step": np.sqrt(squares / (reference.controls**2).mean(axis=(0, 2))),
        "error_paths": _ERROR_PATHS,
        **solving.describe(result),
    }


def _draw_paths(document: dict[str, Any]) -> Any:
    """Player 1's state and control on each path, of the first seed, and the control error against
    time."""
    found = records(document)
    first, times = found[0], np.asarray(found[0]["times"])
    figure, (left, middle, right) = figures.subplots(1, 3, figsize=(10.2, 3.6))
    for path in range(len(first["states"])):
        thin = {"color": figures.STYLES[path]["color"], "linewidth": 1.0}
        dots = {**figures.dots(path), "markersize": 3.5}
        exact = first["exact_controls"][path]
        left.plot(times, first["exact_states"][path], **thin)
        left.plot(times, first["states"][path], **dots)
        middle.step(times, [*exact, exact[-1]], where="post", **thin)
        middle.plot(times[:-1], first["controls"][path], **dots)
    line = left.plot([], [], color="black", linewidth=1.0, label="exact")[0]
    dots = left.plot([], [], "o", color="black", markersize=3, label="network")[0]
    figure.legend(handles=[line, dots], title="a colour per path", loc="outside lower center",
                  ncols=2)  # fmt: skip
    left.set(xlabel="time $t$", ylabel="state $X^1_t$ (log-reserves)", title="state of player 1")
    middle.set(xlabel="time $t$", ylabel="control $α^1_t$ (per unit time)",
               title="control of player 1")  # fmt: skip
    figures.shaded(right, times[:-1],
                   [100 * np.asarray(case["control_error_by_step"]) for case in found])  # fmt: skip
    right.set(xlabel="time $t$", ylabel="error of the controls (%)",
              title=f"all players, {first['error_paths']:,} paths", ylim=(0, None))  # fmt: skip
    return figure


def _variants(settings: dict[str, Any]) -> list[Case]:
    """Common noise, asymmetric weights, another first belief, more players, longer times."""
    players, game = settings["players"], settings["game"]
    base = {**game, "players": players}
    many, longer = 5 * game["steps"] // 2, 2.5 * game["horizon"]
    weights = np.full((players, players), 0.5 / players)
    weights[:, 0] += 0.5
    spread = np.linspace(0.5, 1.5, players)
    unequal = {
        "weights": weights.tolist(), "sigma": spread.tolist(), "rho": 0.3,
        "a": (game["a"] * spread[::-1]).tolist(), "epsilon": (game["epsilon"] * spread).tolist(),
    }  # fmt: skip
    return [
        Case("common noise, ρ = 0.5", {**base, "rho": 0.5}),
        Case("player 1 weighs half, unequal σ, a, ε", {**base, **unequal}),
        Case("first belief 1 for everybody", base, {"initial_belief": 1.0}),
        Case(f"N = {2 * players}, {many} steps", {**base, "players": 2 * players, "steps": many}),
        Case(f"{many} steps, T = {longer:g}", {**base, "steps": many, "horizon": longer}),
    ]


def _heterogeneous(settings: dict[str, Any]) -> list[Case]:
    """Players who differ, and states that are vectors."""
    import fictitious_play as fp

    players, steps = settings["players"], settings["steps"]
    second = {"sigma": 0.6, "epsilon": 2.0, "a": 0.5, "initial_std": 0.2}
    sizes = players - players // 2, players // 2
    games = {
        "a major bank": fp.major_player_game(players, share=0.5, major_sigma=0.5, steps=steps),
        "a ring": fp.ring_game(players, steps=steps),
        "two groups": fp.two_group_game(*sizes, within=0.8, steps=steps, second_group=second),
        "a convoy (vector states)": fp.convoy_game(players, steps=steps),
    }
    return [Case(name, game) for name, game in games.items()]


ITEMS = {
    "inter-bank": Games(
        cases=lambda settings: [
            Case(name, game)
            for name, game in inter_bank(settings["players"], settings["game"]).items()
        ],
        before=_players,
        tables={"Largest over the players": COSTS_AND_RUNS},
        draw=_draw_costs,
    ),
    "lq-costs": Games(
        cases=_with_and_without_skip,
        tables={"Relative cost error after the last stage": {
            **COSTS,
            "time step": lambda cases: f"{100 * _time_error(cases[0]):.2f} %",
            **cells.RUNS,
        }},
        draw=_draw_stages,
    ),
    "lq-trajectories": Games(
        cases=lambda settings: [
            Case(name, game, network=SKIP_NETWORK if settings["training"].get("skip")
                 else PAPER_NETWORK)
            for name, game in inter_bank([settings["players"]], settings["game"]).items()
        ],
        record=_paths,
        tables={"Networks against the exact equilibrium on the same noise": {
            "game": lambda cases: names(cases[0])[0],
            "relative L2 error of the controls": cells.quantity("control_error", digits=2),
            "largest cost error": cells.largest,
            cells.GAIN: cells.gain,
            **cells.RUNS,
        }},
        draw=_draw_paths,
    ),
    "lq-variants": Games(
        cases=_variants, tables={"Games away from the symmetric one": COSTS_AND_RUNS}
    ),
    "lq-heterogeneous": Games(
        cases=_heterogeneous, tables={"Players who differ, and vector states": COSTS_AND_RUNS}
    ),
}  # fmt: skip
