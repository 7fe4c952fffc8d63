"""The games of `docs/gallery` and their closed forms: its pages are where their code stands."""

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

_PAGES = Path(__file__).resolve().parents[2] / "docs" / "gallery"
_DEFINITIONS = (ast.FunctionDef, ast.ClassDef)


def definitions() -> Iterator[tuple[Path, ast.Module]]:
    """The imports, functions and classes of every Python block of the pages."""
    kept = (ast.Import, ast.ImportFrom, *_DEFINITIONS)
    for page in sorted(_PAGES.glob("*.md")):
        for block in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S):
            tree = ast.parse(block)
            yield page, ast.Module([node for node in tree.body if isinstance(node, kept)], [])


@lru_cache
def games() -> dict[str, Any]:
    """Name → the function or class that makes the game, or a closed form of it."""
    found: dict[str, Any] = {"__name__": __name__}
    names: list[str] = []
    for page, tree in definitions():
        exec(compile(tree, str(page), "exec"), found)
        names += [node.name for node in tree.body if isinstance(node, _DEFINITIONS)]
    return {name: found[name] for name in names}
