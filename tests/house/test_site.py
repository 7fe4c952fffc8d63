"""The documentation site is built strictly: every page is in it, and no link in it is dead."""

import shutil
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def build(folder, site):
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", folder / "mkdocs.yml",
         "-d", site],
        capture_output=True, text=True,
    )  # fmt: skip


def test_the_site_is_built_without_a_warning(tmp_path):
    done = build(_ROOT, tmp_path / "site")
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    site = tmp_path / "site"
    for page in (_ROOT / "docs").glob("*.md"):
        assert (site / page.stem / "index.html").exists(), page.name
    start = (site / "index.html").read_text()
    assert 'href="your_own_game/"' in start
    assert 'src="results/quick/inter-bank.png"' in start
    assert (site / "results" / "quick" / "inter-bank.png").exists()


def test_a_dead_link_and_a_page_outside_the_contents_are_errors(tmp_path):
    for name in ("docs", ".ci", "benchmarks", "results"):
        ignore = shutil.ignore_patterns("__pycache__", "*.json")
        shutil.copytree(_ROOT / name, tmp_path / name, ignore=ignore)
    for path in [*_ROOT.glob("*.md"), _ROOT / "mkdocs.yml", _ROOT / "CITATION.cff"]:
        shutil.copy(path, tmp_path)
    (tmp_path / "docs" / "another.md").write_text("# Another\n\n[gone](nowhere.md)\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 1
    assert "nowhere.md" in done.stderr
    assert "another.md" in done.stderr
