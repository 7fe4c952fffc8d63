"""Games solved by deep fictitious play, seed by seed: one specification for runs and tables."""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from reproduce import figures, provenance, store, workers
from reproduce.catalogue import find
from reproduce.games import cells, solving
from reproduce.report import Table

PAPER_NETWORK, SKIP_NETWORK = "paper's architecture", "linear skip connection"
#: Gains by deviating that an earlier certificate found, by item, with the revision that solved.
_EARLIER = Path(__file__).resolve().parents[2] / "results" / "earlier-certificates.json"


@dataclass(frozen=True)
class Case:
    """A game to solve, given itself or by settings of `InterBankGame`: `training` is what differs
    from the preset's, `network` what the networks are called; it is solved from `seeds` of the
    preset's at most, `about` is what the item's `record` wants to know besides, and `reads` is the
    `key` of the case whose `Result` from the same seed it wants, too."""

    name: str
    game: Any
    training: dict[str, Any] = field(default_factory=dict)
    network: str = PAPER_NETWORK
    seeds: int | None = None
    about: Any = None
    reads: str = ""

    @property
    def key(self) -> str:
        """Its name among the cases of an item."""
        return f"{self.name}, {self.network}"


@dataclass(frozen=True)
class Solved:
    """A case solved from one seed: the preset's settings, the `Result`, and `other`, that of the
    case that it reads."""

    case: Case
    seed: int
    settings: dict[str, Any]
    result: Any
    other: Any = None


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
        """Solves every case from every seed, in worker processes where the machine has cores for
        several; an interrupted run goes on."""
        first, cases = context.seed, self.cases(context.settings)
        seeds = range(first, first + context.settings["seeds"])
        every = {_kept(context, case, seed): (seed, case) for seed in seeds for case in cases
                 if seed - first < (case.seeds or len(seeds))}  # fmt: skip
        tasks: dict[tuple[int, str], dict[str, Path]] = {}
        for path, (seed, case) in every.items():
            if path.exists():
                found = store.read(path)
                context.reused.update({c: found[f"whole_{c}"] for c in solving.clocks()})
            else:
                tasks.setdefault((seed, case.reads or case.key), {})[case.key] = path
        jobs = workers.count(len(tasks), context.options)
        if jobs > 1:
            # The largest games first, so that no process is left alone with one.
            size = {case.key: _arguments(context, case, first)[2].players for case in cases}
            order = sorted(tasks.items(), key=lambda task: -max(size[key] for key in task[1]))
            self._beside(jobs, context, [(seed, kept) for (seed, _), kept in order])
        else:
            for (seed, _), kept in tasks.items():
                context.reused.update(self.solve(context, seed, kept))
        return {"cases": [store.read(path) for path in every]}

    def _beside(self, jobs: int, context: Any, tasks: list) -> None:
        """Solves tasks in so many processes, and says how far they are."""
        begun = time.monotonic()
        context.ran.update(jobs=jobs, threads=workers.threads(jobs, context.options))
        done = workers.finished(jobs, context.options, partial(_solve, context), tasks)
        for number, ((seed, kept), future) in enumerate(done, 1):
            context.reused.update(future.result())
            spent = time.monotonic() - begun
            left = spent / number * (len(tasks) - number)
            print(f"{', '.join(kept)}, seed {seed}: finished, {number} of {len(tasks)}, "
                  f"{spent:.0f} s spent, about {left:.0f} s left", file=sys.stderr)  # fmt: skip

    def solve(self, context: Any, seed: int, kept: Mapping[str, Path]) -> Counter:
        """Solves the cases of these keys from a seed, measures and certifies each and keeps its
        record in its file; returns what earlier commands had spent on their stages."""
        earlier: Counter = Counter()
        cases = {case.key: case for case in self.cases(context.settings)}
        for case, path in ((cases[key], path) for key, path in kept.items()):
            begun, result = solving.clocks(), solving.solve(*_arguments(context, case, seed))
            spent, solved_at = solving.spent(result), solving.clocks()
            earlier += spent - (solved_at - begun)
            other = case.reads and solving.solve(*_arguments(context, cases[case.reads], seed))
            found = {"game": case.name, "network": case.network, "seed": seed,
                     "reason": result.reason}  # fmt: skip
            found |= self.record(Solved(case, seed, context.settings, result, other))
            whole = spent + (solving.clocks() - solved_at)
            store.write(path, found | {f"whole_{clock}": value for clock, value in whole.items()})
        return earlier

    def summary(self, document: dict[str, Any]) -> list[Table]:
        """A row per game and network."""
        return [*self.before(document), *(
            Table.of(caption, groups(document, kind), _with_earlier(columns, document))
            for kind, (caption, columns) in zip(self.kinds, self.tables.items(), strict=True)
        )]  # fmt: skip


def _solve(context: Any, seed: int, kept: Mapping[str, Path]) -> Counter:
    """What a worker does."""
    return find(context.item).code().solve(context, seed, kept)


def _arguments(context: Any, case: Case, seed: int) -> tuple[Any, ...]:
    """Those of `solving.solve` and `solving.place`."""
    import fictitious_play as fp

    name = f"{case.name}-{case.network}-{seed}".replace(" ", "")
    game = fp.InterBankGame(**case.game) if isinstance(case.game, dict) else case.game
    return context, name, game, {**context.settings.get("training", {}), **case.training}, seed


def _kept(context: Any, case: Case, seed: int) -> Path:
    """The file of a case's record, for an interrupted command."""
    folder = solving.place(*_arguments(context, case, seed))
    return folder.with_name(f"{folder.name}.{provenance.revision()}.json")


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
