"""The pages made from the JSON: a section per preset for every item, and `front`'s first page."""

import html
import os
from collections.abc import Iterator
from dataclasses import dataclass
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
_BEGIN, _END = "<!-- results -->\n", "<!-- end of results -->"


@dataclass(frozen=True)
class Place:
    """Where results lie and where their pages go.

    Attributes:
        results: a folder per preset, of JSON files.
        front: the first page.
        pages: the folder of the items' pages.
        beside: whether every preset's figures lie beside its JSON; else those of the largest
            preset lie beside the pages.
    """

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
    from reproduce import front

    store.open_folder(place.pages)
    written = [page for item in ITEMS for page in _page(place, item)]
    place.front.write_text(front.page(place))
    return [place.front, *written]


def publish(root: Path) -> list[Path]:
    """Draws the committed figures anew, writes the pages, and the tables into pages that have one;
    figures and pages that nothing made go.

    Args:
        root: of the repository, with `results/` and README.md.
    """
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
            (document["provenance"]["preset"], found.on, found.seen, f"**{found.verdict}**")
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
