"""Games solved by deep fictitious play, seed by seed: one specification for runs and tables."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
PAPER_NETWORK = "paper's architecture"


@dataclass(frozen=True)
class Case:
    """A game to solve.

    Attributes:
        name: of the game.
        game: settings of `InterBankGame`, or a game.
        training: what differs from the preset's training.
        network: what the networks are called.
    """

    name: str
    game: Any
    training: dict[str, Any] = field(default_factory=dict)
    network: str = PAPER_NETWORK


@dataclass(frozen=True)
class Games:
    """An item of solved games, as data; its module exports `parts`.

    Attributes:
        cases: the preset's settings, `seeds`, `training` and what else it wants → the cases.
        caption: of the table.
        measure: (settings, result, seed) → further entries of a case's record.
        columns: heading → cell of one more column, from the records of all seeds.
        certificate: arguments of `Result.exploitability`.
        more: document → further tables.
    """

    cases: Callable[[dict[str, Any]], list[Case]]
    caption: str
    measure: Callable[[dict[str, Any], Any, int], dict[str, Any]] | None = None
    columns: Mapping[str, Callable[[list[dict[str, Any]]], str]] = field(default_factory=dict)
    certificate: dict[str, Any] = field(default_factory=dict)
    more: Callable[[dict[str, Any]], list[Table]] | None = None

    def parts(self) -> tuple[Any, ...]:
        """run, summary: what an item's module has."""
        return self.run, self.summary

    def run(self, context: Any) -> dict[str, Any]:
        """Solves every case from every seed; an interrupted run goes on."""
        settings = context.settings
        records = []
        for case in self.cases(settings):
            training = {**settings["training"], **case.training}
            for seed in range(context.seed, context.seed + settings["seeds"]):
                name = f"{case.name}-{case.network}-{seed}".replace(" ", "")
                result = solving.solve(context, name, case.game, training, seed)
                more = self.measure(settings, result, seed) if self.measure else {}
                found = solving.describe(result, **self.certificate)
                labels = {"game": case.name, "network": case.network, "seed": seed}
                records.append({**labels, **found, **more})
        return {"cases": records}

    def summary(self, document: dict[str, Any]) -> list[Table]:
        """A row per game and network."""
        first = self.more(document) if self.more else []
        table = Table.of(self.caption, [cases for _, cases in by_game(document)], {
            "game": lambda cases: names(cases[0])[0],
            "network": lambda cases: names(cases[0])[1],
            "largest cost error": solving.largest,
            "gain by deviating": solving.gain,
            **self.columns,
            "seeds": lambda cases: str(len(cases)),
            "CPU-seconds": lambda cases: f"{np.mean([c['cpu_seconds'] for c in cases]):.0f}",
        })  # fmt: skip
        return [*first, table]


def by_game(document: dict[str, Any]) -> Iterator[tuple[tuple[str, str], list[dict[str, Any]]]]:
    """The records of every game and network: its seeds."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for case in document["results"]["cases"]:
        found.setdefault(names(case), []).append(case)
    yield from found.items()


def first_seed(document: dict[str, Any]) -> list[dict[str, Any]]:
    """One record of every game and network."""
    return [cases[0] for _, cases in by_game(document)]


def names(case: dict[str, Any]) -> tuple[str, str]:
    """The game's and the network's name of a record."""
    game = case.get("game") or case.get("variant") or case.get("title")
    network = case.get("network", PAPER_NETWORK)
    return game or f"N = {case['players']}", _NETWORKS.get(network, network)


def inter_bank(players: Sequence[int], game: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Settings of the inter-bank game by name, for every number of players."""
    return {f"N = {count}": {**game, "players": count} for count in players}
