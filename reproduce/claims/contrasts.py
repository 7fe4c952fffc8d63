"""What contradicts Liu et al. (2021): sentences from the records, where these show it."""

import numpy as np

from reproduce.claims.rules import Contrast, Document, share_difference
from reproduce.claims.training import (
    baselines,
    change,
    ladders,
    mean_accuracy,
    pooled,
    problems,
    told_change,
)
from reproduce.dgnopt import ladder


def _where(on: str) -> str:
    """Data and network."""
    return ", ".join(on.split(", ")[:2])


def _emsa(documents: list[Document]) -> str | None:
    told = []
    for document in documents:
        for problem, on, _ in problems(document):
            ranked = sorted(baselines(problem), key=mean_accuracy, reverse=True)
            if ranked[0]["label"] == "EMSA" and len(ranked) > 1:
                ahead = mean_accuracy(ranked[0]) - mean_accuracy(ranked[1])
                told.append(f"{ahead:.1f} points ahead of {ranked[1]['label']} ({_where(on)})")
    if not told:
        return None
    return f"EMSA, mostly the paper's weakest method, is the best baseline: {'; '.join(told)}."


def _muon(documents: list[Document]) -> str | None:
    told = []
    for document in documents:
        for problem, on, _ in problems(document):
            methods = {method["label"]: method for method in problem["methods"]}
            if "Muon" in methods and "DGNOpt" in methods:
                low, _, changed = change(methods["DGNOpt"], methods["Muon"])
                if low > 0:
                    told.append(f"{told_change(changed)}, {_where(on)}")
    if not told:
        return None
    return f"Muon, younger than the paper, is ahead of DGNOpt: {'; '.join(told)}."


def _feedback_term(documents: list[Document]) -> str | None:
    told = []
    for document in documents:
        for problem, on, _ in problems(document):
            columns = [rung.methods for rung in ladder.rungs(problem)]
            labels = [label for label in columns[0] if label.endswith("proximal")]
            own, other = (
                np.sum([pooled(problem, f"{label}{more}", columns) for label in labels], axis=0)
                for more in ("", ", without K δx")
            )
            low = share_difference(other, own)[1]
            if low <= 0 and own[0] + other[0]:
                told.append(f"{own[0]} of {own[1]} proximal runs learn with it, {other[0]} of "
                            f"{other[1]} without ({_where(on)})")  # fmt: skip
    return f"K δx is not what saves runs at large rates: {'; '.join(told)}." if told else None


def _learning_rate(documents: list[Document]) -> str | None:
    found = [
        (*change(ordinary[n], agents[n]), name, _where(on))
        for document in documents
        for _, on, _, name, agents, ordinary in ladders(document)
        for n in agents if n > 1
    ]  # fmt: skip
    known = [row for row in found if np.isfinite(row[0])]
    if not known:
        return None
    out = sum(low > 0 or high < 0 for low, high, *_ in known)
    names, places = (dict.fromkeys(str(row[place]) for row in known) for place in (3, 4))
    return (
        f"N agents are about the optimizer at N times the learning rate: {out} of {len(known)} "
        f"accuracies differ significantly ({', '.join(names)}; {'; '.join(places)})."
    )


CONTRASTS = (
    Contrast(("dgnopt-table-2", "dgnopt-table-3"), _emsa),
    Contrast(("dgnopt-table-2", "dgnopt-table-3"), _muon),
    Contrast(("dgnopt-figure-8",), _feedback_term),
    Contrast(("dgnopt-figure-9",), _learning_rate),
)
