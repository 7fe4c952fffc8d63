"""Every item of `./run reproduce` at its smoke preset, and the command line around them."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from reproduce import __main__ as command
from reproduce import catalogue, report, store

_ROOT = Path(__file__).resolve().parents[2]
_PROVENANCE = {
    "command", "preset", "seed", "date", "revision", "versions", "backend", "device", "cores",
    "threads", "machine", "seconds", "cpu_seconds",
}  # fmt: skip


@pytest.mark.parametrize("name", [item.name for item in catalogue.ITEMS])
def test_an_item_writes_its_json_figure_and_report(name, tmp_path, capsys):
    assert command.main([name, "--preset", "smoke", "--seed", "3", "--out", str(tmp_path)]) == 0
    document = json.loads((tmp_path / "smoke" / f"{name}.json").read_text())
    assert document["item"] == name
    assert document["provenance"].keys() >= _PROVENANCE
    assert document["provenance"]["seed"] == 3
    assert f"reproduce {name} --preset smoke --seed 3" in document["provenance"]["command"]
    figures = list((tmp_path / "smoke").glob(f"{name}*.png"))
    assert figures
    text = (tmp_path / "RESULTS.md").read_text()
    assert f"## {name}" in text
    printed = capsys.readouterr().out
    for path in (tmp_path / "smoke" / f"{name}.json", *figures, tmp_path / "RESULTS.md"):
        assert path.name in printed
    assert not list((tmp_path / "smoke" / "checkpoints").iterdir())

    before = {path: path.read_bytes() for path in (*figures, tmp_path / "RESULTS.md")}
    for path in before:
        path.unlink()
    assert command.main(["report", "--out", str(tmp_path)]) == 0
    for path, content in before.items():
        assert path.read_bytes() == content


@pytest.mark.parametrize("item", catalogue.ITEMS, ids=lambda item: item.name)
def test_every_item_has_the_common_presets(item):
    module = importlib.import_module(item.module)
    assert {"smoke", "quick", "paper"} <= module.PRESETS.keys()
    assert not item.title.endswith(".")


def test_listing_names_every_item_without_tensorflow():
    program = (
        "import sys; from reproduce.__main__ import main; main(['list']); "
        "assert not {'tensorflow', 'keras', 'numpy', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=_ROOT, capture_output=True, text=True, check=True
    )
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        item.name for item in catalogue.ITEMS
    ]


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["figure-99"], "The item must be one of inter-bank"),
        (["lq-table", "--preset", "huge"], "`--preset` must be one of smoke, quick, paper"),
        (["lq-table", "--seed", "-1"], "`--seed` must be at least 0"),
        (["lq-table", "--threads", "0"], "`--threads` must be at least 1"),
        (["lq-table", "--preset", "smoke", "--out", "/proc/nowhere"], "`--out` must be a writable"),
        (["report", "--out", "/proc/nowhere"], "`--out` must hold results"),
    ],
)
def test_bad_command_lines_are_refused_in_a_sentence(arguments, rule, capsys):
    assert command.main(arguments) == 2
    captured = capsys.readouterr()
    assert rule in captured.err
    assert "Received" in captured.err
    assert captured.out == ""


def test_numbers_that_json_lacks_become_null(tmp_path):
    store.write(tmp_path / "x.json", {"values": [float("nan"), 1.0, float("inf")]})
    assert store.read(tmp_path / "x.json") == {"values": [None, 1.0, None]}


def test_a_table_in_markdown():
    table = report.Table("Costs", ("player", "cost"), [("1", "0.5")])
    assert table.markdown() == "**Costs**\n\n| player | cost |\n|---|---|\n| 1 | 0.5 |"


def test_the_largest_preset_is_shown_and_a_smaller_one_told(tmp_path):
    assert command.main(["dgnopt-lq", "--preset", "smoke", "--out", str(tmp_path)]) == 0
    document = store.read(tmp_path / "smoke" / "dgnopt-lq.json")
    document["provenance"]["preset"] = "quick"
    (tmp_path / "quick").mkdir()
    store.write(tmp_path / "quick" / "dgnopt-lq.json", document)
    assert command.main(["report", "--out", str(tmp_path)]) == 0
    text = (tmp_path / "RESULTS.md").read_text()
    assert text.count("## dgnopt-lq") == 1
    assert "![dgnopt-lq](quick/dgnopt-lq.png)" in text
    assert "*At the preset smoke*: **Holds.** every error is at most" in text
    assert "[JSON](smoke/dgnopt-lq.json), [figure](smoke/dgnopt-lq.png)" in text
