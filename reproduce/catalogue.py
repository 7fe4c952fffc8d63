"""What can be reproduced, as `items.toml` has it. Imports nothing heavy: listing is instant."""

import json
import tomllib
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

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
    """A figure or table: the name of its files, which may be typed after `./run reproduce`, as may
    `label` and the labels of the same runs' other names; one line on what it shows; preset →
    settings; and what else `items.toml` has, the arguments of a `comparison` or a `ladder`, or
    `code`, the module, where it is not named as the item."""

    name: str
    title: str
    also: tuple[str, ...] = ()
    presets: dict[str, dict[str, Any]] = field(default_factory=dict, compare=False, repr=False)
    table: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def code(self) -> Any:
        """What has its `run`, `summary`, and, where there are such, `draw` and `film`, its figure
        and its animation, and the `facts` that its text names: the `ITEM` of its module, or of its
        `ITEMS` the one of its name, or the module itself; or what `table` makes."""
        if "comparison" in self.table:
            from reproduce.dgnopt.comparison import Comparison

            return Comparison(**self.table["comparison"])
        if "ladder" in self.table:
            from reproduce.dgnopt.ladder import Ladder

            return Ladder(**self.table["ladder"])
        file = self.table.get("code", self.page.replace("-", "_"))
        module = import_module(f"reproduce.{'dgnopt' if self.data else 'games'}.{file}")
        return getattr(module, "ITEMS", {}).get(self.name) or getattr(module, "ITEM", module)

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
        return self.name.removeprefix("dgnopt-")

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


def _resolved(value: Any) -> Any:
    """The value with, before a table's own entries, those of the table that its `from` names."""
    if isinstance(value, list):
        return [_resolved(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    own = {key: _resolved(entry) for key, entry in value.items() if key != "from"}
    return {**_named(value["from"]), **own} if "from" in value else own


def _named(name: str) -> dict[str, Any]:
    item, *keys = name.split(".")
    table = _SPECIFICATION["items"][item] if keys else _SPECIFICATION["shared"][name]
    for key in keys:
        table = table[key]
    return _resolved(table)


def _item(name: str, title: str, also: tuple[str, ...] = (), **given: Any) -> Item:
    given = _resolved(given)
    presets = {preset: given.pop(preset) for preset in PRESETS if preset in given}
    return Item(name, title, tuple(also), presets, given)


_SPECIFICATION = tomllib.loads(Path(__file__).with_name("items.toml").read_text())
ITEMS = tuple(_item(name, **given) for name, given in _SPECIFICATION["items"].items())
MAIN_ITEM = "inter-bank"


def find(name: str) -> Item:
    """The item of that name or label; a ValueError where there is none."""
    for item in ITEMS:
        if name in (item.name, item.page, *item.also, *item.labels):
            return item
    labels = ", ".join(label for item in ITEMS for label in item.labels)
    raise ValueError(f"The item must be one of {labels}. Received: {name!r}")


def listing() -> str:
    """The items by paper: names, the time of each preset's committed result, and what they show."""
    lines: list[str] = []
    names = {item: " or ".join(item.labels) for item in ITEMS}
    times = {item: ", ".join(" ".join(pair) for pair in item.times().items()) for item in ITEMS}
    first, second = (max(map(len, column.values())) for column in (names, times))
    for paper, title in PAPERS.items():
        lines += [*([""] if lines else []), title]
        lines += [f"  {names[item]:<{first}}  {times[item]:<{second}}  {item.title}"
                  for item in ITEMS if item.paper == paper]  # fmt: skip
    return "\n".join(lines)


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
