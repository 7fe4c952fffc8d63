"""The documentation site is built strictly: all pages and public names, no dead link."""

import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import dgn_tf
import fictitious_play

_ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = ("dgn_tf", "fictitious_play")
_HEADING = re.compile(r'<h[1-6] id="([\w.]+)" class="doc')


def build(folder, site):
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", folder / "mkdocs.yml",
         "-d", site],
        capture_output=True, text=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = build(_ROOT, folder)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def test_the_site_has_every_page(site):
    for page in (_ROOT / "docs").rglob("*.md"):
        name = page.relative_to(_ROOT / "docs").with_suffix("")
        name = name.parent if name.name == "index" else name
        assert (site / name / "index.html").exists(), name
    start = (site / "index.html").read_text()
    assert 'href="your_own_game/"' in start
    assert 'src="results/inter-bank.png"' in start
    assert (site / "results" / "inter-bank.png").exists()


def public_names(module):
    """Pairs of dotted name and value of a module's `__all__`, and of the modules among them."""
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.ismodule(value):
            yield from public_names(value)
        elif not name.startswith("__"):
            yield f"{module.__name__}.{name}", value


@pytest.mark.parametrize("package", [dgn_tf, fictitious_play], ids=lambda p: p.__name__)
def test_every_public_name_has_a_place_in_the_api(site, package):
    """Under one of its names, where it has several."""
    headings = {
        name
        for page in (site / "api").rglob("index.html")
        for name in _HEADING.findall(page.read_text())
    }
    public = list(public_names(package))
    shown = {id(value) for name, value in public if name in headings}
    assert len(shown) > 15
    assert not [name for name, value in public if id(value) not in shown]


def test_a_dead_link_and_a_page_outside_the_contents_are_errors(tmp_path):
    for name in ("docs", ".ci", "benchmarks", "results"):
        ignore = shutil.ignore_patterns("__pycache__", "*.json")
        shutil.copytree(_ROOT / name, tmp_path / name, ignore=ignore)
    for name in _PACKAGES:
        (tmp_path / name).symlink_to(_ROOT / name)
    for path in [*_ROOT.glob("*.md"), _ROOT / "mkdocs.yml", _ROOT / "CITATION.cff"]:
        shutil.copy(path, tmp_path)
    for page in (tmp_path / "docs" / "api").iterdir():  # half of the time, and no part of this
        page.write_text("# Names\n")
    (tmp_path / "docs" / "another.md").write_text("# Another\n\n[gone](nowhere.md)\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 1
    assert "nowhere.md" in done.stderr
    assert "another.md" in done.stderr
