"""The mutation check: what it calls noticed, survived and gone, and the page that it made."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import mutation_check
from benchmarks.mutations import MUTATIONS, Mutation

_ROOT = Path(__file__).resolve().parents[2]
_ADD = Mutation("the sum", "dgn_tf/sums.py", "a + b", "a - b", ("tests/test_sums.py::test_add",))


@pytest.fixture(name="root")
def small_repository(tmp_path):
    """A function and two tests of it, one of which proves nothing."""
    for folder in ("dgn_tf", "tests"):
        (tmp_path / folder).mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "dgn_tf" / "sums.py").write_text("def add(a, b):\n    return a + b\n")
    (tmp_path / "tests" / "test_sums.py").write_text(
        "from dgn_tf.sums import add\n"
        "def test_add():\n    assert add(1, 2) == 3\n"
        "def test_zero():\n    assert add(1, 0) == 1\n"
    )
    return tmp_path


def test_what_a_test_notices_and_what_it_does_not(root, capsys):
    weak = replace(_ADD, name="again", tests=("tests/test_sums.py::test_zero",))
    rows = mutation_check.check([_ADD, weak], root)
    assert [row["outcome"] for row in rows] == ["noticed", "survived"]
    assert rows[0]["failed"] == ["tests/test_sums.py::test_add"]
    assert "survived  again: nothing failed" in capsys.readouterr().out
    assert (root / "dgn_tf" / "sums.py").read_text() == "def add(a, b):\n    return a + b\n"
    page = mutation_check.page(
        {
            "mutations": rows,
            "provenance": json.loads((_DOCS / "mutation.json").read_text())["provenance"],
        }
    )
    assert "1 of 2 changes were noticed" in page


_DOCS = _ROOT / "docs"


def test_a_line_that_is_gone_or_a_test_that_is_gone_is_an_error(root):
    with pytest.raises(ValueError, match=r"exactly once in dgn_tf/sums.py.*Received: 0 times"):
        mutation_check.check([replace(_ADD, text="a * b")], root)
    with pytest.raises(ValueError, match="must pass on the unchanged sources"):
        mutation_check.check([replace(_ADD, tests=("tests/test_sums.py::test_gone",))], root)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_every_line_and_its_tests_are_there(mutation):
    mutation.mutated((_ROOT / mutation.file).read_text())
    for test in mutation.tests:
        path, _, name = test.partition("::")
        wanted = f"def {name.partition('[')[0]}(" if name else "def test_"
        assert wanted in (_ROOT / path).read_text()


def test_the_page_is_what_the_check_found():
    document = json.loads((_DOCS / "mutation.json").read_text())
    assert (_DOCS / "mutation.md").read_text() == mutation_check.page(document)
    assert [row["name"] for row in document["mutations"]] == [m.name for m in MUTATIONS]
    assert {row["outcome"] for row in document["mutations"]} == {"noticed"}
