"""Rules for the claims of Liu et al. (2021): differences paired by seed, shares of runs, costs."""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import numpy as np

from reproduce.claims.rules import (
    OPEN,
    REFUTED,
    Document,
    Finding,
    above,
    below,
    every,
    share_difference,
)
from reproduce.dgnopt import experiment, figure_9, ladder, seeds
from reproduce.dgnopt import problems as problem_list
from reproduce.dgnopt.comparison import by_label
from reproduce.dgnopt.experiment import difference
from reproduce.dgnopt.seeds import mean_interval

#: What a rule says of a problem: the number, the verdict, and the part of the claim it is about.
Said = tuple[str, str, str]


def problems(document: Document) -> Iterator[tuple[Document, str, str]]:
    """Problems, what each was trained on in words, and its data set and network."""
    for problem in document["results"]["problems"]:
        on = problem["title"].replace(" · ", ", ").replace(", width", "")
        if "steps" in problem:
            on += f", {problem_list.epochs(problem):.1f} epochs"
        yield problem, on, f"{problem['data']}, {problem['network']}"


def per_problem(rule: Callable[..., Iterator[Said]]) -> Callable[..., list[Finding]]:
    """The judge of a document whose rule reads one problem and the settings."""

    @wraps(rule)
    def judge(document: Document, **given: Any) -> list[Finding]:
        return [
            Finding(f"{on}, {part}" if part else on, told, verdict, f"{data}, {part}")
            for problem, on, data in problems(document)
            for told, verdict, part in rule(problem, document["settings"], **given)
        ]

    return judge


def plays(method: Document) -> bool:
    """Whether it is DGNOpt, and no optimizer in open loop."""
    return method["method"].get("structure", "open_loop") != "open_loop"


def mean_accuracy(method: Document) -> float:
    """Over the seeds that finished; minus infinity where none did."""
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
        for game in filter(plays, problem["methods"]):
            verdicts = []
            for other in others:
                change = difference(other, game)
                verdicts.append(above(change.low, change.high))
                if change.lost[1] > change.lost[0]:
                    runs = (len(other["runs"]), len(game["runs"]))
                    least = share_difference(*zip(change.lost, runs, strict=True))[1]
                    verdicts.append(REFUTED if least > 0 else OPEN)
            verdict = every(verdicts) if np.isfinite(mean_accuracy(game)) else REFUTED
            ahead = f"{difference(best, game).shown()} over {best['label']}"
            told = f"{game['label']} {experiment.shown(game)}; {ahead}"
            found.append(Finding(on, told, verdict, f"{data}, {game['label']}"))
    return found


@per_problem
def richer(problem: Document, settings: Document, harmless: float) -> Iterator[Said]:
    """A baseline and the game on it: no loss, and less than `harmless` points at most."""
    methods = by_label(problem)
    changes = [
        difference(methods[label.split(", ")[0]], method)
        for label, method in methods.items()
        if plays(method) and label.split(", ")[0] in methods
    ]
    if changes:
        yield *_counted(changes, -harmless, "changes"), ""


@per_problem
def information(problem: Document, settings: Document) -> Iterator[Said]:
    """Every structure against the first, open loop."""
    first, *others = problem["methods"]
    changes = [difference(first, method) for method in others if method["label"] != "as printed"]
    yield *_counted(changes, 0.0, "changes from open loop"), ""


def _counted(changes: list[seeds.Difference], limit: float, what: str) -> tuple[str, str]:
    """Changes that should all lie above a limit; told by how many are significant."""
    gains = sum(change.low > 0 for change in changes)
    losses = sum(change.high < 0 for change in changes)
    lowest = min(changes, key=lambda change: change.low).shown()
    told = f"{len(changes)} {what}: {gains} significant gains, {losses} losses; lowest {lowest}"
    verdicts = [REFUTED if c.high < 0 else above(c.low, c.high, limit) for c in changes]
    return told, every(verdicts)


@per_problem
def cost(problem: Document, settings: Document, time: float, memory: float) -> Iterator[Said]:
    """Time and memory of every structure within bands around EKFAC's."""
    rows = [row for row in problem["methods"] if plays(row) and "wall_to_EKFAC" in row]
    parts, verdicts = [], []
    for row in rows:
        wall, net = row["wall_to_EKFAC"], row["net_to_EKFAC"]
        name = row["label"].removeprefix("DGNOpt, ")
        parts.append(f"time {100 * wall['median'] - 100:+.0f} %, memory {100 * net - 100:+.0f} % "
                     f"({name})")  # fmt: skip
        for low, high, band in ((wall["low"], wall["high"], time), (net, net, memory)):
            verdicts += [below(low, high, 1 + band), above(low, high, 1 - band)]
    if rows:
        ends = "; ".join(dict.fromkeys((parts[0], parts[-1])))
        yield f"{ends}; {settings['rounds']} rounds", every(verdicts), ""


def learned(columns: list[dict[str, Document]], label: str) -> tuple[int, int]:
    """Runs of a method that learn, and all of them, over some learning rates."""
    runs = [run for methods in columns if label in methods for run in methods[label]["runs"]]
    return sum(ladder.fate(run) == "learned" for run in runs), len(runs)


@per_problem
def survivors(problem: Document, settings: Document, baseline: str, labels: list[str],
              against: str = "", part: str = "") -> Iterator[Said]:  # fmt: skip
    """More runs learn than of the baseline, or of `against`, at the learning rates where most of
    the baseline's runs do not."""
    rungs, against = [rung.methods for rung in ladder.rungs(problem)], against or baseline
    shares = [learned([rung], baseline) for rung in rungs]
    lost = [rung for rung, (good, runs) in zip(rungs, shares, strict=True) if 2 * good < runs]
    labels = [label for label in labels if rungs and label in rungs[0]]
    if not labels or not any(against in methods for methods in rungs):
        return
    base, pairs = learned(lost, against), {label: learned(lost, label) for label in labels}
    verdicts = [above(*share_difference(base, own)[1:]) if own[0] else REFUTED
                for own in pairs.values() if lost]  # fmt: skip
    shown = ", ".join(f"{label.removesuffix(f', {part}')} {own[0]} of {own[1]}"
                      for label, own in pairs.items())  # fmt: skip
    told = f"runs that learn: {against} {base[0]} of {base[1]}, {shown}"
    yield told if lost else f"{baseline} learns at every rate tried", every(verdicts), part


def levels(
    problem: Document, settings: Document
) -> Iterator[tuple[str, str, dict[int, Document], dict[int, Document]]]:
    """The tuned rate and a fraction of it in words, optimizer and rate, agents by N, and the
    optimizer at N times the rate by N."""
    counts = settings["agents"]
    largest = max(counts)
    for level, base in (("tuned rate", 1.0), (f"1/{largest} of the tuned rate", 1.0 / largest)):
        for optimizer in settings["optimizers"]:
            methods = {(m["agents"], round(m["rate_times"], 9)): m
                       for m in problem["methods"] if m["optimizer"] == optimizer}  # fmt: skip
            agents = {n: methods[n, round(base, 9)] for n in counts}
            ordinary = {n: methods[1, round(n * base, 9)] for n in counts}
            yield level, f"{optimizer} at rate {agents[1]['rate']:.3g}", agents, ordinary


@per_problem
def agents(problem: Document, settings: Document) -> Iterator[Said]:
    """Steps to the target accuracy with N agents over those with one, paired by seed."""
    target = figure_9.TARGETS[problem["data"]]
    said: dict[str, list[tuple[str, str]]] = {}
    for level, name, methods, _ in levels(problem, settings):
        steps = {count: seeds.steps_to(method, target) for count, method in methods.items()}
        first = steps.pop(1)
        part, verdict = f"{name}, no N > 1 gets there from every seed", REFUTED
        if np.isinf(first).any():
            part, verdict = f"{name}, N = 1 does not get there from every seed", OPEN
        ratios = {count: mean_interval(np.log(own / first)) for count, own in steps.items()
                  if np.isfinite([own, first]).all()}  # fmt: skip
        if ratios:
            count, (mean, half) = min(ratios.items(), key=lambda pair: pair[1][0])
            low, high = np.exp(mean - half), np.exp(mean + half)
            part = f"{name}, × {np.exp(mean):.2f} [{low:.2f}, {high:.2f}] with N = {count}"
            verdict = below(low, high, 1.0)
        said.setdefault(level, []).append((part, verdict))
    for level, rows in said.items():
        parts = "; ".join(part for part, _ in rows)
        told = f"steps to {target:g} % over those of N = 1: {parts}; n = {len(first)}"
        yield told, every(verdict for _, verdict in rows), level


@per_problem
def adaptive(problem: Document, settings: Document) -> Iterator[Said]:
    """The bandit's alignment against the fixed and the random one."""
    methods = by_label(problem)
    if "adaptive" in methods:
        changes = {name: difference(methods[name], methods["adaptive"])
                   for name in ("fixed", "random") if name in methods}  # fmt: skip
        told = ", ".join(f"{change.shown()} over {name}" for name, change in changes.items())
        yield told, every(above(change.low, change.high) for change in changes.values()), ""


@per_problem
def partition(problem: Document, settings: Document) -> Iterator[Said]:
    """The losses of parts of layers against those of agents, or how many runs diverge."""
    methods = by_label(problem)
    for ours in (method for method in methods.values() if "agents" in method["method"]):
        name, number = ours["optimizer"], ours["method"]["agents"]
        parts, verdicts = [], []
        for form in ("", f", rate × {number}", ", proximal"):
            other = methods.get(f"{name}, {number} parts{form}")
            if other is None:
                continue
            losses = seeds.average_losses(ours), seeds.average_losses(other)
            change = seeds.between(*losses)
            if change.known:
                low, high = change.low, change.high
                told = f"{change.mean:+.2f} ± {change.half:.2f} nats (n = {change.pairs})"
            else:
                first, second = zip(change.lost, map(len, losses), strict=True)
                _, low, high = share_difference(first, second)
                told = f"{second[0]} of {second[1]} diverge"
            verdicts.append(above(low, high))
            parts.append(f"{number} parts{form}: {told}")
        yield f"{name}, against {number} agents: {'; '.join(parts)}", every(verdicts), ""
