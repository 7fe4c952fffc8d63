"""A table of a result."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Table:
    """A table of strings, for the terminal and for Markdown."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    @classmethod
    def of(
        cls, title: str, records: Iterable[Any], columns: Mapping[str, Callable[[Any], str]]
    ) -> "Table":
        """A row per record, whatever the cells are made of; columns are heading → record → cell."""
        rows = [tuple(cell(record) for cell in columns.values()) for record in records]
        return cls(title, tuple(columns), rows)

    def markdown(self) -> str:
        """The table in Markdown, its title as a caption above."""
        lines = [f"**{self.title}**", ""] if self.title else []
        lines.append("| " + " | ".join(self.columns) + " |")
        lines.append("|" + "---|" * len(self.columns))
        lines += ["| " + " | ".join(row) + " |" for row in self.rows]
        return "\n".join(lines)
