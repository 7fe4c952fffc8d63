"""Problems × methods × seeds: the cells of an item, run and put together."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from reproduce import provenance
from reproduce.dgnopt import paired, rates
from reproduce.dgnopt import problems as problem_list
from reproduce.training import cell as cell_of
from reproduce.training import cells

#: Test images that an accuracy is measured on, where a result does not say: of the results that
#: do not, none has more.
FEWEST_IMAGES = 10_000
_KEPT = ("accuracy", "loss", "diverged", "seconds", "cpu_seconds", "why", "error", "arms", "made")


def entry(label: str, method: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A method of an item.

    Args:
        label: its name in tables and legends.
        method: as `reproduce.training.methods` takes it.
        more: `rate` to fix the learning rate, or `rate_of`, the method of the rate search whose
            rate it takes (by default the method's own name); `rate_times`, a factor on that rate;
            `seeds` to cap their number; `paper`, the paper's value. Others are kept in the result.
    """
    return {"label": label, "method": method, **more}


def rows_for(
    rows: Sequence[dict[str, Any]], settings: dict[str, Any], kind: str
) -> list[dict[str, Any]]:
    """The rows of methods that train on a kind of problems, without their `kinds`; where settings
    name `methods` or `optimizers`, those alone. `seeds` is the number of the setting it names."""
    found = []
    for row in rows:
        named = (("methods", "label"), ("optimizers", "optimizer"))
        chosen = all(row[key] in settings[name] for name, key in named if name in settings)
        if chosen and kind in row.get("kinds", (kind,)):
            capped = {"seeds": settings[row["seeds"]]} if "seeds" in row else {}
            found.append({key: row[key] for key in row if key != "kinds"} | capped)
    return found


def experiment(
    context: Any,
    kind: str | Sequence[dict[str, Any]],
    entries: Sequence[dict[str, Any]],
    **settings: Any,
) -> list[dict[str, Any]]:
    """Trains every entry on every problem of a kind.

    Args:
        context: of the item; its settings give `seeds` and `steps`, a number or one a data set,
            and `problems`, how many of the kind to train on, where that is not all.
        kind: of `problems`, or problems.
        entries: made by `entry`.
        settings: further entries of the cells, such as `decay`.

    Returns:
        A dictionary per problem: `title`, `data`, `network`, `options`, `source`, `train`, `steps`,
        `batch`, `methods`: for every entry its `label`, `method`, `rate`, `rate_from`, `seeds`, and
        `runs`, a dictionary per seed with `accuracy` (percent on the test images), `loss`, `curve`,
        `diverged`, `cpu_seconds`, or `error`.
    """
    chosen: Sequence[dict[str, Any]] = (
        [problem for _, problem in context.problems([kind])] if isinstance(kind, str) else kind
    )
    chosen = chosen[: context.settings.get("problems")]
    seeds = context.settings["seeds"]
    plan = []
    for problem in chosen:
        steps = steps_on(context.settings, problem["data"])
        for given in entries:
            rate, origin = rates.rate_for(context, problem, given)
            count = min(seeds, given.get("seeds", seeds))
            made = [
                cell_of.make(**{**problem, **settings}, method=given["method"], rate=rate,
                             steps=steps, seed=seed)
                for seed in range(context.seed, context.seed + count)
            ]  # fmt: skip
            plan.append((problem, given, rate, origin, made))
    results = iter(cells.run([cell for *_, made in plan for cell in made], context, "training"))
    documents: dict[int, dict[str, Any]] = {}
    for problem, given, rate, origin, made in plan:
        document = documents.setdefault(id(problem), _describe(problem, made[0]))
        method = {**given, "rate": rate, "rate_from": origin, "seeds": len(made), "runs": []}
        for cell in made:
            result = next(results)
            kept = {key: result[key] for key in _KEPT if key in result}
            curve = _rounded(result.get("curve"))
            method["runs"].append({"seed": cell["seed"], **kept, "curve": curve})
            document["source"] = result.get("source", document.get("source"))
            method |= {key: result[key] for key in ("images",) if key in result}
        document["methods"].append(method)
    return list(documents.values())


def runs_of(document: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Every run of a document, with its method."""
    return [(method, run) for problem in document["results"]["problems"]
            for method in problem["methods"] for run in method["runs"]]  # fmt: skip


def revisions_shown(document: dict[str, Any]) -> str:
    """A sentence on the runs that other code made than what is here now; empty without any."""
    old: dict[str, list[str]] = {}
    count = 0
    for method, run in runs_of(document):
        made = run.get("made", {})
        if made.get("code") != provenance.code(*cells.sources(method["method"])):
            revision = made.get("revision") or run.get("revision")
            old.setdefault(revision or document["provenance"]["revision"], []).append(
                method["label"]
            )
            count += 1
    if not old:
        return ""
    if count == len(runs_of(document)):
        return f" The training code has changed since these runs, of revision {', '.join(old)}."
    told = "; ".join(f"{', '.join(dict.fromkeys(names))} at {r}" for r, names in old.items())
    return f" The training code has changed since these runs: {told}."


def steps_on(settings: dict[str, Any], data: str) -> int:
    """Steps of a run on a data set."""
    steps = settings["steps"]
    return steps[data] if isinstance(steps, dict) else steps


def steps_shown(document: dict[str, Any]) -> str:
    """`150 steps (1.9 epochs)`, and on which data where they differ."""
    found: dict[str, list[str]] = {}
    for problem in document["results"]["problems"]:
        text = f"{problem['steps']:,} steps ({problem_list.epochs(problem):.2g} epochs)"
        names = found.setdefault(text, [])
        if (name := problem_list.DATA_TITLES[problem["data"]]) not in names:
            names.append(name)
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{text} on {' and '.join(names)}" for text, names in found.items())


def _describe(problem: dict[str, Any], cell: dict[str, Any]) -> dict[str, Any]:
    shown = {k: cell[k] for k in ("data", "network", "options", "train", "steps", "batch", "decay")}
    return {"title": problem_list.title(problem), **shown, "methods": []}


def _rounded(curve: dict[str, list] | None) -> dict[str, list] | None:
    if curve is None:
        return None
    return {
        "step": curve["step"],
        "loss": [None if value is None else float(f"{value:.5g}") for value in curve["loss"]],
        "accuracy": [round(value, 3) for value in curve["accuracy"]],
    }


def accuracies(method: dict[str, Any]) -> np.ndarray:
    """Percent for every seed; NaN where the run diverged or failed."""
    return np.array([
        np.nan if "error" in run or run["diverged"] else run["accuracy"] for run in method["runs"]
    ])  # fmt: skip


def spread(values: np.ndarray, digits: int = 2) -> str:
    """`mean ± standard deviation (seeds)` of the finite ones; empty where there is none."""
    good = values[np.isfinite(values)]
    error = f" ± {np.std(good, ddof=1):.{digits}f}" if len(good) > 1 else ""
    return f"{np.mean(good):.{digits}f}{error} ({len(good)})" if len(good) else ""


def shown(method: dict[str, Any]) -> str:
    """The `spread` of the accuracy, with divergences and failures counted."""
    failed = sum("error" in run for run in method["runs"])
    diverged = sum(bool(run.get("diverged")) for run in method["runs"])
    lost = [f"{count} {word}" for count, word in ((diverged, "diverged"), (failed, "failed"))
            if count]  # fmt: skip
    return ", ".join(filter(None, [spread(accuracies(method)), *lost]))


def difference(first: dict[str, Any], second: dict[str, Any]) -> paired.Difference:
    """The change of accuracy from the first method to the second, in percentage points, known to
    a test image."""
    image = max(100.0 / method.get("images", FEWEST_IMAGES) for method in (first, second))
    return paired.between(accuracies(first), accuracies(second), image)
