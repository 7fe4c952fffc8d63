"""The notebooks are committed without output, and their cells run, here at a tiny budget."""

import json
import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_NOTEBOOKS = sorted((_ROOT / "docs" / "notebooks").glob("*.ipynb"))
#: What the cell of parameters is replaced by.
_TINY = {
    "own_game": "TIME_STEPS, STAGES, STEPS, CERTIFICATE_STEPS, PATHS = 2, 1, 2, 2, 16",
    "training": "BLOCKS, EPOCHS, SAMPLES = 1, 1, 128",
}


def code_cells(path):
    cells = json.loads(path.read_text())["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


@pytest.mark.parametrize("path", _NOTEBOOKS, ids=lambda path: path.stem)
def test_the_cells_run_one_after_another(path, tmp_path, monkeypatch):
    from matplotlib import pyplot

    monkeypatch.chdir(tmp_path)
    namespace: dict = {"__name__": "__main__"}
    for number, cell in enumerate(code_cells(path)):
        tiny = "parameters" in cell["metadata"].get("tags", [])
        source = _TINY[path.stem] if tiny else "".join(cell["source"])
        exec(compile(source, f"{path.name}, cell {number}", "exec"), namespace)
    pyplot.close("all")


@pytest.mark.parametrize("path", _NOTEBOOKS, ids=lambda path: path.stem)
def test_they_are_committed_without_output(path):
    cells = code_cells(path)
    assert not any(cell["outputs"] or cell["execution_count"] for cell in cells)
    (parameters,) = (cell for cell in cells if "parameters" in cell["metadata"].get("tags", []))
    names = re.compile(r"^([A-Z_, ]+) = ", re.M)
    assert names.findall("".join(parameters["source"])) == names.findall(_TINY[path.stem])


def test_both_notebooks_are_here():
    assert {path.stem for path in _NOTEBOOKS} == set(_TINY)
