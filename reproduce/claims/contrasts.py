"""What contradicts or bounds the papers: sentences from the records, where these show it."""

from collections.abc import Callable

import numpy as np

from reproduce.claims.rules import Contrast, Document, share_difference
from reproduce.claims.training import baselines, learned, levels, mean_accuracy, problems
from reproduce.dgnopt import ladder
from reproduce.dgnopt.comparison import by_label
from reproduce.dgnopt.experiment import difference
from reproduce.games.cases import groups, names


def _where(on: str) -> str:
    """Data and network."""
    return ", ".join(on.split(", ")[:2])


def _by_problem(opening: str, tell: Callable[[dict, str], str | None]) -> Callable:
    """A sentence of what `tell(problem, where)` has to say of every problem; None of none."""

    def sentence(documents: list[Document]) -> str | None:
        found = [
            tell(problem, _where(on)) for each in documents for problem, on, _ in problems(each)
        ]
        told = [text for text in found if text is not None]
        return f"{opening}: {'; '.join(told)}." if told else None

    return sentence


def _emsa(problem: dict, where: str) -> str | None:
    methods = {method["label"]: method for method in baselines(problem)}
    emsa = methods.pop("EMSA", None)
    if emsa is None or not methods:
        return None
    best = max(methods.values(), key=mean_accuracy)
    ahead = mean_accuracy(emsa) - mean_accuracy(best)
    way = "ahead of" if ahead > 0 else "behind"
    return f"{abs(ahead):.1f} points {way} {best['label']} ({where})"


def _muon(problem: dict, where: str) -> str | None:
    methods = by_label(problem)
    if "Muon" not in methods or "DGNOpt" not in methods:
        return None
    ahead = difference(methods["DGNOpt"], methods["Muon"])
    return f"{ahead.shown()}, {where}" if ahead.low > 0 else None


def _feedback_term(problem: dict, where: str) -> str | None:
    columns = [rung.methods for rung in ladder.rungs(problem)]
    labels = [label for label in columns[0] if label.endswith("proximal")]
    own, other = (
        np.sum([learned(columns, f"{label}{more}") for label in labels], axis=0)
        for more in ("", ", without K δx")
    )
    if not share_difference(other, own)[1] <= 0 or not own[0] + other[0]:
        return None
    return f"{own[0]} of {own[1]} proximal runs learn with it, {other[0]} without ({where})"


def _learning_rate(documents: list[Document]) -> str | None:
    found = [
        (difference(ordinary[n], agents[n]), name, _where(on))
        for document in documents for problem, on, _ in problems(document)
        for _, name, agents, ordinary in levels(problem, document["settings"])
        for n in agents if n > 1
    ]  # fmt: skip
    known = [row for row in found if row[0].known]
    if not known:
        return None
    out = sum(change.significant for change, *_ in known)
    names, places = (dict.fromkeys(str(row[place]) for row in known) for place in (1, 2))
    return (
        f"N agents are about the optimizer at N times the learning rate: {out} of {len(known)} "
        f"accuracies differ significantly ({', '.join(names)}; {'; '.join(places)})."
    )


def _mean_field(documents: list[Document]) -> str | None:
    for cases in (cases for document in documents for cases in groups(document)):
        error = abs(np.mean([case["relative_error"] for case in cases]))
        limit = cases[0]["mean_field_distance"]
        if cases[0]["features"] == "full_path" and error > limit:
            game, network = names(cases[0])
            return (
                "With many players the paper's architecture errs more than the mean-field limit: "
                f"{100 * error:.1f} % against {100 * limit:.1f} % ({game}, "
                f"{network.removeprefix('full path, ')})."
            )
    return None


_TABLES = "dgnopt-table-2", "dgnopt-table-3"
_WEAKEST = "EMSA, mostly the paper's weakest method, beside the best of the others"
_YOUNGER = "Muon, younger than the paper, is ahead of DGNOpt"
_SAVES = "K δx is not what saves runs at large rates"
CONTRASTS = (
    Contrast(_TABLES, _by_problem(_WEAKEST, _emsa)),
    Contrast(_TABLES, _by_problem(_YOUNGER, _muon)),
    Contrast(("dgnopt-figure-8",), _by_problem(_SAVES, _feedback_term)),
    Contrast(("dgnopt-figure-9",), _learning_rate),
    Contrast(("scale",), _mean_field),
)
