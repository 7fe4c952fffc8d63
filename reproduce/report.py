"""RESULTS.md and the README's results table, generated from the JSON."""

import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reproduce import provenance, store
from reproduce.catalogue import ITEMS, MAIN_ITEM, find

#: Presets from the largest to the smallest: the report shows the largest there is.
PRESET_ORDER = ("paper", "best", "standard", "quick", "smoke")
_README_TABLE = ("<!-- results -->\n", "<!-- end of results -->")


@dataclass(frozen=True)
class Table:
    """A table of strings, for the terminal and for Markdown."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def markdown(self) -> str:
        """The table in Markdown, its title as a caption above."""
        lines = [f"**{self.title}**", ""] if self.title else []
        lines.append("| " + " | ".join(self.columns) + " |")
        lines.append("|" + "---|" * len(self.columns))
        lines += ["| " + " | ".join(row) + " |" for row in self.rows]
        return "\n".join(lines)


def write(folder: Path, target: Path | None = None) -> Path:
    """Writes the report of a folder's results; returns its path.

    Args:
        folder: of results, a folder per preset.
        target: the page; None for `RESULTS.md` in the folder.
    """
    target = target or folder / "RESULTS.md"
    sections, findings = [], []
    for item in ITEMS:
        paths = by_size(folder, item.name)
        if not paths:
            continue
        path, *smaller = paths
        document = store.read(path)
        also = [_smaller(item, other, target.parent) for other in smaller]
        sections.append("\n\n".join([_section(item, document, path, target.parent), *also]))
        findings += _finding(item, document)
    columns = ("item", "what should hold", "what was seen", "preset")
    digest = [Table("", columns, findings).markdown()] if findings else []
    target.write_text(_HEAD + "\n\n".join([*digest, *sections]) + "\n")
    return target


def publish(root: Path) -> list[Path]:
    """Writes the repository's RESULTS.md, and the last table of the main item into the README.

    Args:
        root: of the repository, with `results/` and README.md.

    Returns:
        What was written.
    """
    written = [write(root / "results", root / "RESULTS.md")]
    readme = root / "README.md"
    old = readme.read_text()
    for path in by_size(root / "results", MAIN_ITEM)[:1]:
        document = store.read(path)
        table = importlib.import_module(find(MAIN_ITEM).module).summary(document)[-1].markdown()
        command = document["provenance"]["command"]
        made = f"Made by `{command}`; more in [RESULTS.md](RESULTS.md)."
        start, end = _README_TABLE
        before, _, rest = old.partition(start)
        after = rest.partition(end)[2]
        new = f"{before}{start}{table}\n\n{made}\n{end}{after}" if after else old
        if new != old:
            readme.write_text(new)
            written.append(readme)
    return written


_HEAD = """\
# Results

Every table and figure here is made from a JSON file under `results/` by the command beside it
(`./run reproduce report --publish` makes this page anew). *Ours* is always measured, *the paper's*
always quoted. The text says what is compared with what. First a page of what holds and what does
not; a section per item follows, each with its command. Where an item was run at several presets
the largest is shown, and the end of its section says what the smaller ones saw.

"""


def _finding(item, document: dict[str, Any]) -> list[tuple[str, ...]]:
    """The item's row of the digest: modules with a `finding` say what should hold and what was
    seen, those with a `holds` also whether it does."""
    module = importlib.import_module(item.module)
    finding = getattr(module, "finding", None)
    if finding is None:
        return []
    wanted, seen = finding(document)
    if hasattr(module, "holds"):
        seen = f"**{module.holds(document)}** {seen}"
    name = " and ".join((item.name, *item.also))
    anchor = name.lower().replace(" ", "-")
    return [(f"[{name}](#{anchor})", wanted, seen, document["provenance"]["preset"])]


def _section(item, document: dict[str, Any], path: Path, base: Path) -> str:
    module = importlib.import_module(item.module)
    given = document["provenance"]
    try:
        text, tables = module.markdown(document), module.summary(document)
    except (KeyError, TypeError, IndexError):
        raise ValueError(
            f"{path} was written by another version of {item.name} and cannot be reported. "
            f"Make it anew: {given['command']}. Received: revision {given['revision']}"
        ) from None
    parts = [
        f"## {' and '.join((item.name, *item.also))}",
        f"{item.title[0].upper()}{item.title[1:]}.",
    ]
    if text:
        parts.append(text)
    parts += [table.markdown() for table in tables]
    parts += [f"![{item.name}]({figure.relative_to(base.resolve())})" for figure in _figures(path)]
    versions = ", ".join(f"{name} {value}" for name, value in given["versions"].items())
    parts.append(
        f"<sub>`{given['command']}` · {given['date']} · revision {given['revision']} · "
        f"{given['backend']} on {given['device']}, {provenance.threads_shown(given)} · "
        f"{given['seconds']:.0f} s, "
        f"{given['cpu_seconds']:.0f} CPU-seconds · {versions}</sub>"
    )
    return "\n\n".join(parts)


def _smaller(item, path: Path, base: Path) -> str:
    """A paragraph on a result of a smaller preset: its command, what was seen, its files."""
    document = store.read(path)
    given = document["provenance"]
    rows = _finding(item, document)
    seen = f": {rows[0][2]}" if rows else ""
    place = path.resolve().relative_to(base.resolve())
    figures = [f"[figure]({figure.resolve().relative_to(base.resolve())})"
               for figure in _figures(path)]  # fmt: skip
    return (
        f"*At the preset {given['preset']}*{seen}. ({', '.join([f'[JSON]({place})', *figures])}; "
        f"`{given['command']}`, revision {given['revision']}, {given['seconds']:.0f} s, "
        f"{given['cpu_seconds']:.0f} CPU-seconds)"
    )


def _figures(path: Path) -> list[Path]:
    """The figures drawn from a JSON file: of its name, or with a suffix of small letters."""
    return [
        figure
        for figure in sorted(path.resolve().parent.glob(f"{path.stem}*.png"))
        if re.fullmatch(rf"{re.escape(path.stem)}(\.[a-z0-9-]+)?", figure.stem)
    ]


def by_size(folder: Path, name: str) -> list[Path]:
    """An item's JSON files, that of the largest preset first."""
    paths = (folder / preset / f"{name}.json" for preset in PRESET_ORDER)
    return [path for path in paths if path.exists()]
