"""The first page of the results: which claims hold, on what, and how to run it again."""

from collections.abc import Iterator
from itertools import takewhile
from operator import eq
from pathlib import Path
from typing import Any

from reproduce import claims, store
from reproduce.catalogue import ITEMS, PAPERS, find
from reproduce.pages import Place
from reproduce.report import Table

_TEMPLATE = Path(__file__).with_name("prose") / "front.md"
_COLUMNS = ("claim", "verdict", "result", "run on", "not run; verdict elsewhere")
_NAMES = {"mnist": "MNIST", "svhn": "SVHN", "cifar10": "CIFAR10", "cifar100": "CIFAR100"}
_MARKS = {claims.OPEN: "*", claims.SUPPORTED: "**", claims.REFUTED: ""}
#: Seeds, or rounds of a timing, from which on a result counts here where an item has several.
_ENOUGH = {"seeds": 3, "rounds": 10}


def page(place: Place) -> str:
    """The page in Markdown, of the results in a place."""
    found = {item.name: [store.read(path) for path in place.found(item)] for item in ITEMS}
    found = {name: _decisive(documents) for name, documents in found.items()}
    where = place.pages.relative_to(place.front.parent).as_posix()
    tables = {f"{paper}_claims": _claims(found, where, paper) for paper in PAPERS}
    return _TEMPLATE.read_text().format(**PAPERS, **tables, contrasts=_contrasts(found))


def _decisive(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Results of enough seeds or rounds, where there are such."""
    many = [document for document in documents
            if all(document["settings"].get(of, least) >= least
                   for of, least in _ENOUGH.items())]  # fmt: skip
    return many or documents


def _claims(found: dict[str, list[dict[str, Any]]], where: str, paper: str) -> str:
    rows = [
        row
        for claim in claims.CLAIMS
        if find(claim.item).paper == paper and found[claim.item]
        for row in _rows(claim, found[claim.item], where)
    ]
    width = 5 if any(row[-1] for row in rows) else 4
    shown = [row[:width] for row in rows]
    return Table("", _COLUMNS[:width], shown).markdown() if rows else "Nothing was run."


def _rows(claim: claims.Claim, documents: list[dict[str, Any]], where: str) -> Iterator[tuple]:
    """A row per data set, of the paper's own where one was run: the claim is in the first row."""
    seen: dict[str, claims.Finding] = {}
    trained = set()
    for document in documents:
        trained |= {problem["data"] for problem in document["results"].get("problems", [])}
        for finding in claim.judge(document):
            seen.setdefault(finding.data, finding)
    own = {key: finding for key, finding in seen.items() if key.split(", ")[0] in claim.data}
    other: dict[str, dict[str, None]] = {}
    for key, finding in seen.items():
        if own and key not in own:
            other.setdefault(finding.on.split(", ")[0], {})[finding.verdict] = None
    absent = ", ".join(_NAMES[name] for name in claim.data if name not in trained)
    elsewhere = (f"{data}: {', '.join(verdicts)}" for data, verdicts in other.items())
    tail = "; ".join(filter(None, (absent or claim.missing, *elsewhere)))
    head, before = f"[{claim.words}]({where}/{find(claim.item).page}.md)", [""]
    for finding in (own or seen).values():
        mark, parts = _MARKS[finding.verdict], finding.on.split(", ")
        shared = 0 if "N = " in finding.on else len([*takewhile(bool, map(eq, before, parts))])
        on = ", ".join((["…"] if shared else []) + parts[shared:])
        yield head, f"{mark}{finding.verdict}{mark}", finding.seen, on, tail
        head, tail, before = "", "", parts


def _contrasts(found: dict[str, list[dict[str, Any]]]) -> str:
    told = []
    for contrast in claims.CONTRASTS:
        documents = [document for name in contrast.items for document in found[name]]
        if documents and (sentence := contrast.tell(documents)):
            pages = ", ".join(find(name).page for name in contrast.items)
            told.append(f"- {sentence} ({pages})")
    return "\n".join(told) or "Nothing in these results."
