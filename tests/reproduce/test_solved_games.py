"""Items of solved games: seeds, interrupted runs, and the earlier certificates."""

from types import SimpleNamespace

import pytest

from reproduce import runner, store
from reproduce.games import cases, cells, solving
from tests.reproduce.test_items import _ROOT


@pytest.fixture
def solves(monkeypatch):
    """The names of the solves that were asked for; none is done."""
    asked = []
    history = [SimpleNamespace(seconds=3.0, cpu_seconds=2.0)]

    def solve(context, name, game, training, seed):
        asked.append(name)
        return SimpleNamespace(reason="max_stages", history=history, training=training)

    monkeypatch.setattr(solving, "solve", solve)
    return asked


def test_an_interrupted_run_goes_on_after_the_last_record(solves, tmp_path):
    """And is told what the records that it found had cost."""
    game = SimpleNamespace(get_config=dict)
    broken = [True]

    def record(solved):
        if solved.case.name == "γ = 0.5" and solved.seed == 6 and broken:
            raise KeyboardInterrupt
        return {"rate": solved.result.training["rate"], "stages": solved.result.training["stages"]}

    item = cases.Games(
        cases=lambda settings: [
            cases.Case("first", game, {"rate": 2}),
            cases.Case("γ = 0.5", game),
            cases.Case("third", game, network="large", seeds=1),
        ],
        tables={"caption": {"game": lambda own: cases.names(own[0])[0], **cells.RUNS}},
        record=record,
    )
    settings = {"seeds": 2, "training": {"rate": 1, "stages": 9}}
    with pytest.raises(KeyboardInterrupt):
        item.run(runner.Context(settings, 5, tmp_path))
    asked = [name.split("-")[0] for name in solves]
    assert asked == ["first", "γ=0.5", "third", "first", "γ=0.5"]
    solves.clear()
    broken.clear()
    context = runner.Context(settings, 5, tmp_path)
    found = item.run(context)["cases"]
    assert solves == ["γ=0.5-paper'sarchitecture-6"]
    assert [(one["game"], one["seed"], one["rate"], one["stages"]) for one in found] == [
        ("first", 5, 2, 9), ("γ = 0.5", 5, 1, 9), ("third", 5, 1, 9), ("first", 6, 2, 9),
        ("γ = 0.5", 6, 1, 9),
    ]  # fmt: skip
    # Four records, and the stages of the fifth, which took this command no time.
    assert 9.5 < context.reused["cpu_seconds"] < 10.5
    assert 14.5 < context.reused["seconds"] < 16.0
    other = runner.Context({**settings, "training": {"rate": 1, "stages": 8}}, 5, tmp_path)
    item.run(other)
    assert len(solves) == 1 + 5


def test_a_rerun_keeps_the_column_of_the_earlier_certificate():
    document = store.read(_ROOT / "results" / "quick" / "closed-loop.json")
    item = cases.Games(cases=lambda settings: [], tables={"c": cases.COSTS_AND_RUNS})
    for case in document["results"]["cases"]:
        assert "earlier_certificate" not in case
    (table,) = item.summary(document)
    place = table.columns.index("gain, earlier certificate")
    assert table.columns[place - 1] == "gain by deviating"
    assert table.rows[0][place] == "≥ -0.017 % ± 0.038 (d806ecb7e572)"
    document["provenance"]["preset"] = "smoke"
    assert "gain, earlier certificate" not in item.summary(document)[0].columns
