"""Games solved by deep fictitious play, seed by seed: one specification for runs and tables."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reproduce import figures, provenance, store
from reproduce.games import cells, solving
from reproduce.report import Table

PAPER_NETWORK, SKIP_NETWORK = "paper's architecture", "linear skip connection"
#: Gains by deviating that an earlier certificate found, by item, with the revision that solved.
_EARLIER = Path(__file__).resolve().parents[2] / "results" / "earlier-certificates.json"


@dataclass(frozen=True)
class Case:
    """A game to solve, given itself or by settings of `InterBankGame`: `training` is what differs
    from the preset's, `network` what the networks are called; it is solved from `seeds` of the
    preset's at most, and `about` is what the item's `record` wants to know besides."""

    name: str
    game: Any
    training: dict[str, Any] = field(default_factory=dict)
    network: str = PAPER_NETWORK
    seeds: int | None = None
    about: Any = None


@dataclass(frozen=True)
class Solved:
    """A case solved from one seed: the preset's settings, the `Result`, and `other`, which maps
    another case to its `Result` from the same seed."""

    case: Case
    seed: int
    settings: dict[str, Any]
    result: Any
    other: Callable[[Case], Any]


@dataclass(frozen=True)
class Games:
    """An item of solved games, as data: the preset's settings, `seeds`, `training` and what else it
    wants → the cases; the tables, caption → heading → cell, from the records of all seeds of a
    game; what is kept of a solved case, by default, of a linear-quadratic one; how the names of the
    games of every table begin; further tables `before`, from the document; and `draw`, `film` and
    `facts`, as `Item.code` says."""

    cases: Callable[[dict[str, Any]], list[Case]]
    tables: Mapping[str, cells.Columns]
    record: Callable[[Solved], dict[str, Any]] = lambda solved: solving.describe(solved.result)
    kinds: Sequence[str] = ("",)
    before: Callable[[dict[str, Any]], list[Table]] = lambda document: []
    draw: Callable[[dict[str, Any]], Any] | None = None
    film: Callable[[dict[str, Any]], Any] | None = None
    facts: Callable[[dict[str, Any]], dict[str, Any]] | None = None

    def run(self, context: Any) -> dict[str, Any]:
        """Solves every case from every seed; an interrupted run goes on."""
        settings = context.settings
        return {"cases": [
            self._record(context, case, context.seed + number)
            for number in range(settings["seeds"])
            for case in self.cases(settings)
            if number < (case.seeds or number + 1)
        ]}  # fmt: skip

    def _record(self, context: Any, case: Case, seed: int) -> dict[str, Any]:
        """One solve, measured and certified; kept on the disk for an interrupted command."""
        import fictitious_play as fp

        given = context.settings.get("training", {})

        def solved(case: Case) -> tuple[Any, ...]:
            name = f"{case.name}-{case.network}-{seed}".replace(" ", "")
            game = fp.InterBankGame(**case.game) if isinstance(case.game, dict) else case.game
            return context, name, game, {**given, **case.training}, seed

        def other(case: Case) -> Any:
            return solving.solve(*solved(case))

        folder = solving.place(*solved(case))
        kept = folder.with_name(f"{folder.name}.{provenance.revision()}.json")
        if kept.exists():
            found = store.read(kept)
            for clock in context.reused:
                context.reused[clock] += found[f"whole_{clock}"]
            return found
        begun, result, solved_at = solving.clocks(), other(case), solving.clocks()
        spent = solving.spent(result)
        for clock in context.reused:  # of stages that an interrupted command had trained
            context.reused[clock] += max(0.0, spent[clock] - (solved_at[clock] - begun[clock]))
        found = {"game": case.name, "network": case.network, "seed": seed, "reason": result.reason}
        found |= self.record(Solved(case, seed, context.settings, result, other))
        found |= {f"whole_{clock}": spent[clock] + now - solved_at[clock]
                  for clock, now in solving.clocks().items()}  # fmt: skip
        store.write(kept, found)
        return found

    def summary(self, document: dict[str, Any]) -> list[Table]:
        """A row per game and network."""
        return [*self.before(document), *(
            Table.of(caption, groups(document, kind), _with_earlier(columns, document))
            for kind, (caption, columns) in zip(self.kinds, self.tables.items(), strict=True)
        )]  # fmt: skip


def records(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The records of an item's JSON: one per case and seed."""
    return document["results"]["cases"]


def flight(document: dict[str, Any]) -> dict[str, Any]:
    """The flight of the first record that has one."""
    return next(case["flight"] for case in records(document) if "flight" in case)


def by_game(document: dict[str, Any]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """The records of every game and network: its seeds."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for case in records(document):
        found.setdefault(names(case), []).append(case)
    return found


def groups(document: dict[str, Any], kind: str = "") -> list[list[dict[str, Any]]]:
    """The seeds of every game and network whose name begins so."""
    return [cases for (game, _), cases in by_game(document).items() if game.startswith(kind)]


def names(case: dict[str, Any]) -> tuple[str, str]:
    """The game's and the network's name of a record."""
    return case["game"], case["network"]


def inter_bank(players: Sequence[int], game: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Settings of the inter-bank game by name, for every number of players."""
    return {f"N = {count}": {**game, "players": count} for count in players}


def panels(document: dict[str, Any], width: float, height: float, **settings: Any
           ) -> tuple[Any, Iterator[tuple[Any, dict[str, list[dict[str, Any]]]]]]:  # fmt: skip
    """A figure with a panel per game: its axis, titled, and the game's records by network."""
    games: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for (game, network), cases in by_game(document).items():
        games.setdefault(game, {})[network] = cases
    size = (width * len(games), height)
    figure, axes = figures.subplots(1, len(games), figsize=size, squeeze=False, **settings)
    for axis, title in zip(axes[0], games, strict=True):
        axis.set_title(title)
    return figure, zip(axes[0], games.values(), strict=True)


def _with_earlier(columns: cells.Columns, document: dict[str, Any]) -> cells.Columns:
    """The columns with, after the gain by deviating, that which the certificate of an earlier
    revision found of the profiles solved then; as they are, where there is none of this preset."""
    given = json.loads(_EARLIER.read_text()).get(document["item"], {})
    if cells.GAIN not in columns or given.get("preset") != document["provenance"]["preset"]:
        return columns
    texts = {names(case): f"{cells.gain([case])} ({case['revision']})" for case in given["cases"]}
    place, pairs = list(columns).index(cells.GAIN) + 1, list(columns.items())
    earlier = "gain, earlier certificate", lambda cases: texts.get(names(cases[0]), "–")
    return dict([*pairs[:place], earlier, *pairs[place:]])


#: The columns of costs against exact ones, and all of a table of these.
COSTS: cells.Columns = {
    "game": lambda cases: names(cases[0])[0],
    "network": lambda cases: names(cases[0])[1],
    "largest cost error": cells.largest,
    cells.GAIN: cells.gain,
}
COSTS_AND_RUNS: cells.Columns = {**COSTS, **cells.RUNS}
