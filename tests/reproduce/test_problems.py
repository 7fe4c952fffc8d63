"""What is trained on what, where Fashion-MNIST is there and where it is not."""

import pytest

from reproduce import data
from reproduce.dgnopt import problems


@pytest.mark.parametrize("kind", problems.KINDS)
def test_quick_trains_every_kind_with_and_without_fashion_mnist(kind, monkeypatch):
    dense = kind in ("residual", "aligned")
    monkeypatch.setattr(data, "available", lambda name, folder: True)
    found = [problem["data"] for _, problem in problems.problems("quick", [kind])]
    assert ("digits" in found) == dense
    assert "fashion-mnist" in found
    monkeypatch.setattr(data, "available", lambda name, folder: name == "digits")
    alone = [problem for _, problem in problems.problems("quick", [kind])]
    assert alone
    assert {problem["data"] for problem in alone} == {"digits"}
    assert all(not {"optional", "instead"} & problem.keys() for problem in alone)


def test_titles_tell_problems_of_a_kind_apart(monkeypatch):
    monkeypatch.setattr(data, "available", lambda name, folder: True)
    for preset in ("quick", "standard"):
        for kind in problems.KINDS:
            chosen = problems.problems(preset, [kind])
            titles = [problems.title(problem) for _, problem in chosen]
            assert len(set(titles)) == len(titles)


def test_a_preset_trains_on_any_subset_of_its_data_sets(monkeypatch):
    def load(name, folder):
        raise ValueError(f"{name} cannot be downloaded")

    monkeypatch.setattr(data, "load", load)
    monkeypatch.setattr(data, "available", lambda name, folder: name in ("mnist", "svhn"))
    kinds = ["residual", "feedforward", "cooperative"]
    found = [(kind, problem["data"]) for kind, problem in problems.problems("paper", kinds)]
    assert found == [
        ("residual", "mnist"), ("residual", "svhn"), ("feedforward", "svhn"),
        ("cooperative", "mnist"), ("cooperative", "svhn"),
    ]  # fmt: skip
    chosen = problems.problems("paper", kinds, only=("mnist", "cifar10"))
    assert [kind for kind, _ in chosen] == ["residual", "cooperative"]
    with pytest.raises(ValueError, match="cifar10 cannot be downloaded"):
        problems.problems("paper", kinds, only=("cifar10",))
    with pytest.raises(ValueError, match=r"svhn, cifar10\. Received: mnist"):
        problems.problems("paper", ["feedforward"], only=("mnist",))


def test_what_is_absent_is_said(monkeypatch):
    monkeypatch.setattr(data, "available", lambda name, folder: name in ("digits", "mnist"))
    (sentence,) = problems.absent("paper", "folder")
    assert sentence.startswith("Not here: SVHN, CIFAR10, CIFAR100; left out (`./run data`")
    (sentence,) = problems.absent("quick", None)
    assert sentence.startswith("Not here: Fashion-MNIST; digits are trained on instead")
    assert problems.absent("paper", None, ("mnist",)) == []
    assert problems.absent("smoke", None) == []
    with pytest.raises(ValueError, match=r"`--only` must name data sets.*Received: 'imagenet'"):
        problems.absent("paper", None, ("imagenet",))
