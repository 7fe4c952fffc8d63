"""Figure 7: runtime and memory of a training step, relative to SGD and to EKFAC."""

import os
from collections.abc import Callable
from typing import Any

from reproduce import figures, provenance
from reproduce.catalogue import find
from reproduce.dgnopt import problems as problem_list
from reproduce.report import Table

#: What is measured, in the order of the figure.
METHODS: dict[str, dict[str, Any]] = find("dgnopt-figure-7").table["measured"]
#: How far from EKFAC the paper has DGNOpt.
BANDS = {"runtime": 0.4, "memory": 0.3}
#: Small enough that hundreds of steps on one batch leave the weights where they are.
_RATE = 1e-4
_BASES = ("SGD", "EKFAC")
#: Ratios named at the axes.
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10)
_MEMORY = {
    "memory above the imports": (
        "*Peak* is the process's largest resident memory, tracing and compilation included; *net* "
        "is without what TensorFlow, Keras and this library take when they are imported. Ratios "
        "are of net memory: those of the whole peaks lie closer to one."
    ),
    "memory on the GPU": (
        "*Peak* is the process's largest resident main memory; *net* is the largest memory in use "
        "on the GPU after the first step, and ratios are of that."
    ),
}
#: Heading → entry of a row, digits.
_COLUMNS = {
    "CPU ms": ("cpu_ms", 2), "÷ SGD": ("wall_to_SGD", 2), "÷ EKFAC": ("wall_to_EKFAC", 2),
    "CPU ÷ EKFAC": ("cpu_to_EKFAC", 2), "first step (s)": ("first_call_s", 1),
    "peak (MiB)": ("peak_mib", 0), "net (MiB)": ("net_mib", 0),
    "net ÷ SGD": ("net_to_SGD", 2), "net ÷ EKFAC": ("net_to_EKFAC", 2),
}  # fmt: skip


def run(context: Any) -> dict[str, Any]:
    """Measures every method on one batch of every problem, whatever `--jobs` says: alone."""
    from rich import progress

    names = context.settings.get("methods", list(METHODS))
    load = list(os.getloadavg()) if hasattr(os, "getloadavg") else None
    chosen = [problem for _, problem in context.problems(context.settings["kinds"])]
    with progress.Progress() as bar:
        total = len(chosen) * (len(names) + context.settings["rounds"])
        line = bar.add_task("measuring", total=total)
        measured = [_measure(problem, names, context, lambda: bar.advance(line))
                    for problem in chosen]  # fmt: skip
    return {"problems": measured, "load_average": load}


def _measure(
    problem: dict[str, Any], names: list[str], context: Any, tick: Callable[[], Any]
) -> dict[str, Any]:
    from benchmarks import timing
    from reproduce.training import cell, split

    settings = context.settings
    batch = cell.make(**problem, method=METHODS["SGD"], rate=_RATE, steps=1)["batch"]
    data = split.split(problem["data"], batch, 1, 1, problem["data_dir"])
    network = (problem["network"], problem["options"], data.x_train, data.y_train, data.classes)
    makes = {name: (make, (METHODS[name], context.seed, *network)) for name in names}
    found = timing.interleaved(makes, settings["rounds"], settings["cycle"], tick)
    kept = {key: problem[key] for key in ("data", "network", "options")}
    return {"title": problem_list.title(problem), **kept, "batch": batch, "source": data.source,
            "methods": [_row(name, found) for name in names]}  # fmt: skip


def make(
    method: dict[str, Any], seed: int, network: str, options: dict, x: Any, y: Any, classes: int
) -> Callable[[], float]:
    """The training step of a method on a network and one batch."""
    import keras

    from benchmarks import timing
    from reproduce import networks
    from reproduce.training import methods

    keras.utils.set_random_seed(seed)
    model = networks.build(network, x.shape[1:], classes, **options)
    compiled = methods.compiled(model, method, _RATE)
    return timing.stepper(compiled, x, y, eager=method["name"] == "EMSA")


def _row(name: str, found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Milliseconds, ratios by round, and memory of a method."""
    from benchmarks.timing import quartiles

    own = found[name]
    row: dict[str, Any] = {"label": name, "method": METHODS[name]}
    if "error" in own:
        return row | {"error": own["error"]}
    row |= {key: own[key] for key in ("first_call_s", "imports_mib", "peak_mib", "device_mib")}
    row |= {f"{clock}_ms": quartiles(1e3 * own[clock]) for clock in ("wall", "cpu")}
    row["net_mib"] = _net(own)
    for base, other in ((base, found[base]) for base in _BASES if "error" not in found[base]):
        row |= {f"{clock}_to_{base}": quartiles(own[clock] / other[clock])
                for clock in ("wall", "cpu")}  # fmt: skip
        row[f"peak_to_{base}"] = own["peak_mib"] / other["peak_mib"]
        row[f"net_to_{base}"] = _net(own) / _net(other)
    return row


def _net(own: dict[str, Any]) -> float:
    """What a step takes: on the GPU where there is one, or else above the imports."""
    on_device = own["device_mib"]
    return own["peak_mib"] - own["imports_mib"] if on_device is None else on_device


def draw(document: dict[str, Any]) -> Any:
    """Runtime and memory over EKFAC's with the paper's band, a row per problem; log axes."""
    problems = document["results"]["problems"]
    lines = max(len(problem["methods"]) for problem in problems)
    figure, axes = figures.subplots(
        len(problems), 2, figsize=(10.5, (1.3 + 0.27 * lines) * len(problems)), squeeze=False
    )
    names = {"runtime": "runtime of a step, quartiles", "memory": _memory(document)}
    for pair, problem in zip(axes, problems, strict=True):
        rows = [row for row in problem["methods"] if "wall_to_EKFAC" in row]
        for axis, (quantity, band) in zip(pair, BANDS.items(), strict=True):
            axis.axvspan(1 - band, 1 + band, color="#d9d9d9", zorder=0, linewidth=0)
            axis.axvline(1, color="#5a5a5a", linewidth=1, linestyle="--", zorder=1)
            for place, row in enumerate(rows):
                _point(axis, place, row, quantity)
            figures.name_rows(axis, [row["label"] for row in rows])
            axis.set_xscale("log")
            axis.set_xticks(_TICKS, [f"{ratio:g}" for ratio in _TICKS])
            axis.minorticks_off()
            axis.set_xlabel(f"{names[quantity]} ÷ EKFAC's (grey: the paper's ±{100 * band:g} %)")
        pair[0].set_title(problem["title"], loc="left", fontsize=9)
        pair[1].set_yticklabels([])
    return figure


def _point(axis: Any, place: int, row: dict[str, Any], quantity: str) -> None:
    style, value, error = 0 if "structure" in row["method"] else 1, row["net_to_EKFAC"], None
    if quantity == "runtime":
        spread = row["wall_to_EKFAC"]
        value = spread["median"]
        error = [[value - spread["low"]], [spread["high"] - value]]
    figures.point(axis, place, value, error, style)
    axis.annotate(f"{value:.2f}", (value, place), (0, 6), textcoords="offset points",
                  ha="center", fontsize=7.5, color=figures.STYLES[style]["color"])  # fmt: skip


def _memory(document: dict[str, Any]) -> str:
    rows = [row for problem in document["results"]["problems"] for row in problem["methods"]]
    on_device = any(row.get("device_mib") is not None for row in rows)
    return "memory on the GPU" if on_device else "memory above the imports"


def _number(key: str, digits: int) -> Callable[[dict[str, Any]], str]:
    """A cell: a number, or the median, of ratios with the quartiles; empty where there is none."""

    def shown(row: dict[str, Any]) -> str:
        value = row.get(key)
        if not isinstance(value, dict):
            return "" if value is None else f"{value:.{digits}f}"
        ends = "" if key.endswith("_ms") else f" ({value['low']:.2f} to {value['high']:.2f})"
        return f"{value['median']:.2f}{ends}"

    return shown


def summary(document: dict[str, Any]) -> list[Table]:
    """Milliseconds, ratios and memory of every method, a table per problem."""
    time = _number("wall_ms", 2)
    columns = {
        "method": lambda row: row["label"],
        "ms": lambda row: f"failed: {row['error']}" if "error" in row else time(row),
        **{heading: _number(*given) for heading, given in _COLUMNS.items()},
    }
    return [
        Table.of(f"A step of batch {problem['batch']} and its memory, {problem['title']}",
                 problem["methods"], columns)
        for problem in document["results"]["problems"]
    ]  # fmt: skip


def facts(document: dict[str, Any]) -> dict[str, Any]:
    """Of the text: how it is measured."""
    from reproduce.training.methods import FACTOR_DEFAULTS

    load = document["results"]["load_average"]
    return {
        "threads": provenance.threads_shown(document["provenance"]),
        "factors": FACTOR_DEFAULTS,
        "memory": _MEMORY[_memory(document)],
        "busy": "" if load is None else f" The load average at the start was {load[0]:.1f}.",
    }
