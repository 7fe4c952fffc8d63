"""Claims of Liu et al. (2021): differences paired by seed, shares of runs, costs of a step."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from reproduce.claims.rules import (
    OPEN,
    REFUTED,
    SUPPORTED,
    Document,
    Finding,
    above,
    below,
    every,
    mean_interval,
    share_difference,
)
from reproduce.dgnopt import curves, experiment, figure_9, ladder
from reproduce.dgnopt import problems as problem_list

#: Percentage points below which a loss of accuracy counts as none.
HARMLESS = 0.5


def problems(document: Document) -> Iterator[tuple[Document, str, str]]:
    """Problems, what each was trained on in words, and its data set and network."""
    for problem in document["results"]["problems"]:
        on = problem["title"].replace(" · ", ", ").replace(", width", "")
        if "steps" in problem:
            on += f", {problem_list.epochs(problem):.1f} epochs"
        yield problem, on, f"{problem['data']}, {problem['network']}"


def plays(method: Document) -> bool:
    """Whether it is DGNOpt, and no optimizer in open loop."""
    return method["method"].get("structure", "open_loop") != "open_loop"


def change(first: Document, second: Document) -> tuple[float, float, Document]:
    """The interval of a paired change of accuracy; without bounds where no noise is known."""
    changed = experiment.difference(first, second)
    if changed["change"] is None:
        return -np.inf, np.inf, changed
    half = np.inf if changed["noise"] is None else changed["noise"]
    return changed["change"] - half, changed["change"] + half, changed


def told_change(changed: Document) -> str:
    if changed["change"] is None:
        return "no pair of finished runs"
    noise = "" if changed["noise"] is None else f" ± {changed['noise']:.2f}"
    return f"{round(changed['change'], 2) + 0.0:+.2f}{noise} (n = {changed['pairs']})"


def mean_accuracy(method: Document) -> float:
    values = experiment.accuracies(method)
    return float(np.nanmean(values)) if np.isfinite(values).any() else -np.inf


def baselines(problem: Document) -> list[Document]:
    """The paper's: Muon is younger."""
    return [method for method in problem["methods"]
            if not plays(method) and method["label"] != "Muon"]  # fmt: skip


def improves(document: Document) -> list[Finding]:
    """Every DGNOpt of a table against every baseline; the best of these is told."""
    found: list[Finding] = []
    for problem, on, data in problems(document):
        others = baselines(problem)
        best = max(others, key=mean_accuracy)
        for game in (method for method in problem["methods"] if plays(method)):
            verdicts = []
            for other in others:
                low, high, changed = change(other, game)
                more = changed["lost"][1] > changed["lost"][0]
                found_here = above(low, high)
                verdicts.append(OPEN if more and found_here == SUPPORTED else found_here)
            if not any(np.isfinite(experiment.accuracies(game))):
                verdicts = [REFUTED]
            ahead = told_change(change(best, game)[2])
            told = f"{game['label']} {experiment.shown(game)}; {ahead} over {best['label']}"
            found.append(Finding(on, told, every(verdicts), f"{data}, {game['label']}"))
    return found


def richer(document: Document) -> list[Finding]:
    found = []
    for problem, on, data in problems(document):
        methods = {method["label"]: method for method in problem["methods"]}
        changes = [
            change(methods[label.split(", ")[0]], method)
            for label, method in methods.items()
            if plays(method) and label.split(", ")[0] in methods
        ]
        if changes:
            found.append(_counted(on, data, changes, -HARMLESS, "changes"))
    return found


def _counted(on: str, data: str, changes: list, limit: float, what: str) -> Finding:
    """Changes that should all lie above a limit; told by how many are significant."""
    gains = sum(low > 0 for low, _, _ in changes)
    losses = sum(high < 0 for _, high, _ in changes)
    widest = min(changes, key=lambda change: change[0])[2]
    told = (f"{len(changes)} {what}: {gains} significant gains, {losses} losses; lowest "
            f"{told_change(widest)}")  # fmt: skip
    verdict = every(REFUTED if high < 0 else above(low, high, limit) for low, high, _ in changes)
    return Finding(on, told, verdict, data)


def information(document: Document) -> list[Finding]:
    found = []
    for problem, on, data in problems(document):
        first, *others = problem["methods"]
        changes = [change(first, method) for method in others if method["label"] != "as printed"]
        found.append(_counted(on, data, changes, 0.0, "changes from open loop"))
    return found


def cost(document: Document) -> list[Finding]:
    found = []
    for problem, on, data in problems(document):
        rows = [row for row in problem["methods"] if plays(row) and "wall_to_EKFAC" in row]
        parts, verdicts = [], []
        for row in rows:
            wall, memory = row["wall_to_EKFAC"], row["net_to_EKFAC"]
            name = row["label"].removeprefix("DGNOpt, ")
            parts.append(
                f"{100 * wall['median'] - 100:+.0f} %, {100 * memory - 100:+.0f} % ({name})"
            )
            for low, high, band in ((wall["low"], wall["high"], 0.4), (memory, memory, 0.3)):
                verdicts += [below(low, high, 1 + band), above(low, high, 1 - band)]
        if rows:
            told = "; ".join(dict.fromkeys((parts[0], parts[-1])))
            told += f"; {document['settings']['rounds']} rounds"
            found.append(Finding(on, told, every(verdicts), data))
    return found


def _learned(method: Document) -> tuple[int, int]:
    return sum(ladder.fate(run) == "learned" for run in method["runs"]), len(method["runs"])


def pooled(problem: Document, label: str, columns: list) -> tuple[int, int]:
    counts = [_learned(methods[label]) for methods in columns if label in methods]
    return sum(count for count, _ in counts), sum(count for _, count in counts)


def _survivors(
    document: Document, baseline: str, groups: Mapping[str, Sequence[str]], against: str = ""
) -> list[Finding]:
    """Runs that learn at the learning rates where most of the baseline's runs do not, a finding
    per group of labels, against the baseline or another method there."""
    found = []
    against = against or baseline
    for problem, on, data in problems(document):
        rungs = [rung.methods for rung in ladder.rungs(problem)]
        lost = []
        for methods in rungs:
            learned, runs = _learned(methods[baseline]) if baseline in methods else (1, 1)
            if 2 * learned < runs:
                lost.append(methods)
        base = pooled(problem, against, lost)
        for group, chosen in groups.items():
            labels = [label for label in chosen if rungs and label in rungs[0]]
            if not labels or not any(against in methods for methods in rungs):
                continue
            pairs = {label: pooled(problem, label, lost) for label in labels}
            parts = [f"{label.removesuffix(f', {group}')} {own[0]} of {own[1]}"
                     for label, own in pairs.items()]  # fmt: skip
            verdicts = [
                above(*share_difference(base, own)[1:]) if own[0] else REFUTED
                for own in pairs.values()
                if lost
            ]
            told = f"runs that learn: {against} {base[0]} of {base[1]}, {', '.join(parts)}"
            told = told if lost else f"{baseline} learns at every rate tried"
            place = f"{on}, {group}" if group else on
            found.append(Finding(place, told, every(verdicts), f"{data}, {group}"))
    return found


def large_rates(document: Document) -> list[Finding]:
    forms = document["settings"]["forms"]
    groups = {form: [f"{name}, {form}" for name in ("FNE", "GR", "FNE = GR")] for form in forms}
    return _survivors(document, "baseline", groups)


def larger_rates(document: Document) -> list[Finding]:
    ours, printed = ("ours", "GR, exact", "FNE"), ("as printed",)
    clip = "open loop, KL clip"
    return [
        *_survivors(document, "open loop", {"": ours, "as printed": printed}),
        *_survivors(document, "open loop", {"against the KL clip": ours}, clip),
    ]


def ladders(document: Document) -> Iterator[tuple[float, str, str, str, dict, dict]]:
    """Target, `on`, data, optimizer and rate, agents by N, the optimizer at N times the rate by N,
    at the tuned rate and at a fraction of it."""
    counts = document["settings"]["agents"]
    for problem, on, data in problems(document):
        for level, base in (
            ("tuned rate", 1.0),
            (f"1/{max(counts)} of the tuned rate", 1.0 / max(counts)),
        ):
            for optimizer in document["settings"]["optimizers"]:
                own = [m for m in problem["methods"] if m["optimizer"] == optimizer]
                methods = {(m["agents"], round(m["rate_times"], 9)): m for m in own}
                agents = {n: methods[n, round(base, 9)] for n in counts}
                ordinary = {n: methods[1, round(n * base, 9)] for n in counts}
                name = f"{optimizer} {agents[1]['rate']:.3g}"
                yield (
                    figure_9.TARGETS[problem["data"]],
                    f"{on}, {level}",
                    f"{data}, {level}",
                    name,
                    agents,
                    ordinary,
                )


def agents(document: Document) -> list[Finding]:
    """Steps to the target accuracy with N agents over those with one, paired by seed."""
    told: dict[tuple[str, str], list] = {}
    for target, on, data, name, agents, _ in ladders(document):
        first = curves.steps_to(agents[1], target)
        part = f"{name} no N > 1"
        verdict = OPEN if np.isinf(first).any() else REFUTED
        lowest = np.inf
        for count, method in agents.items():
            steps = curves.steps_to(method, target)
            both = np.isfinite(steps) & np.isfinite(first)
            if count == 1 or not both.all():
                continue
            mean, half = mean_interval(np.log(steps / first))
            if mean < lowest:
                low, lowest, high = np.exp(mean - half), mean, np.exp(mean + half)
                part = f"{name} × {np.exp(mean):.2f} [{low:.2f}, {high:.2f}] (N = {count})"
                verdict = below(low, high, 1.0)
        told.setdefault((on, data), []).append((target, part, verdict, len(first)))
    return [
        Finding(on, f"steps to {rows[0][0]:g} %: {', '.join(row[1] for row in rows)}; "
                f"n = {rows[0][3]}", every(row[2] for row in rows), data)
        for (on, data), rows in told.items()
    ]  # fmt: skip


def adaptive(document: Document) -> list[Finding]:
    found = []
    for problem, on, data in problems(document):
        methods = {method["label"]: method for method in problem["methods"]}
        if "adaptive" not in methods:
            continue
        changes = {name: change(methods[name], methods["adaptive"])
                   for name in ("fixed", "random") if name in methods}  # fmt: skip
        told = ", ".join(f"{told_change(c)} over {name}" for name, (*_, c) in changes.items())
        verdict = every(above(low, high) for low, high, _ in changes.values())
        found.append(Finding(on, told, verdict, data))
    return found


def partition(document: Document) -> list[Finding]:
    number = document["settings"]["number"]
    found = []
    for problem, on, data in problems(document):
        methods = {method["label"]: method for method in problem["methods"]}
        for name in document["settings"]["methods"]:
            agents = methods[f"{name}, {number} agents (16)"]
            parts, verdicts = [], []
            for label in (f"{number} parts", f"{number} parts, rate × {number}",
                          f"{number} parts, proximal"):  # fmt: skip
                other = methods.get(f"{name}, {label}")
                if other is None:
                    continue
                losses = curves.average_losses(other)
                changed = experiment.paired_difference(curves.average_losses(agents), losses)
                lost = int(np.isnan(losses).sum())
                if changed["noise"] is not None:
                    low, high = (changed["change"] + sign * changed["noise"] for sign in (-1, 1))
                    verdicts.append(above(low, high))
                    parts.append(f"{label}: {changed['change']:+.2f} ± {changed['noise']:.2f} nats "
                                 f"(n = {changed['pairs']})")  # fmt: skip
                else:
                    counted = curves.average_losses(agents), losses
                    shares = ((int(np.isnan(each).sum()), len(each)) for each in counted)
                    _, low, high = share_difference(*shares)
                    verdicts.append(above(low, high))
                    parts.append(f"{label}: {lost} of {len(losses)} diverge")
            told = f"{name}, against {number} agents: {'; '.join(parts)}"
            found.append(Finding(on, told, every(verdicts), data))
    return found
