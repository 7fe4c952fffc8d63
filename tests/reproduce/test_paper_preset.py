"""The paper's preset on small files in the data sets' own formats: the path, not the numbers."""

import json

import pytest

from reproduce import __main__ as command
from reproduce.catalogue import find
from tests.reproduce.data_files import arrays, write

_SHAPES = {"mnist": (28, 28), "svhn": (32, 32, 3), "cifar10": (32, 32, 3), "cifar100": (32, 32, 3)}


@pytest.mark.parametrize(
    ("names", "trained"),
    [
        (["mnist", "svhn"], ["MNIST", "SVHN", "SVHN"]),
        # With ResNet18, which takes a minute to trace.
        pytest.param(
            list(_SHAPES), ["MNIST", "SVHN", "CIFAR10", "CIFAR100", "SVHN", "CIFAR10"],
            marks=pytest.mark.release,
        ),
    ],
    ids=["some", "all"],
)  # fmt: skip
def test_the_papers_networks_train_on_the_papers_data_sets_that_are_here(
    names, trained, tmp_path, monkeypatch, capsys
):
    folder = tmp_path / "data"
    for name in names:
        train = 5400 if name == "mnist" else 400  # 5,000 of MNIST are held out
        content = arrays(_SHAPES[name], 100 if name == "cifar100" else 10, train=train, test=40)
        write(name, folder / name, content)
    settings = {
        "steps": 2,
        "rates": 1,
        "beyond": 0,
        "confirmations": 0,
        "methods": {"residual": ["SGD"], "feedforward": ["SGD" if len(names) == 2 else "EKFAC"]},
    }
    monkeypatch.setitem(find("dgnopt-rates").presets, "paper", settings)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    arguments = ["dgnopt/rates", "--preset", "paper", "--data-dir", str(folder)]
    assert command.main([*arguments, "--out", str(tmp_path / "out")]) == 0
    document = json.loads((tmp_path / "out" / "paper" / "dgnopt-rates.json").read_text())
    rows = document["results"]["rows"]
    assert [row["problem"].split(" · ")[0] for row in rows] == trained
    assert not any(row["errors"] for row in rows)
    told = "Not here: CIFAR10, CIFAR100; left out" in capsys.readouterr().out
    assert told == ("cifar10" not in names)
    assert str(tmp_path) not in json.dumps(document)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_folder_without_the_papers_data_is_refused_in_a_sentence(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    arguments = ["dgnopt-rates", "--preset", "paper", "--data-dir", str(tmp_path / "empty")]
    assert command.main([*arguments, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "put " in error
    assert "empty/mnist" in error
