"""What is trained on what, as `problems.toml` has it."""

import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from reproduce import data

_TABLE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
#: The kinds of problems.
KINDS = tuple(_TABLE["kinds"])
#: What a problem's entries say of its data set, and not of its cells.
_MARKS = ("optional", "instead")
#: Names of data sets in titles.
DATA_TITLES = {name: given["title"] for name, given in _TABLE["sets"].items()}


def _problem(on: str, network: str, **options: Any) -> dict[str, Any]:
    """A row of the table, with the options that all networks of a name have."""
    options = {**_TABLE["networks"].get(network, {}), **options}
    return {**_TABLE["on"][on], "network": network, "options": options}


_PROBLEMS = {
    kind: {preset: [_problem(**row) for row in rows] for preset, rows in presets.items()}
    for kind, presets in _TABLE["kinds"].items()
}


def epochs(problem: dict[str, Any]) -> float:
    """How often a run sees its training images: `steps` × `batch` over their number."""
    images = problem.get("train") or _TABLE["sets"][problem["data"]]["images"]
    return problem["steps"] * problem["batch"] / images


def problems(
    preset: str, kinds: Sequence[str], data_dir: str | None = None, only: Sequence[str] = ()
) -> list[tuple[str, dict[str, Any]]]:
    """Problems of some `KINDS`: dictionaries with the entries of a cell that say what is trained on
    what, each with its kind.

    Data sets that are neither in `data_dir` nor can be downloaded are left out, and those that
    `only` does not name, where it names some; optional ones are not downloaded, and what stands in
    for them is left out where they are there. A ValueError where nothing is left."""
    chosen: list[tuple[str, dict[str, Any]]] = []
    failed: ValueError | None = None
    for kind in kinds:
        count = len(chosen)
        for problem in _PROBLEMS[kind][preset]:
            name = problem["data"]
            if (only and name not in only) or (problem.get("instead") and len(chosen) > count):
                continue
            if not data.available(name, data_dir):
                if problem.get("optional"):
                    continue
                try:
                    data.load(name, data_dir)
                except ValueError as error:
                    failed = failed or error
                    continue
            wanted = {key: value for key, value in problem.items() if key not in _MARKS}
            chosen.append((kind, {**wanted, "data_dir": data_dir}))
    if not chosen:
        raise failed or ValueError(
            f"`--only` must name data sets that this item trains on at the preset {preset}: "
            f"{', '.join(_wanted(preset, kinds))}. Received: {','.join(only)}"
        )
    return chosen


def absent(preset: str, data_dir: str | None, only: Sequence[str] = ()) -> list[str]:
    """Sentences on the data sets that a preset wants and that are not here; a ValueError for an
    unknown one in `only`, or a `data_dir` that is no folder."""
    for name in only:
        if name not in data.NAMES:
            raise ValueError(
                f"`--only` must name data sets: {', '.join(data.NAMES)}. Received: {name!r}"
            )
    names = [name for name in _wanted(preset, KINDS) if not only or name in only]
    missing = [DATA_TITLES[name] for name in names if not data.available(name, data_dir)]
    what = "left out" if data_dir else "what cannot be downloaded is left out"
    what = "digits are trained on instead" if preset == "quick" else what
    told = f"Not here: {', '.join(missing)}; {what} (`./run data` says how to get them)."
    return [told] if missing else []


def _wanted(preset: str, kinds: Iterable[str]) -> list[str]:
    """Names of the data sets that some kinds train on at a preset."""
    rows = (problem for kind in kinds for problem in _PROBLEMS[kind].get(preset, []))
    return list(dict.fromkeys(problem["data"] for problem in rows))


def title(problem: dict[str, Any]) -> str:
    """A problem in a few words: data set, how much of it, network."""
    options = problem["options"]
    blocks, shortcut = options.get("blocks"), options.get("shortcut", "identity")
    some = f", {problem['train']:,} images" if problem.get("train") else ""
    return ", ".join(filter(None, (
        f"{DATA_TITLES[problem['data']]}{some} · {problem['network']}",
        f"width {options['width']}" if "width" in options else "",
        f"{blocks} block{'s' * (blocks > 1)}" if blocks else "",
        f"{shortcut} shortcuts" if shortcut != "identity" else "",
        "dense players" if options.get("kind") == "dense" else "",
    )))  # fmt: skip
