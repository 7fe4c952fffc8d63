"""The pages made from the JSON: the first one, and a section per preset for every item."""

import html
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from operator import eq
from pathlib import Path
from typing import Any

from reproduce import claims, figures, provenance, store
from reproduce.catalogue import ITEMS, MAIN_ITEM, PAPERS, Item, find
from reproduce.report import Table

#: Presets from the largest to the smallest.
PRESET_ORDER = ("paper", "best", "standard", "quick", "smoke")
_RECORDED = {"True": "on", "False": "off"}
#: Pages with a results table, between two comments, and the items whose last table that is.
_TABLES = {"README.md": MAIN_ITEM, "docs/gallery/index.md": "games"}
_PROSE = Path(__file__).with_name("prose")
_COLUMNS = ("claim", "verdict", "result", "run on", "not run; verdict elsewhere")
_NAMES = {"mnist": "MNIST", "svhn": "SVHN", "cifar10": "CIFAR10", "cifar100": "CIFAR100"}
_MARKS = {claims.OPEN: "*", claims.SUPPORTED: "**", claims.REFUTED: ""}
#: Seeds, or rounds of a timing, from which on a result counts here where an item has several.
_ENOUGH = {"seeds": 3, "rounds": 10}
_BEGIN, _END = "<!-- results -->\n", "<!-- end of results -->"


@dataclass(frozen=True)
class Place:
    """Where results lie, a folder per preset of JSON files, and where their pages go. Every
    preset's figures lie `beside` its JSON; else those of the largest preset lie beside the
    pages."""

    results: Path
    front: Path
    pages: Path
    beside: bool

    @classmethod
    def of_runs(cls, out: Path) -> "Place":
        """A folder of runs."""
        return cls(out, out / "RESULTS.md", out / "pages", True)

    @classmethod
    def of_repository(cls, root: Path) -> "Place":
        """The committed results."""
        return cls(root / "results", root / "RESULTS.md", root / "docs" / "results", False)

    def found(self, item: Item) -> list[Path]:
        """An item's JSON files, that of the largest preset first."""
        paths = (self.results / preset / f"{item.name}.json" for preset in PRESET_ORDER)
        return [path for path in paths if path.exists()]

    def draw(self) -> list[Path]:
        """Draws every figure anew from the JSON; returns the files."""
        paths = [(item, path) for item in ITEMS
                 for path in self.found(item)[: None if self.beside else 1]]  # fmt: skip
        return [figure for item, path in paths
                for figure in draw(item, store.read(path), self._stem(item, path))]  # fmt: skip

    def figures(self, item: Item, path: Path) -> list[Path]:
        """The figures that `draw` made from a JSON file."""
        if not self.beside and path != self.found(item)[0]:
            return []
        files = (Path(f"{self._stem(item, path)}.{kind}") for kind in ("gif", "png"))
        return [file for file in files if file.exists()]

    def _stem(self, item: Item, path: Path) -> Path:
        return path.parent / item.name if self.beside else self.pages / item.page


def draw(item: Item, document: dict[str, Any], stem: Path) -> list[Path]:
    """The item's figures, from its JSON; an item whose tables say it all has none."""
    code, document, drawn = item.code(), store.plain(document), []
    with figures.style():
        for kind, save in (("film", figures.save_film), ("draw", figures.save)):
            if make := getattr(code, kind, None):
                drawn.append(save(make(document), stem))
    return drawn


def prose(item: Item, document: dict[str, Any]) -> str:
    """What is compared, and how: the template of the item's page, filled from its JSON.

    A template's places are `settings` and `results` of the document, the `facts` that the item's
    code makes of it, and the texts that several templates share, whose files begin with `_`.
    """
    texts = {path.stem: " ".join(path.read_text().split()) for path in _PROSE.glob("*.md")}
    shared = {name: text for name, text in texts.items() if name.startswith("_")}
    facts = getattr(item.code(), "facts", None)
    given = {key: document[key] for key in ("settings", "results")}
    return texts[item.page].format(**given, **shared, **(facts(document) if facts else {}))


def write(place: Place) -> list[Path]:
    """Writes the first page and every item's; returns what was written."""
    store.open_folder(place.pages)
    written = [page for item in ITEMS for page in _page(place, item)]
    place.front.write_text(front(place))
    return [place.front, *written]


def publish(root: Path) -> list[Path]:
    """Draws the committed figures of a repository anew, writes the pages, and the tables into pages
    that have one; figures and pages that nothing made go."""
    place = Place.of_repository(root)
    store.open_folder(place.pages)
    written = place.draw()
    for path in place.pages.iterdir():
        if path.suffix == ".md" or (path.suffix in (".gif", ".png") and path not in written):
            path.unlink()
    written += write(place)
    for name, item in _TABLES.items():
        page, paths = root / name, place.found(find(item))
        if not page.exists():
            continue
        before, start, rest = page.read_text().partition(_BEGIN)
        after = rest.partition(_END)[2]
        if not (paths and after):
            continue
        document = store.read(paths[0])
        table = find(item).code().summary(document)[-1].markdown()
        link = Path(os.path.relpath(place.front, page.parent)).as_posix()
        made = f"Made by `{document['provenance']['command']}`; more in [RESULTS.md]({link})."
        page.write_text(f"{before}{start}{table}\n\n{made}\n{_END}{after}")
        written.append(page)
    return written


def _page(place: Place, item: Item) -> Iterator[Path]:
    """Writes an item's page, where it has results."""
    documents = {path: store.read(path) for path in place.found(item)}
    if not documents:
        return
    parts = [
        f"# {' and '.join(item.labels)}",
        f"{item.title[0].upper()}{item.title[1:]}. *{PAPERS[item.paper]}.*",
        *_verdicts(item, [*documents.values()]),
        *(_section(place, item, document, path) for path, document in documents.items()),
    ]
    page = place.pages / f"{item.page}.md"
    page.write_text("\n\n".join(parts) + "\n")
    yield page


def _verdicts(item: Item, documents: list[dict[str, Any]]) -> Iterator[str]:
    """A paragraph and a table for every claim that the item's records decide."""
    for claim in (claim for claim in claims.CLAIMS if claim.item == item.name):
        rows = [
            (document["provenance"]["preset"], found.on, found.result, f"**{found.verdict}**")
            for document in documents
            for found in claim.judge(document)
        ]
        yield f"Claim: {claim.words}. Rule: {claim.rule}"
        yield Table("", ("preset", "run on", "result", "verdict"), rows).markdown()


def _section(place: Place, item: Item, document: dict[str, Any], path: Path) -> str:
    given = document["provenance"]
    try:
        text, tables = prose(item, document), item.code().summary(document)
    except (KeyError, TypeError, IndexError):
        raise ValueError(
            f"{path} was written by another version of {item.name} and cannot be reported. "
            f"Make it anew: {given['command']}. Received: revision {given['revision']}"
        ) from None
    parts = [f"## Preset {given['preset']}", text, *(table.markdown() for table in tables)]
    parts += [
        f"![{item.label}]({Path(os.path.relpath(figure, place.pages)).as_posix()})"
        for figure in place.figures(item, path)
    ]
    return "\n\n".join([*filter(None, parts), _provenance(given)])


def _provenance(given: dict[str, Any]) -> str:
    """Where the numbers came from, folded away."""
    facts = {
        "seed": given["seed"],
        "made": f"{given['date']}, revision {given['revision']}",
        "device": f"{given['backend']} on {given['device']}, {provenance.threads_shown(given)}",
        "processor": given.get("processor", "not recorded"),
        "oneDNN": given.get("onednn", "not recorded"),
        "TF32": _RECORDED.get(str(given.get("tf32")), "not recorded"),
        "time": f"{given['seconds']:.0f} s, {given['cpu_seconds']:.0f} CPU-seconds",
        "versions": ", ".join(f"{name} {value}" for name, value in given["versions"].items()),
    }
    rows = "\n".join(f"<li>{name}: {html.escape(str(value))}</li>" for name, value in facts.items())
    command = html.escape(given["command"])
    return (
        f"<details>\n<summary>Made by <code>{command}</code></summary>\n<ul>\n{rows}\n</ul>\n"
        "</details>"
    )


def front(place: Place) -> str:
    """The first page in Markdown: which claims hold, on what, and how to run it again."""
    found = {item.name: [store.read(path) for path in place.found(item)] for item in ITEMS}
    found = {name: _decisive(documents) for name, documents in found.items()}
    where = place.pages.relative_to(place.front.parent).as_posix()
    tables = {f"{paper}_claims": _claims(found, where, paper) for paper in PAPERS}
    return (_PROSE / "front.md").read_text().format(**PAPERS, **tables, contrasts=_contrasts(found))


def _decisive(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Results of enough seeds or rounds, where there are such, then those of larger presets."""
    limits = _ENOUGH.items()
    many = [one for one in documents if all(one["settings"].get(of, k) >= k for of, k in limits)]
    larger = documents[: documents.index(many[0])] if many else []
    return [*many, *larger] or documents


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
    findings: dict[str, claims.Finding] = {}
    trained = set()
    for document in documents:
        trained |= {problem["data"] for problem in document["results"].get("problems", [])}
        for finding in claim.judge(document):
            findings.setdefault(finding.data, finding)
    own = {key: finding for key, finding in findings.items() if key.split(", ")[0] in claim.data}
    other: dict[str, dict[str, None]] = {}
    for key, finding in findings.items():
        if own and key not in own:
            other.setdefault(finding.on.split(", ")[0], {})[finding.verdict] = None
    absent = ", ".join(_NAMES[name] for name in claim.data if name not in trained)
    elsewhere = (f"{data}: {', '.join(verdicts)}" for data, verdicts in other.items())
    tail = "; ".join(filter(None, (absent or claim.missing, *elsewhere)))
    head, before = f"[{claim.words}]({where}/{find(claim.item).page}.md)", [""]
    for finding in (own or findings).values():
        mark, parts = _MARKS[finding.verdict], finding.on.split(", ")
        shared = 0 if "N = " in finding.on else len([*takewhile(bool, map(eq, before, parts))])
        on = ", ".join((["…"] if shared else []) + parts[shared:])
        yield head, f"{mark}{finding.verdict}{mark}", finding.result, on, tail
        head, tail, before = "", "", parts


def _contrasts(found: dict[str, list[dict[str, Any]]]) -> str:
    told = []
    for contrast in claims.CONTRASTS:
        documents = [document for name in contrast.items for document in found[name]]
        if documents and (sentence := contrast.tell(documents)):
            pages = ", ".join(find(name).page for name in contrast.items)
            told.append(f"- {sentence} ({pages})")
    return "\n".join(told) or "Nothing in these results."
