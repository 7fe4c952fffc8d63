"""What is trained on what, where Fashion-MNIST is there and where it is not."""

import pytest

from reproduce import data
from reproduce.dgnopt import problems


@pytest.mark.parametrize("kind", problems.kinds())
def test_quick_trains_every_kind_with_and_without_fashion_mnist(kind, monkeypatch):
    dense = kind in ("residual", "aligned", "alignments")
    monkeypatch.setattr(data, "available", lambda name, folder: True)
    found = [problem["data"] for problem in problems.problems("quick", kind)]
    assert ("digits" in found) == dense
    assert ("fashion-mnist" in found) == (kind != "alignments")
    monkeypatch.setattr(data, "available", lambda name, folder: name == "digits")
    alone = problems.problems("quick", kind)
    assert alone
    assert {problem["data"] for problem in alone} == {"digits"}
    assert all(not {"optional", "instead"} & problem.keys() for problem in alone)


def test_titles_tell_problems_of_a_kind_apart(monkeypatch):
    monkeypatch.setattr(data, "available", lambda name, folder: True)
    for preset in ("quick", "standard"):
        for kind in problems.kinds():
            titles = [problems.title(problem) for problem in problems.problems(preset, kind)]
            assert len(set(titles)) == len(titles)
