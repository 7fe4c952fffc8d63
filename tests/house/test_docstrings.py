"""Docstrings are in one dialect, Keras's, and speak of arguments that are there."""

import ast
import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
#: Sections of other dialects.
_OTHERS = re.compile(
    r"^\s*(Parameters|Arguments|Params|Return|Yield|Raise|Note):?\s*$|:param |:returns?:"
)
_ARGS = re.compile(r"^Args:\n((?:    .*\n?|\n)+)", re.MULTILINE)
_ITEM = re.compile(r"^    (\w[\w, ]*):", re.MULTILINE)


def documented(path):
    """Pairs of a class or function with a docstring, and the function whose arguments it names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            function = node
            if isinstance(node, ast.ClassDef):
                own = {part.name: part for part in node.body if isinstance(part, ast.FunctionDef)}
                function = own.get("__init__")
            yield node, function


def arguments(function):
    given = function.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return {each.arg for each in named if each is not None}


@pytest.mark.parametrize("package", ["dgn_tf", "fictitious_play"])
def test_docstrings_name_the_arguments_that_are_there(package):
    wrong, seen = [], 0
    for path in (_ROOT / package).rglob("*.py"):
        for node, function in documented(path):
            text = ast.get_docstring(node)
            section = _ARGS.search(text)
            wrong += [f"{path.name}, {node.name}: {m[0]}" for m in _OTHERS.finditer(text)]
            if section is None or function is None or function.args.kwarg:
                continue
            for item in _ITEM.findall(section[1]):
                names = {name.strip() for name in item.split(",")}
                seen += len(names)
                absent = names - arguments(function)
                wrong += [f"{path.name}, {node.name}: {name} is no argument" for name in absent]
    assert not wrong
    assert seen > 100
