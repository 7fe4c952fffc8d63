"""Problems × methods × seeds: the cells of an item, run and put together."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from reproduce import provenance
from reproduce.dgnopt import problems as problem_list
from reproduce.dgnopt import rates, seeds
from reproduce.dgnopt.seeds import accuracies, spread
from reproduce.training import cell as cell_of
from reproduce.training import cells

#: Test images that an accuracy is measured on, where a result does not say: of the results that
#: do not, none has more.
FEWEST_IMAGES = 10_000
_KEPT = ("accuracy", "loss", "diverged", "seconds", "cpu_seconds", "why", "error", "arms", "made")
_SHOWN = ("data", "network", "options", "train", "steps", "batch", "decay")


def rows_for(
    rows: Sequence[dict[str, Any]], settings: dict[str, Any], kind: str
) -> list[dict[str, Any]]:
    """The methods of an item that train on a kind of problems; where the preset's settings name
    `methods` or `optimizers`, those alone.

    A row has `label`, its name in tables and legends; `method`, as `reproduce.training.methods`
    takes it; where wanted `rate` to fix the learning rate, or `rate_of`, the method of the rate
    search whose rate it takes (by default the method's own name); `rate_times`, a factor on that
    rate; `kinds`, of the problems that it trains on; `seeds`, the setting that caps their number.
    Others are kept in the result."""
    found = []
    for row in rows:
        named = (("methods", "label"), ("optimizers", "optimizer"))
        chosen = all(row[key] in settings[name] for name, key in named if name in settings)
        if chosen and kind in row.get("kinds", (kind,)):
            capped = {"seeds": settings[row["seeds"]]} if "seeds" in row else {}
            found.append({key: row[key] for key in row if key != "kinds"} | capped)
    return found


def experiment(
    context: Any, kinds: Sequence[str], rows: Callable[[str], Iterable[dict[str, Any]]], **more: Any
) -> dict[str, Any]:
    """Trains every method on every problem of some kinds.

    The context's settings give `seeds` and `steps`, a number or one per data set, and, where it is
    not all, `problems`, how many to train on; `rows` maps a kind to methods, as `rows_for` gives
    them; `more` are further entries of the cells, such as `decay`.

    Returns `problems`, a dictionary each: `title`, `data`, `network`, `options`, `source`, `train`,
    `steps`, `batch`, `methods`: for every row its `label`, `method`, `rate`, `rate_from`, `seeds`,
    and `runs`, a dictionary per seed with `accuracy` (percent on the test images), `loss`, `curve`,
    `diverged`, `cpu_seconds`, or `error`."""
    settings, plan = context.settings, []
    for kind, problem in context.problems(list(kinds))[: settings.get("problems")]:
        steps = settings["steps"]
        steps = steps[problem["data"]] if isinstance(steps, dict) else steps
        document: dict[str, Any] = {}
        for given in rows(kind):
            rate, origin = rates.rate_for(context, problem, given)
            count = min(settings["seeds"], given.get("seeds", settings["seeds"]))
            made = [
                cell_of.make(**{**problem, **more}, method=given["method"], rate=rate, steps=steps,
                             seed=seed)
                for seed in range(context.seed, context.seed + count)
            ]  # fmt: skip
            shared = {key: made[0][key] for key in _SHOWN}
            document |= {"title": problem_list.title(problem), **shared}
            plan.append((document, {**given, "rate": rate, "rate_from": origin}, made))
    results = iter(cells.run([cell for *_, made in plan for cell in made], context, "training"))
    for document, method, made in plan:
        method |= {"seeds": len(made), "runs": []}
        document.setdefault("methods", []).append(method)
        for cell in made:
            result = next(results)
            kept = {key: result[key] for key in _KEPT if key in result}
            curve = _rounded(result.get("curve"))
            method["runs"].append({"seed": cell["seed"], **kept, "curve": curve})
            document["source"] = result.get("source", document.get("source"))
            method |= {key: result[key] for key in ("images",) if key in result}
    return {"problems": list({id(document): document for document, *_ in plan}.values())}


def revisions_shown(document: dict[str, Any]) -> str:
    """A sentence on the runs that other code made than what is here now; empty without any."""
    runs = [(method, run) for problem in document["results"]["problems"]
            for method in problem["methods"] for run in method["runs"]]  # fmt: skip
    old: dict[str, list[str]] = {}
    for method, run in runs:
        made = run.get("made", {})
        if made.get("code") != provenance.code(*cells.sources(method["method"])):
            revision = made.get("revision") or run.get("revision")
            revision = revision or document["provenance"]["revision"]
            old.setdefault(revision, []).append(method["label"])
    if not old:
        return ""
    told = ": " + "; ".join(f"{', '.join(dict.fromkeys(own))} at {r}" for r, own in old.items())
    if sum(map(len, old.values())) == len(runs):
        told = f", of revision {', '.join(old)}"
    return f" The training code has changed since these runs{told}."


def steps_shown(problems: list[dict[str, Any]]) -> str:
    """`150 steps (1.9 epochs)`, and on which data where they differ."""
    found: dict[str, dict[str, None]] = {}
    for problem in problems:
        text = f"{problem['steps']:,} steps ({problem_list.epochs(problem):.2g} epochs)"
        found.setdefault(text, {})[problem_list.DATA_TITLES[problem["data"]]] = None
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{text} on {' and '.join(names)}" for text, names in found.items())


def _rounded(curve: dict[str, list] | None) -> dict[str, list] | None:
    return curve and {
        "step": curve["step"],
        "loss": [None if value is None else float(f"{value:.5g}") for value in curve["loss"]],
        "accuracy": [round(value, 3) for value in curve["accuracy"]],
    }


def shown(method: dict[str, Any]) -> str:
    """The `spread` of the accuracy, with divergences and failures counted."""
    failed = sum("error" in run for run in method["runs"])
    diverged = sum(bool(run.get("diverged")) for run in method["runs"])
    lost = [f"{count} {word}" for count, word in ((diverged, "diverged"), (failed, "failed"))
            if count]  # fmt: skip
    return ", ".join(filter(None, [spread(accuracies(method)), *lost]))


def difference(
    first: dict[str, Any], second: dict[str, Any], of: Callable[..., np.ndarray] = accuracies
) -> seeds.Difference:
    """The change of accuracy from the first method to the second, in percentage points, known to
    a test image; `of` is of a method, for every seed."""
    image = max(100.0 / method.get("images", FEWEST_IMAGES) for method in (first, second))
    return seeds.between(of(first), of(second), image)
