"""The code blocks of the documentation run, top to bottom, one namespace a page."""

import re
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", ["sample_space.md", "dgnopt_extend.md"])
def test_the_code_of_a_page_runs(page):
    text = (PAGES / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert blocks
    namespace: dict = {"__name__": page}
    for block in blocks:
        exec(compile(block, page, "exec"), namespace)
