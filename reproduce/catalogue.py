"""What can be reproduced: a line an item. Imports nothing heavy, so that listing is instant."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """A figure or table.

    Attributes:
        name: what is typed after `./run reproduce`.
        module: where it lives; the module has PRESETS, `run`, `draw`, `markdown` and `summary`.
        title: one line on what it shows.
        also: other names of the same runs: a figure and a table drawn from them.
    """

    name: str
    module: str
    title: str
    also: tuple[str, ...] = ()


ITEMS = (
    Item(
        "inter-bank",
        "reproduce.games.inter_bank",
        "the inter-bank game, N = 5 and 10: costs against the exact equilibrium (the main job)",
    ),
    Item("figure-2", "reproduce.games.figure_2", "the network of one player, drawn"),
    Item(
        "lq-costs",
        "reproduce.games.lq_costs",
        "cost error per stage, N = 5, 10, 24, faithful and with the linear skip path",
    ),
    Item(
        "lq-trajectories",
        "reproduce.games.lq_trajectories",
        "states and controls on a few paths, network against exact",
    ),
    Item(
        "lq-variants",
        "reproduce.games.lq_variants",
        "common noise, asymmetric weights, a non-zero first belief, 50 steps: a trained case each",
    ),
    Item(
        "closed-loop",
        "reproduce.games.closed_loop",
        "feedback controls against the closed-loop equilibrium, in cost and in gains",
    ),
    Item(
        "scale",
        "reproduce.games.scale",
        "many players: N = 50 and 100 (quick), 1,000 (standard)",
    ),
    Item(
        "lq-table",
        "reproduce.games.lq_table",
        "exact equilibrium costs, open and closed loop, discrete and continuous",
    ),
    Item(
        "time-step",
        "reproduce.games.time_step",
        "the discrete equilibrium tends to the continuous one at first order",
    ),
    Item(
        "lq-heterogeneous",
        "reproduce.games.lq_heterogeneous",
        "a major bank, a ring, two groups, and a convoy with vector states, one trained case each",
    ),
    Item(
        "nonlinear-games",
        "reproduce.games.nonlinear_games",
        "a flock with no closed form, and a portfolio game with N growing to its mean-field limit",
    ),
    Item(
        "convergence",
        "reproduce.games.convergence",
        "how fast fictitious play contracts: against the horizon, and stage by stage",
    ),
    Item(
        "beliefs",
        "reproduce.games.beliefs",
        "last, average, damped and sequential beliefs, and a game that the last one breaks",
    ),
    Item(
        "stage-by-stage",
        "reproduce.games.stage_by_stage",
        "trained networks against the exact best responses at every stage",
    ),
    Item(
        "dgnopt-rates",
        "reproduce.dgnopt.rates",
        "DGNOpt paper: the search for learning rates that the other items take theirs from",
    ),
    Item(
        "dgnopt-table-2",
        "reproduce.dgnopt.table_2",
        "DGNOpt paper: accuracy of six methods on residual networks",
    ),
    Item(
        "dgnopt-table-3",
        "reproduce.dgnopt.table_3",
        "DGNOpt paper: accuracy of six methods on inception networks",
    ),
    Item(
        "dgnopt-figure-5",
        "reproduce.dgnopt.figure_5",
        "DGNOpt paper: the change of accuracy that richer information brings each baseline",
    ),
    Item(
        "dgnopt-figure-3",
        "reproduce.dgnopt.figure_3",
        "DGNOpt paper: EKFAC under four information structures on cooperative blocks",
    ),
    Item(
        "dgnopt-figure-7",
        "reproduce.dgnopt.figure_7",
        "DGNOpt paper: runtime and memory of a step, relative to SGD and EKFAC",
    ),
    Item(
        "dgnopt-figure-8",
        "reproduce.dgnopt.figure_8",
        "DGNOpt paper: large steps, with and without the game, its forms and K δx",
    ),
    Item(
        "dgnopt-figure-9",
        "reproduce.dgnopt.figure_9",
        "DGNOpt paper: fictitious agents in SGD and EKFAC, curves and steps to a target",
        also=("dgnopt-table-4",),
    ),
    Item(
        "dgnopt-figure-10",
        "reproduce.dgnopt.figure_10",
        "DGNOpt paper: the alignment fixed, random, or chosen by a bandit",
        also=("dgnopt-table-5",),
    ),
    Item(
        "dgnopt-alignments",
        "reproduce.dgnopt.alignments",
        "DGNOpt: why alignments differ so little, by step size, curvature, depth and data",
    ),
    Item(
        "dgnopt-figure-11",
        "reproduce.dgnopt.figure_11",
        "DGNOpt paper: fictitious agents against a partition of every layer's units",
    ),
    Item(
        "dgnopt-lq",
        "reproduce.dgnopt.lq",
        "DGNOpt's recursion on linear-quadratic games: Riccati, DARE, team LQR, coupled Riccati",
    ),
)
MAIN_ITEM = "inter-bank"


def find(name: str) -> Item:
    """The item of that name.

    Raises:
        ValueError: where there is none.
    """
    for item in ITEMS:
        if name == item.name or name in item.also:
            return item
    names = ", ".join(name for item in ITEMS for name in (item.name, *item.also))
    raise ValueError(f"The item must be one of {names}. Received: {name!r}")
