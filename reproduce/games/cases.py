"""Games solved by deep fictitious play, seed by seed: one specification for runs and tables."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from reproduce.games import solving
from reproduce.report import Table

#: What the networks of older results were called.
_NETWORKS = {
    "faithful": "paper's architecture",
    "skip path": "linear skip connection",
    "one network a step": "one network per step",
}
PAPER_NETWORK, SKIP_NETWORK = "paper's architecture", "linear skip connection"
#: Gains by deviating that an earlier certificate found, by item, with the revision that solved.
_EARLIER = Path(__file__).resolve().parents[2] / "results" / "earlier-certificates.json"


@dataclass(frozen=True)
class Case:
    """A game to solve.

    Attributes:
        name: of the game.
        game: settings of `InterBankGame`, or a game.
        training: what differs from the preset's training.
        network: what the networks are called.
        seeds: at most so many of the preset's.
    """

    name: str
    game: Any
    training: dict[str, Any] = field(default_factory=dict)
    network: str = PAPER_NETWORK
    seeds: int | None = None


@dataclass(frozen=True)
class Solved:
    """A case solved from one seed.

    Attributes:
        case, seed: of the solve.
        settings: of the preset.
        result: the `Result`.
        before: that of the case before it, from the same seed; None for the first one.
    """

    case: Case
    seed: int
    settings: dict[str, Any]
    result: Any
    before: Any = None


def described(solved: Solved) -> dict[str, Any]:
    """The record of a linear-quadratic game."""
    return solving.describe(solved.result)


@dataclass(frozen=True)
class Games:
    """An item of solved games, as data; its module exports `parts`.

    Attributes:
        cases: the preset's settings, `seeds`, `training` and what else it wants → the cases.
        caption: of the table.
        record: what is kept of a solved case.
        columns: heading → cell of one more column, from the records of all seeds.
        more: document → further tables.
    """

    cases: Callable[[dict[str, Any]], list[Case]]
    caption: str = ""
    record: Callable[[Solved], dict[str, Any]] = described
    columns: Mapping[str, Callable[[list[dict[str, Any]]], str]] = field(default_factory=dict)
    more: Callable[[dict[str, Any]], list[Table]] | None = None

    def parts(self) -> tuple[Any, ...]:
        """run, summary: what an item's module has."""
        return self.run, self.summary

    def run(self, context: Any) -> dict[str, Any]:
        """Solves every case from every seed; an interrupted run goes on."""
        settings = context.settings
        records = []
        for number in range(settings["seeds"]):
            seed, before = context.seed + number, None
            for case in self.cases(settings):
                if number >= (case.seeds or number + 1):
                    continue
                training = {**settings.get("training", {}), **case.training}
                name = f"{case.name}-{case.network}-{seed}".replace(" ", "")
                result = solving.solve(context, name, case.game, training, seed)
                labels = {"game": case.name, "network": case.network, "seed": seed,
                          "reason": result.reason}  # fmt: skip
                found = self.record(Solved(case, seed, settings, result, before))
                records.append({**labels, **found})
                before = result
        return {"cases": records}

    def summary(self, document: dict[str, Any]) -> list[Table]:
        """A row per game and network."""
        first = self.more(document) if self.more else []
        groups = [cases for _, cases in by_game(document)]
        table = Table.of(self.caption, groups, {
            "game": lambda cases: names(cases[0])[0],
            "network": lambda cases: names(cases[0])[1],
            "largest cost error": solving.largest,
            "gain by deviating": solving.gain,
            **earlier(document),
            **self.columns,
            "seeds": lambda cases: f"{len(cases)}{broken_off(cases)}",
            "CPU-seconds": cpu_seconds,
        })  # fmt: skip
        return [*first, table]


def records(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The records of an item's JSON; older ones have two lists of them, or a single one."""
    found = document["results"]
    if "cases" in found:
        return found["cases"]
    if "portfolio" in found:
        return [*found["flock"], *found["portfolio"]]
    network = SKIP_NETWORK if document["settings"].get("skip") else PAPER_NETWORK
    return [{"network": network, **found}]


def by_game(document: dict[str, Any]) -> Iterator[tuple[tuple[str, str], list[dict[str, Any]]]]:
    """The records of every game and network: its seeds."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for case in records(document):
        found.setdefault(names(case), []).append(case)
    yield from found.items()


def first_seed(document: dict[str, Any]) -> list[dict[str, Any]]:
    """One record of every game and network."""
    return [cases[0] for _, cases in by_game(document)]


def names(case: dict[str, Any]) -> tuple[str, str]:
    """The game's and the network's name of a record."""
    game = case.get("game") or case.get("variant") or case.get("title")
    network = case.get("network", PAPER_NETWORK)
    if "features" in case:
        network = features(case["skip"], case["settings"])
    return game or f"N = {case['players']:,}", _NETWORKS.get(network, network)


def features(skip: bool, training: Mapping[str, Any]) -> str:
    """The name of a network for many players."""
    return f"{'own and mean' if skip else 'full path'}, width {training.get('hidden', (32,))[0]}"


def inter_bank(players: Sequence[int], game: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Settings of the inter-bank game by name, for every number of players."""
    return {f"N = {count}": {**game, "players": count} for count in players}


def broken_off(cases: list[dict[str, Any]]) -> str:
    """How many solves a number that was not finite ended; nothing where none."""
    count = sum(case.get("reason") == "non_finite" for case in cases)
    return f", {count} broken off" if count else ""


def cpu_seconds(cases: list[dict[str, Any]]) -> str:
    """Of training, mean over seeds, as a cell."""
    return f"{np.mean([case['cpu_seconds'] for case in cases]):.0f}"


def earlier(document: dict[str, Any]) -> dict[str, Callable[[list[dict[str, Any]]], str]]:
    """A column of gains by deviating as the certificate of an earlier revision found them, of the
    profiles that were solved then; no column where there are none of this item and preset."""
    given = json.loads(_EARLIER.read_text()).get(document["item"], {})
    if document["provenance"]["preset"] != given.get("preset"):
        return {}
    texts = {
        names(case): f"{solving.certified(case)} ({case['revision']})" for case in given["cases"]
    }
    return {"gain, earlier certificate": lambda cases: texts.get(names(cases[0]), "–")}
