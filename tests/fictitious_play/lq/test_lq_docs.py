"""The code in the documentation runs."""

import pathlib
import re

DOCUMENT = pathlib.Path(__file__).parents[3] / "docs" / "linear_quadratic.md"


def test_code_blocks_run_one_after_another():
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 8
    names: dict = {}
    for number, block in enumerate(blocks):
        exec(compile(block, f"{DOCUMENT.name}, block {number}", "exec"), names)
