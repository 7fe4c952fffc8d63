"""What can be reproduced: a line per item. Imports nothing heavy, so that listing is instant."""

import json
from dataclasses import dataclass
from pathlib import Path

#: Presets, from the smallest to the largest.
PRESETS = ("smoke", "quick", "standard", "best", "paper")
#: Folders of names, and the papers they stand for.
PAPERS = {
    "fp": "Deep Fictitious Play for Stochastic Differential Games (Hu 2019)",
    "dgnopt": "Dynamic Game Theoretic Neural Optimizer (Liu, Chen, Theodorou 2021)",
}
_RESULTS = Path(__file__).resolve().parent.parent / "results"


@dataclass(frozen=True)
class Item:
    """A figure or table.

    Attributes:
        name: of its files; may be typed after `./run reproduce`, as may `label`.
        title: one line on what it shows.
        also: other names of the same runs: a figure and a table drawn from them.
    """

    name: str
    title: str
    also: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """Where it lives; the module has PRESETS, `run`, `summary`, and, where there are such,
        `draw` and `film`, its figure and its animation, and `facts` that its text names."""
        file = self.name.removeprefix("dgnopt-").replace("-", "_")
        return f"reproduce.{'dgnopt' if self.data else 'games'}.{file}"

    @property
    def data(self) -> bool:
        """Whether it trains on image data sets."""
        return self.name.startswith("dgnopt-")

    @property
    def paper(self) -> str:
        """Which of `PAPERS` it belongs to."""
        return "dgnopt" if self.data else "fp"

    @property
    def label(self) -> str:
        """The item's name in its paper's folder, such as `dgnopt/table-2`."""
        return self.labels[0]

    @property
    def page(self) -> str:
        """Name of its page and figures among the committed ones."""
        return self.label.partition("/")[2]

    @property
    def labels(self) -> tuple[str, ...]:
        """`label`, and those of its other names."""
        names = (self.name, *self.also)
        return tuple(f"{self.paper}/{name.removeprefix('dgnopt-')}" for name in names)

    def times(self) -> dict[str, str]:
        """How long the command of each committed result took, by preset, in words."""
        taken = {}
        for preset in PRESETS:
            path = _RESULTS / preset / f"{self.name}.json"
            if path.exists():
                given = json.loads(path.read_text())["provenance"]
                # A command that kept earlier runs took longer in all.
                more = "> " if "--keep" in given["command"] else ""
                taken[preset] = more + _time(given["seconds"])
        return taken


ITEMS = (
    Item("inter-bank",
         "the inter-bank game, N = 5 and 10: costs against the exact equilibrium (the main job)"),
    Item("figure-2", "the network of one player, drawn"),
    Item("lq-costs",
         "cost error per stage, N = 5, 10, 24, paper's architecture and linear skip connection"),
    Item("lq-trajectories",
         "states and controls on a few paths, network against exact; preset best: linear skip "
         "connection"),
    Item("lq-variants",
         "common noise, asymmetric weights, a non-zero first belief, 50 time steps"),
    Item("closed-loop",
         "feedback controls with a linear skip connection against the closed-loop equilibrium"),
    Item("scale",
         "many players: N = 50 and 100 (quick), 1,000 (standard, linear skip connection)"),
    Item("lq-heterogeneous", "a major bank, a ring, two groups, and a convoy with vector states"),
    Item("nonlinear-games",
         "a flock with no closed form, and a portfolio game with N growing to its mean-field "
         "limit"),
    Item("games", "ten published games, open or closed loop, each against an independent truth"),
    Item("convergence",
         "how fast fictitious play contracts: against the horizon, and stage by stage"),
    Item("beliefs",
         "last, average, damped and sequential beliefs, and a game that the last one breaks"),
    Item("stage-by-stage",
         "networks with a linear skip connection against exact best responses, stage by stage"),
    Item("dgnopt-rates", "the search for learning rates that the other items take theirs from"),
    Item("dgnopt-table-2", "accuracy of eight methods on residual networks"),
    Item("dgnopt-table-3", "accuracy of eight methods on inception networks"),
    Item("dgnopt-figure-5",
         "the change of accuracy that richer information brings each baseline"),
    Item("dgnopt-figure-3", "EKFAC under four information structures on cooperative blocks"),
    Item("dgnopt-figure-7", "runtime and memory of a step, relative to SGD and EKFAC"),
    Item("dgnopt-figure-8",
         "large learning rates, with and without the game, its forms and K δx"),
    Item("dgnopt-differences",
         "what each difference from the printed update does, and where each update breaks"),
    Item("dgnopt-figure-9",
         "fictitious agents in SGD and EKFAC, and steps to a target", ("dgnopt-table-4",)),
    Item("dgnopt-figure-10",
         "the alignment fixed, random, or chosen by a bandit", ("dgnopt-table-5",)),
    Item("dgnopt-figure-11", "fictitious agents against a partition of every layer's units"),
)  # fmt: skip
MAIN_ITEM = "inter-bank"


def find(name: str) -> Item:
    """The item of that name or label.

    Raises:
        ValueError: where there is none.
    """
    for item in ITEMS:
        if name in (item.name, item.page, *item.also, *item.labels):
            return item
    labels = ", ".join(label for item in ITEMS for label in item.labels)
    raise ValueError(f"The item must be one of {labels}. Received: {name!r}")


def listing() -> str:
    """The items by paper: names, the time of each preset's committed result, and what they show."""
    rows = {
        item: (
            " or ".join(item.labels),
            ", ".join(f"{preset} {time}" for preset, time in item.times().items()),
        )
        for item in ITEMS
    }
    widths = [max(len(row[column]) for row in rows.values()) for column in (0, 1)]
    lines: list[str] = []
    for paper, title in PAPERS.items():
        lines += [*([""] if lines else []), title]
        for item, (names, times) in rows.items():
            if item.paper == paper:
                lines.append(f"  {names:<{widths[0]}}  {times:<{widths[1]}}  {item.title}")
    return "\n".join(lines)


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
