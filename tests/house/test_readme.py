"""Every Python block of the README and the documentation runs as it stands."""

import re
from pathlib import Path

import pytest

from reproduce.data import places

_ROOT = Path(__file__).resolve().parents[2]
_PAGES = [_ROOT / "README.md", *sorted((_ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_the_blocks_of_a_page_run_one_after_another(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(places, "KNOWN", dict(places.KNOWN))  # a page registers a set of its own
    namespace: dict = {"__name__": "__page__"}
    for block in _BLOCK.finditer(page.read_text()):
        line = page.read_text()[: block.start()].count("\n") + 2
        code = compile("\n" * (line - 1) + block.group(1), str(page), "exec")
        exec(code, namespace)


def test_the_readme_has_examples():
    assert len(_BLOCK.findall((_ROOT / "README.md").read_text())) >= 2


def test_links_between_the_pages_lead_somewhere():
    for page in [*_PAGES, _ROOT / "RESULTS.md"]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
