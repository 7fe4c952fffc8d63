"""Every item of `./run reproduce` at its smoke preset, and the command line around them."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reproduce import __main__ as command
from reproduce import catalogue, pages, report, runner, store

_ROOT = Path(__file__).resolve().parents[2]
_PROVENANCE = {
    "command", "preset", "seed", "date", "revision", "versions", "backend", "device", "cores",
    "threads", "machine", "seconds", "cpu_seconds",
}  # fmt: skip


_COMMITTED = [item for item in catalogue.ITEMS if pages.Place.of_repository(_ROOT).found(item)]
#: One item of each kind of run; the others are cases of these, with figures and tables of their own
#: that are drawn from the committed results below.
_ALWAYS = {
    "inter-bank", "figure-2", "lq-trajectories", "scale", "convergence", "beliefs",
    "stage-by-stage", "dgnopt-rates", "dgnopt-figure-3", "dgnopt-figure-8",
}  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(item.name, marks=[] if item.name in _ALWAYS else pytest.mark.release)
        for item in catalogue.ITEMS
    ],
)
def test_an_item_writes_its_json_figure_and_report(name, tmp_path, capsys):
    arguments = ["--preset", "smoke", "--seed", "3", "--out", str(tmp_path), "--jobs", "1"]
    assert command.main([name, *arguments]) == 0
    document = json.loads((tmp_path / "smoke" / f"{name}.json").read_text())
    assert document["item"] == name
    assert document["provenance"].keys() >= _PROVENANCE
    assert document["provenance"]["seed"] == 3
    label = catalogue.find(name).label
    assert f"reproduce {label} --preset smoke --seed 3" in document["provenance"]["command"]
    figures = list((tmp_path / "smoke").glob(f"{name}*.png"))
    page = tmp_path / "pages" / f"{catalogue.find(name).page}.md"
    front = tmp_path / "RESULTS.md"
    text = page.read_text()
    assert text.startswith(f"# {label}")
    assert all(f"(../smoke/{figure.name})" in text for figure in figures)
    printed = capsys.readouterr().out
    for path in (tmp_path / "smoke" / f"{name}.json", *figures, page, front):
        assert path.name in printed
    assert not list((tmp_path / "smoke" / "checkpoints").iterdir())

    before = {path: path.read_bytes() for path in (*figures, page, front)}
    for path in before:
        path.unlink()
    assert command.main(["report", "--out", str(tmp_path)]) == 0
    for path, content in before.items():
        assert path.read_bytes() == content


def written_anew(folder):
    """The pages of the committed results, in another place; the place and what was written."""
    shutil.copytree(_ROOT / "results", folder / "results")
    place = pages.Place.of_repository(folder)
    shutil.copytree(_ROOT / "docs" / "results", place.pages, ignore=shutil.ignore_patterns("*.md"))
    return place, pages.write(place)


def test_every_committed_result_has_its_tables_on_a_page_and_the_front_is_short(tmp_path):
    place, _ = written_anew(tmp_path)
    assert len(place.front.read_bytes()) <= 9000
    for item in _COMMITTED:
        text = (place.pages / f"{item.page}.md").read_text()
        for path in place.found(item):
            tables = item.code().summary(store.read(path))
            assert tables
            assert all(table.markdown() in text for table in tables)


@pytest.mark.release
def test_the_committed_pages_are_those_of_the_committed_results(tmp_path):
    """But for the sentence on runs that other training code made."""
    changed = re.compile(r" The training code has changed since these runs[^.]*\.")
    place, written = written_anew(tmp_path)
    for path in written:
        committed = _ROOT / path.relative_to(tmp_path)
        assert changed.sub("", path.read_text()) == changed.sub("", committed.read_text())
    figures = (place.figures(item, place.found(item)[0]) for item in _COMMITTED)
    kept = {path for path in place.pages.iterdir() if path.suffix in (".gif", ".png")}
    assert {path for drawn in figures for path in drawn} == kept


@pytest.mark.parametrize("item", _COMMITTED, ids=lambda item: item.name)
def test_the_figures_of_a_committed_result_are_drawn(item, tmp_path):
    place = pages.Place.of_repository(_ROOT)
    path = place.found(item)[0]
    drawn = pages.draw(item, store.read(path), tmp_path / item.page)
    committed = place.figures(item, path)
    assert [path.name for path in drawn] == [path.name for path in committed]


@pytest.mark.parametrize("item", catalogue.ITEMS, ids=lambda item: item.name)
def test_every_item_has_the_common_presets(item):
    assert {"smoke", "quick", "paper"} <= item.presets.keys()
    assert item.presets.keys() <= set(catalogue.PRESETS)
    known = {"code", "comparison", "ladder", "cases", "measured", "searched"}
    assert item.table.keys() <= known, "a preset or an entry that nothing reads"
    assert not item.title.endswith(".")


def test_listing_names_every_item_without_tensorflow():
    program = (
        "import sys; from reproduce.__main__ import main; main(['list']); "
        "assert not {'tensorflow', 'keras', 'numpy', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=_ROOT, capture_output=True, text=True, check=True
    )
    listed = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")]
    assert listed == [item.label for item in catalogue.ITEMS]


def test_the_help_lists_the_items_by_paper_with_their_times(capsys):
    with pytest.raises(SystemExit, match="0"):
        command.main(["--help"])
    text = capsys.readouterr().out
    first, second = (text.index(title) for title in catalogue.PAPERS.values())
    assert first < text.index("  fp/lq-costs ") < second < text.index("  dgnopt/table-2 ")
    seconds = store.read(_ROOT / "results" / "quick" / "lq-costs.json")["provenance"]["seconds"]
    (line,) = (line for line in text.splitlines() if line.startswith("  fp/lq-costs "))
    assert f"quick {round(seconds / 60)} min" in line
    assert "{smoke,quick,standard,best,paper}" in text


@pytest.mark.parametrize(
    ("names", "item"),
    [
        (("fp/inter-bank", "inter-bank"), "inter-bank"),
        (("dgnopt/rates", "dgnopt-rates", "rates"), "dgnopt-rates"),
        (("dgnopt/figure-9", "dgnopt/table-4", "dgnopt-table-4"), "dgnopt-figure-9"),
    ],
)
def test_an_item_has_a_name_in_its_papers_folder_and_an_old_one(names, item):
    assert {catalogue.find(name).name for name in names} == {item}
    assert len({label for item in catalogue.ITEMS for label in item.labels}) == sum(
        1 + len(item.also) for item in catalogue.ITEMS
    )


def test_a_run_touches_nothing_but_its_folder(tmp_path, monkeypatch, capsys):
    """By default `runs/`, which git ignores."""
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    shutil.copy(_ROOT / ".gitignore", tmp_path)
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    tracked = [_ROOT / "README.md", _ROOT / "RESULTS.md", *(_ROOT / "results").rglob("*")]
    before = {path: path.read_bytes() for path in tracked if path.is_file()}
    monkeypatch.chdir(tmp_path)
    assert command.main(["figure-2", "--preset", "smoke"]) == 0
    assert command.main(["report"]) == 0
    assert (tmp_path / "runs" / "smoke" / "figure-2.json").exists()
    assert (tmp_path / "runs" / "RESULTS.md").exists()
    status = ["git", "status", "--porcelain", "--untracked-files=all"]
    told = subprocess.run(status, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert told == "A  .gitignore\n"
    assert {path: path.read_bytes() for path in before} == before


def test_publishing_takes_runs_into_the_committed_results(tmp_path, capsys):
    """All but smoke; the report and the README's table are made from what is then there."""
    out = tmp_path / "runs"
    document = store.read(_ROOT / "results" / "quick" / "inter-bank.json")
    (out / "smoke").mkdir(parents=True)
    store.write(out / "smoke" / "inter-bank.json", document)
    root = tmp_path / "root"
    (root / "results" / "quick").mkdir(parents=True)
    (root / "README.md").write_text("A\n<!-- results -->\nold\n<!-- end of results -->\nB\n")
    store.write(root / "results" / "quick" / "inter-bank.json", {**document, "title": "old"})
    stale = root / "docs" / "results" / "gone.png"
    stale.parent.mkdir(parents=True)
    stale.touch()
    runner.publish(str(out), root)
    assert store.read(root / "results" / "quick" / "inter-bank.json")["title"] == "old"
    (out / "smoke").rename(out / "quick")
    runner.publish(str(out), root)
    assert store.read(root / "results" / "quick" / "inter-bank.json") == document
    assert (root / "docs" / "results" / "inter-bank.png").exists()
    assert not stale.exists()
    assert "(docs/results/inter-bank.md)" in (root / "RESULTS.md").read_text()
    assert "./run reproduce fp/inter-bank" in (root / "docs/results/inter-bank.md").read_text()
    readme = (root / "README.md").read_text()
    assert readme.startswith("A\n<!-- results -->\n**Largest over the players")
    assert f"Made by `{document['provenance']['command']}" in readme
    assert readme.endswith("<!-- end of results -->\nB\n")
    assert "old" not in readme


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["figure-99"], "The item must be one of fp/inter-bank"),
        (["beliefs", "--preset", "best"], "`--preset` must be one of smoke, quick, paper"),
        (["beliefs", "--preset", "smoke", "--publish"], "`--publish` belongs to `report`"),
        (["beliefs", "--only", "mnist"], "`--only` is for items that train on data sets"),
        (["dgnopt/table-2", "--preset", "smoke", "--only", "x"], "`--only` must name data sets"),
        (["beliefs", "--out", str(_ROOT / "results")], "`--out` must be another folder"),
        (["report", "--out", str(_ROOT / "results")], "`--out` must be another folder"),
        (["beliefs", "--seed", "-1"], "`--seed` must be at least 0"),
        (["beliefs", "--threads", "0"], "`--threads` must be at least 1"),
        (["beliefs", "--preset", "smoke", "--out", "/proc/nowhere"], "`--out` must be a writable"),
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


def test_a_page_has_a_section_for_every_preset_and_the_front_the_largest(tmp_path):
    document = store.read(_ROOT / "results" / "quick" / "convergence.json")
    for preset in ("smoke", "quick"):
        document["provenance"]["preset"] = preset
        document["provenance"].pop("onednn", None)
        (tmp_path / preset).mkdir()
        store.write(tmp_path / preset / "convergence.json", document)
    assert command.main(["report", "--out", str(tmp_path)]) == 0
    text = (tmp_path / "pages" / "convergence.md").read_text()
    assert text.index("## Preset quick") < text.index("## Preset smoke")
    assert "![fp/convergence](../quick/convergence.png)" in text
    assert "![fp/convergence](../smoke/convergence.png)" in text
    assert "<li>oneDNN: not recorded</li>" in text
    front = (tmp_path / "RESULTS.md").read_text()
    assert front.count("(pages/convergence.md)") == 1
